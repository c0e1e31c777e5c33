//! What a query's words are, which of them bring passages in, and how much each weighs. The same for
//! every index, so that two houses find alike.

use std::collections::BTreeSet;

/// Most words of a query that are looked at: longer ones are pasted texts.
const MAX_WORDS: usize = 32;

/// Counting how many passages hold a word may stop here: beyond, it is just common.
pub const COUNT_CAP: u32 = 5_000;

/// A word in more than this share of all passages doesn't bring passages in by itself …
const COMMON_SHARE: f64 = 0.05;
/// … once there are this many: in a small library every word tells.
const COMMON_FROM: u32 = 2_000;

/// The words of `query`, each once, in order and in lower case; those that only say how a sentence
/// is built are left out where there are others.
#[must_use]
pub fn words(query: &str) -> Vec<String> {
    let mut words = all_words(query);
    if words.iter().any(|word| !is_function_word(word)) {
        words.retain(|word| !is_function_word(word));
    }
    words
}

fn all_words(query: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| seen.insert(word.clone()))
        .take(MAX_WORDS)
        .collect()
}

/// How much a word weighs that `held_by` of `passages` hold: inverse document frequency as Lucene's
/// BM25 has it. Never negative, so that a word that most passages hold weighs next to nothing
/// instead of against.
#[must_use]
pub fn weight(held_by: u32, passages: u32) -> f64 {
    let (n, df) = (f64::from(passages), f64::from(held_by));
    (1.0 + (n - df + 0.5).max(0.0) / (df + 0.5)).ln()
}

/// Which passages a query is about: those that hold any of the words `any` or, where there are
/// some, all of the words `all`. Words are named by their place in the query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Each brings passages in by itself.
    pub any: Vec<usize>,
    /// They do together.
    pub all: Vec<usize>,
}

impl Choice {
    /// The choice for words of which each is held by so many passages; `None` when no passage holds
    /// any. Common words bring no passage in by themselves, unless all are common.
    #[must_use]
    pub fn of(held_by: &[u32], passages: u32) -> Option<Self> {
        let common = |count: u32| {
            passages >= COMMON_FROM && f64::from(count) > COMMON_SHARE * f64::from(passages)
        };
        let known = |wanted: &dyn Fn(u32) -> bool| -> Vec<usize> {
            let numbered = held_by.iter().enumerate();
            numbered
                .filter(|(_, count)| **count > 0 && wanted(**count))
                .map(|(word, _)| word)
                .collect()
        };
        let all = known(&|_| true);
        let any = known(&|count| !common(count));
        if all.is_empty() {
            return None;
        }
        Some(if any.len() == all.len() {
            Self {
                any,
                all: Vec::new(),
            }
        } else {
            Self { any, all }
        })
    }
}

/// Words that say how a sentence is built and not what it is about.
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
            all_words("\"Buy* AND milk: NEAR(buy)^ -- שלום 🎉 naïve"),
            ["buy", "and", "milk", "near", "שלום", "naïve"]
        );
    }

    #[test]
    fn function_words_count_only_where_there_is_nothing_else() {
        assert_eq!(words("where is the dentist"), ["dentist"]);
        assert_eq!(words("to be or not to be"), ["to", "be", "or", "not"]);
    }

    #[test]
    fn common_words_bring_passages_in_only_together() {
        let choice = |held_by: &[u32], passages| Choice::of(held_by, passages);
        let of = |any: &[usize], all: &[usize]| {
            Some(Choice {
                any: any.to_vec(),
                all: all.to_vec(),
            })
        };
        assert_eq!(choice(&[0, 0], 10_000), None);
        assert_eq!(choice(&[900, 3, 0], 10_000), of(&[1], &[0, 1]));
        assert_eq!(choice(&[900, 800], 10_000), of(&[], &[0, 1]));
        assert_eq!(choice(&[9, 3], 10_000), of(&[0, 1], &[]));
        assert_eq!(choice(&[900, 3], 1_000), of(&[0, 1], &[]));
    }

    #[test]
    fn rarer_words_weigh_more_and_none_weighs_against() {
        assert!(weight(1, 100) > weight(50, 100));
        assert!(weight(100, 100) > 0.0);
    }
}
