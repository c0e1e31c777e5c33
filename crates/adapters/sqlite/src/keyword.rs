//! Keyword search: any text is a query, weighed by how rare its words are.

use std::collections::{BTreeMap, HashMap};

use speakr_core::{
    Tags,
    keywords::{self, COUNT_CAP, Choice},
};
use sqlx::{Row, SqliteConnection};

use crate::{fault::Fault, vectors::cut};

/// Equals of the last passage wanted that are looked at without asking again.
const TIES_AT_FIRST: usize = 64;

/// Bytes of a tag are spelt with these in the full-text index, two letters a byte. Without vowels
/// and without "s" the Porter stemmer finds nothing to cut off.
const TAG_LETTERS: &[u8; 16] = b"bcdfghjklmnpqrtv";

/// A tag as one word of the full-text index.
pub(crate) fn tag_word(tag: &str) -> String {
    tag.bytes()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .map(|half| char::from(TAG_LETTERS[usize::from(half)]))
        .collect()
}

/// All tags as text for the full-text index.
pub(crate) fn tag_words(tags: &Tags) -> String {
    tags.iter().map(tag_word).collect::<Vec<_>>().join(" ")
}

/// A word of the query.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    /// As an FTS5 string: nothing in it is syntax.
    quoted: String,
    /// Passages that hold it, counted up to [`COUNT_CAP`].
    count: u32,
}

/// A passage that holds words of the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    /// Its number.
    pub passage: u32,
    /// The share of the query's words (by weight) that it holds.
    pub coverage: f32,
    /// BM25 as FTS5 has it: lower is better.
    pub bm25: f64,
}

/// The best `limit` passages by BM25 that hold words of `query` and bear all of `tags`, and all
/// that are as good as the last of them; sorted by the share of the words that they hold, then by
/// BM25.
pub(crate) async fn search(
    connection: &mut SqliteConnection,
    query: &str,
    tags: &Tags,
    limit: usize,
) -> Result<Vec<Hit>, Fault> {
    let words = keywords::words(query);
    let mut terms = Vec::with_capacity(words.len());
    for word in words {
        let quoted = format!("\"{word}\"");
        let count = count(connection, &quoted).await?;
        terms.push(Term { quoted, count });
    }
    let passages: u32 = sqlx::query_scalar("SELECT count(*) FROM passages")
        .fetch_one(&mut *connection)
        .await?;
    let Some(expression) = expression(&terms, passages, tags) else {
        return Ok(Vec::new());
    };

    let ranked = ranked(connection, &expression, limit).await?;
    let nums: Vec<u32> = ranked.iter().map(|(passage, _)| *passage).collect();
    let shares = shares(connection, &terms, passages, &nums).await?;
    let mut hits: Vec<Hit> = ranked
        .into_iter()
        .map(|(passage, bm25)| Hit {
            passage,
            coverage: shares.get(&passage).copied().unwrap_or(0.0),
            bm25,
        })
        .collect();
    // Stable: equals stay in the order of BM25.
    hits.sort_by(|a, b| b.coverage.total_cmp(&a.coverage));
    Ok(hits)
}

/// The best `limit` matches of `expression` with their BM25, and all that equal the last of them.
async fn ranked(
    connection: &mut SqliteConnection,
    expression: &str,
    limit: usize,
) -> Result<Vec<(u32, f64)>, Fault> {
    let mut asked = limit.saturating_add(TIES_AT_FIRST);
    loop {
        // Tags have weight 0: they choose, they don't rank.
        let mut found: Vec<(u32, f64)> = sqlx::query_as(
            "SELECT rowid, rank FROM passages_text WHERE passages_text MATCH ? \
             AND rank MATCH 'bm25(1.0, 0.0)' ORDER BY rank LIMIT ?",
        )
        .bind(expression)
        .bind(i64::try_from(asked).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
        let all = found.len() < asked;
        cut(&mut found, limit, |(_, bm25)| *bm25);
        if all || found.len() < asked {
            return Ok(found);
        }
        asked = asked.saturating_mul(4);
    }
}

async fn count(connection: &mut SqliteConnection, quoted: &str) -> Result<u32, Fault> {
    let count: u32 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM passages_text WHERE passages_text MATCH ? LIMIT ?)",
    )
    .bind(format!("text : {quoted}"))
    .bind(COUNT_CAP)
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// The FTS5 query: passages with any of the rarer words, or with all of them; `None` when no
/// passage can match.
fn expression(terms: &[Term], passages: u32, tags: &Tags) -> Option<String> {
    let counts: Vec<u32> = terms.iter().map(|term| term.count).collect();
    let choice = Choice::of(&counts, passages)?;
    let join = |words: &[usize], with: &str| {
        let quoted: Vec<_> = words.iter().map(|i| terms[*i].quoted.as_str()).collect();
        quoted.join(with)
    };
    let words = if choice.all.is_empty() {
        join(&choice.any, " OR ")
    } else if choice.any.is_empty() {
        join(&choice.all, " AND ")
    } else {
        let (any, all) = (join(&choice.any, " OR "), join(&choice.all, " AND "));
        format!("({any}) OR ({all})")
    };
    let mut expression = format!("text : ({words})");
    for tag in tags.iter() {
        expression.push_str(&format!(" AND tags : \"{}\"", tag_word(tag)));
    }
    Some(expression)
}

/// The share of the words' weight that each of `passages_found` holds.
async fn shares(
    connection: &mut SqliteConnection,
    terms: &[Term],
    passages: u32,
    passages_found: &[u32],
) -> Result<HashMap<u32, f32>, Fault> {
    let weights: Vec<f64> = terms
        .iter()
        .map(|term| keywords::weight(term.count, passages))
        .collect();
    let total: f64 = weights.iter().sum();
    let queries: BTreeMap<usize, String> = terms
        .iter()
        .enumerate()
        .map(|(i, term)| (i, format!("text : {}", term.quoted)))
        .collect();
    let queries = serde_json::to_string(&queries).map_err(|e| Fault::Damaged(Box::new(e)))?;
    let rows = sqlx::query(
        "SELECT found.value, CAST(term.key AS INTEGER) \
         FROM json_each(?) term CROSS JOIN json_each(?) found CROSS JOIN passages_text \
         WHERE passages_text MATCH term.value AND passages_text.rowid = found.value",
    )
    .bind(queries)
    .bind(format!("{passages_found:?}"))
    .fetch_all(connection)
    .await?;
    let mut held: HashMap<u32, f64> = HashMap::new();
    for row in rows {
        let term: i64 = row.try_get(1)?;
        let weight = usize::try_from(term).ok().and_then(|i| weights.get(i));
        *held.entry(row.try_get(0)?).or_default() += weight.copied().unwrap_or(0.0);
    }
    Ok(held
        .into_iter()
        .map(|(passage, weight)| (passage, (weight / total).clamp(0.0, 1.0) as f32))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn different_tags_are_different_words_and_case_counts() {
        let tags = ["a", "A", "ab", "running", "run", "été", "🎉", "a b"];
        let words: BTreeSet<_> = tags.iter().map(|t| tag_word(t)).collect();
        assert_eq!(words.len(), tags.len());
    }
}
