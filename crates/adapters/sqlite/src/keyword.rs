//! Keyword search: any text is a query, weighed by how rare its words are.

use std::collections::{BTreeSet, HashMap};

use speakr_core::{Tags, ports::index::Filter};
use sqlx::{QueryBuilder, SqliteConnection};

use crate::{fault::Fault, recordings, vectors::cut};

/// Most words of a query that are looked at: longer ones are pasted texts.
const MAX_TERMS: usize = 32;

/// Counting how many passages hold a word stops here: beyond, it is just common, and says nothing
/// where the query has rarer words.
const COUNT_CAP: u32 = 5_000;

/// A word in more than this share of all passages doesn't bring passages in by itself …
const COMMON_SHARE: f64 = 0.05;
/// … once there are this many: in a small library every word tells.
const COMMON_FROM: u32 = 2_000;

/// About so many passages are ranked, those with the rarest words first: each costs some
/// microseconds.
const RANKED: u32 = 10_000;

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

impl Term {
    /// Inverse document frequency as Lucene's BM25 has it: never negative, so that a word that
    /// most passages hold weighs next to nothing instead of against.
    fn weight(&self, passages: u32) -> f64 {
        let (n, df) = (f64::from(passages), f64::from(self.count));
        (1.0 + (n - df + 0.5).max(0.0) / (df + 0.5)).ln()
    }
}

/// The words of `query`, each once, in order.
fn words(query: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| seen.insert(word.clone()))
        .take(MAX_TERMS)
        .collect()
}

/// Words that say how a sentence is built and not what it is about. Only weighs where a query has
/// other words too.
fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// English function words, sorted. In other languages their frequency alone tells them.
const FUNCTION_WORDS: &[&str] = &[
    "a",
    "about",
    "after",
    "again",
    "against",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "between",
    "both",
    "but",
    "by",
    "can",
    "could",
    "d",
    "did",
    "do",
    "does",
    "doing",
    "don",
    "down",
    "during",
    "each",
    "few",
    "for",
    "from",
    "further",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "here",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "just",
    "ll",
    "m",
    "may",
    "me",
    "might",
    "more",
    "most",
    "must",
    "my",
    "myself",
    "no",
    "nor",
    "not",
    "now",
    "of",
    "off",
    "on",
    "once",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "ourselves",
    "out",
    "over",
    "own",
    "re",
    "s",
    "same",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "such",
    "t",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "too",
    "under",
    "until",
    "up",
    "us",
    "ve",
    "very",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
    "yourselves",
];

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
    let mut words = words(query);
    if words.iter().any(|word| !is_function_word(word)) {
        words.retain(|word| !is_function_word(word));
    }
    let mut terms = Vec::with_capacity(words.len());
    for word in words {
        let quoted = format!("\"{word}\"");
        let count = count(connection, &format!("text : {quoted}")).await?;
        terms.push(Term { quoted, count });
    }
    let tells = |term: &Term| (1..COUNT_CAP).contains(&term.count);
    if terms.iter().any(tells) {
        terms.retain(|term| term.count < COUNT_CAP);
    }
    let passages: u32 = sqlx::query_scalar("SELECT count(*) FROM passages")
        .fetch_one(&mut *connection)
        .await?;
    let Some(mut expression) = expression(&terms, passages) else {
        return Ok(Vec::new());
    };
    // A tag that few passages bear chooses them in the full-text index, before they are ranked.
    // One that many bear costs more there than it saves: its whole list would be weighed.
    let mut outside = filter.clone();
    for tag in filter.tags.iter() {
        let term = format!("tags : \"{}\"", tag_word(tag));
        if count(connection, &term).await? < COUNT_CAP {
            expression.push_str(&format!(" AND {term}"));
            outside.tags.remove_all(&Tags::new([tag]));
        }
    }

    let ranked = ranked(connection, &expression, &outside, limit).await?;
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
        if *filter != Filter::default() {
            query.push(
                " AND EXISTS (SELECT 1 FROM passages p JOIN recordings r ON r.num = p.recording \
                 WHERE p.num = passages_text.rowid",
            );
            recordings::push_filter(&mut query, filter);
            query.push(")");
        }
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

