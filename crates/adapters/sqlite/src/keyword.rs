//! Keyword search: any text is a query, weighed by how rare its words are.

use std::collections::{HashMap, HashSet};

use speakr_core::{
    Tags,
    keywords::{self, COUNT_CAP, Choice},
    ports::index::Filter,
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::{fault::Fault, recordings, vectors::cut};

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

/// The best `limit` passages by BM25 that hold words of `query` and pass `filter`, and all that are
/// as good as the last of them; sorted by the share of the words that they hold, then by BM25.
pub(crate) async fn search(
    connection: &mut SqliteConnection,
    query: &str,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Hit>, Fault> {
    let words = keywords::words(query);
    let mut terms = Vec::with_capacity(words.len());
    for word in words {
        let quoted = format!("\"{word}\"");
        let count = count(connection, &format!("text : {quoted}")).await?;
        terms.push(Term { quoted, count });
    }
    let counts = counts_of(&terms);
    let telling: Vec<Term> = terms
        .iter()
        .filter(|term| keywords::tells(term.count, &counts))
        .cloned()
        .collect();
    let passages: u32 = sqlx::query_scalar("SELECT count(*) FROM passages")
        .fetch_one(&mut *connection)
        .await?;
    let Some(choice) = Choice::of(&counts_of(&telling), passages) else {
        return Ok(Vec::new());
    };
    let (tags, outside) = chosen_by_tags(connection, filter).await?;

    let expression = format!("{}{tags}", words_of(&telling, &choice));
    let mut found = ranked(connection, &expression, &outside, limit).await?;
    let mut weighed = telling;
    if !keywords::will_do(found.len(), limit, filter)
        && let Some(wider) = choice.widened(&counts)
    {
        let expression = format!("{}{tags}", words_of(&terms, &wider));
        let more = ranked(connection, &expression, &outside, limit).await?;
        // Those before stay: they may hold more of the words than the best by BM25.
        let before: HashSet<u32> = found.iter().map(|(passage, _)| *passage).collect();
        found.extend(
            more.into_iter()
                .filter(|(passage, _)| !before.contains(passage)),
        );
        weighed = terms;
    }
    let nums: Vec<u32> = found.iter().map(|(passage, _)| *passage).collect();
    let shares = shares(connection, &weighed, passages, &nums).await?;
    let mut hits: Vec<Hit> = found
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

fn counts_of(terms: &[Term]) -> Vec<u32> {
    terms.iter().map(|term| term.count).collect()
}

/// The tags of `filter` as a part of the FTS5 query, and what of it is to be looked at outside. A tag
/// that few passages bear chooses them in the full-text index, before they are ranked. One that many
/// bear costs more there than it saves: its whole list would be weighed.
async fn chosen_by_tags(
    connection: &mut SqliteConnection,
    filter: &Filter,
) -> Result<(String, Filter), Fault> {
    let (mut chosen, mut outside) = (String::new(), filter.clone());
    for tag in filter.tags.iter() {
        let term = format!("tags : \"{}\"", tag_word(tag));
        if count(connection, &term).await? < COUNT_CAP {
            chosen.push_str(&format!(" AND {term}"));
            outside.tags.remove_all(&Tags::new([tag]));
        }
    }
    Ok((chosen, outside))
}

/// The best `limit` matches of `expression` that pass `filter` with their BM25, and all that equal
/// the last of them.
async fn ranked(
    connection: &mut SqliteConnection,
    expression: &str,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<(u32, f64)>, Fault> {
    let mut asked = limit.saturating_add(TIES_AT_FIRST);
    loop {
        // Tags have weight 0: they choose, they don't rank.
        let mut query = QueryBuilder::new(
            "SELECT passages_text.rowid, rank FROM passages_text \
             WHERE rank MATCH 'bm25(1.0, 0.0)' AND passages_text MATCH ",
        );
        query.push_bind(expression);
        push_passage_filter(&mut query, filter);
        query
            .push(" ORDER BY rank LIMIT ")
            .push_bind(i64::try_from(asked).unwrap_or(i64::MAX));
        let mut found: Vec<(u32, f64)> = query.build_query_as().fetch_all(&mut *connection).await?;
        let all = found.len() < asked;
        cut(&mut found, limit, |(_, bm25)| *bm25);
        if all || found.len() < asked {
            return Ok(found);
        }
        asked = asked.saturating_mul(4);
    }
}

/// Adds the conditions of `filter` on the matched passage to a query's WHERE. They are looked at match by
/// match, best first, until there are enough: a list of all that bear a tag would cost more than that.
fn push_passage_filter(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    let other = Filter {
        tags: Tags::default(),
        ..filter.clone()
    };
    if *filter == Filter::default() {
        return;
    }
    query.push(" AND EXISTS (SELECT 1 FROM passages p");
    if other != Filter::default() {
        query.push(" JOIN recordings r ON r.num = p.recording");
    }
    query.push(" WHERE p.num = passages_text.rowid");
    for tag in filter.tags.iter() {
        query
            .push(" AND EXISTS (SELECT 1 FROM tags WHERE recording = p.recording AND tag = ")
            .push_bind(tag.to_owned())
            .push(")");
    }
    recordings::push_filter(query, &other);
    query.push(")");
}

/// How many passages match `expression`, counted up to [`COUNT_CAP`].
async fn count(connection: &mut SqliteConnection, expression: &str) -> Result<u32, Fault> {
    let count: u32 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM passages_text WHERE passages_text MATCH ? LIMIT ?)",
    )
    .bind(expression)
    .bind(COUNT_CAP)
    .fetch_one(connection)
    .await?;
    Ok(count)
}

/// The words of `choice` as an FTS5 query.
fn words_of(terms: &[Term], choice: &Choice) -> String {
    let (words, with) = match choice {
        Choice::Any(words) => (words, " OR "),
        Choice::All(words) => (words, " AND "),
    };
    let quoted: Vec<_> = words.iter().map(|i| terms[*i].quoted.as_str()).collect();
    format!("text : ({})", quoted.join(with))
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
    let found = format!("{passages_found:?}");
    let mut held: HashMap<u32, f64> = HashMap::new();
    for (term, weight) in terms.iter().zip(weights) {
        // Each word's list is walked once. Looked up by row (which the "+" keeps it from) it would
        // be opened anew for each passage, which takes ten times as long.
        let holding: Vec<u32> = sqlx::query_scalar(
            "SELECT rowid FROM passages_text WHERE passages_text MATCH ? \
             AND +rowid IN (SELECT value FROM json_each(?))",
        )
        .bind(format!("text : {}", term.quoted))
        .bind(&found)
        .fetch_all(&mut *connection)
        .await?;
        for passage in holding {
            *held.entry(passage).or_default() += weight;
        }
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