/// The FTS5 query: passages with any of the rarer words, or, where all are common, with all of
/// them; `None` when no passage can match. Common words count for the share of the words that a
/// passage holds; to rank by them would weigh their whole lists, and they say next to nothing.
fn expression(terms: &[Term], passages: u32) -> Option<String> {
    let mut known: Vec<&Term> = terms.iter().filter(|term| term.count > 0).collect();
    known.sort_by_key(|term| term.count);
    let rarest = known.first()?;
    let common = |term: &Term| {
        term.count >= COUNT_CAP
            || (passages >= COMMON_FROM
                && f64::from(term.count) > COMMON_SHARE * f64::from(passages))
    };
    let join = |terms: &[&Term], with: &str| {
        let quoted: Vec<_> = terms.iter().map(|term| term.quoted.as_str()).collect();
        quoted.join(with)
    };
    let words = if common(rarest) {
        join(&known, " AND ")
    } else {
        let mut room = RANKED;
        let mut ranking = Vec::new();
        for &term in &known {
            let Some(left) = room.checked_sub(term.count).filter(|_| !common(term)) else {
                break;
            };
            room = left;
            ranking.push(term);
        }
        join(&ranking, " OR ")
    };
    Some(format!("text : ({words})"))
}

/// The share of the words' weight that each of `passages_found` holds.
async fn shares(
    connection: &mut SqliteConnection,
    terms: &[Term],
    passages: u32,
    passages_found: &[u32],
) -> Result<HashMap<u32, f32>, Fault> {
    let weights: Vec<f64> = terms.iter().map(|term| term.weight(passages)).collect();
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
    use super::*;

    #[test]
    fn function_words_are_sorted_for_the_search() {
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn words_come_once_in_lower_case_whatever_stands_between() {
        assert_eq!(
            words("\"Buy* AND milk: NEAR(buy)^ -- שלום 🎉 naïve"),
            ["buy", "and", "milk", "near", "שלום", "naïve"]
        );
    }

    fn term(word: &str, count: u32) -> Term {
        Term {
            quoted: word.to_owned(),
            count,
        }
    }

    #[test]
    fn the_rarest_words_bring_passages_in_as_many_as_can_be_ranked() {
        let terms = |counts: &[u32]| -> Vec<Term> {
            let names = ["a", "b", "c", "d"];
            names.iter().zip(counts).map(|(w, c)| term(w, *c)).collect()
        };
        let of = |counts: &[u32], passages| expression(&terms(counts), passages);
        assert_eq!(of(&[0, 0], 100), None, "no word is known");
        assert_eq!(of(&[9, 0, 3], 10).unwrap(), "text : (c OR a)");
        assert_eq!(of(&[4_000, 7, 500], 10_000).unwrap(), "text : (b OR c)");
        assert_eq!(of(&[5_000, 4_000], 10_000).unwrap(), "text : (b AND a)");
        let many = [4_900, 4_800, 4_700, 3];
        assert_eq!(of(&many, 100_000).unwrap(), "text : (d OR c OR b)");
        // Counting stops somewhere: how common such a word is, nobody knows.
        assert_eq!(of(&[COUNT_CAP], 1_000_000).unwrap(), "text : (a)");
        assert_eq!(of(&[COUNT_CAP, 9], 1_000_000).unwrap(), "text : (b)");
    }

    #[test]
    fn different_tags_are_different_words_and_case_counts() {
        let tags = ["a", "A", "ab", "running", "run", "été", "🎉", "a b"];
        let words: BTreeSet<_> = tags.iter().map(|t| tag_word(t)).collect();
        assert_eq!(words.len(), tags.len());
    }
}
