//! What a query's words are, which of them bring passages in, and how much each weighs. The same for
//! every index, so that two houses find alike.

use std::collections::BTreeSet;

use crate::ports::index::Filter;

/// Most words of a query that are looked at: longer ones are pasted texts.
const MAX_WORDS: usize = 32;

/// Counting how many passages hold a word may stop here: beyond, it is just common, and says nothing
/// where the query has rarer words.
pub const COUNT_CAP: u32 = 5_000;

/// A word in more than this share of all passages doesn't bring passages in by itself …
const COMMON_SHARE: f64 = 0.05;
/// … once there are this many: in a small library every word tells.
const COMMON_FROM: u32 = 2_000;

/// About so many passages are ranked, those with the rarest words first: each takes its time.
const RANKED: u32 = 10_000;

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

/// Whether the share of the words that a passage holds counts a word that is held by so many, in a
/// query whose words are held by `all`: not one so common that nobody counted on, where there are
/// rarer ones.
#[must_use]
pub fn tells(held_by: u32, all: &[u32]) -> bool {
    held_by < COUNT_CAP || !all.iter().any(|count| (1..COUNT_CAP).contains(count))
}

/// Which passages are ranked for a query. Words are named by their place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Those that hold any of these words, the rarest first. Common words say next to nothing, and
    /// to rank by them would mean to weigh most passages there are.
    Any(Vec<usize>),
    /// Those that hold all of these: common words alone.
    All(Vec<usize>),
}

impl Choice {
    /// The choice for words of which each is held by so many of `passages`; `None` when no passage
    /// holds any.
    #[must_use]
    pub fn of(held_by: &[u32], passages: u32) -> Option<Self> {
        let known = rarest_first(held_by);
        let common = |count: u32| {
            count >= COUNT_CAP
                || (passages >= COMMON_FROM
                    && f64::from(count) > COMMON_SHARE * f64::from(passages))
        };
        if common(held_by[*known.first()?]) {
            return Some(Self::All(known));
        }
        let mut room = RANKED;
        let mut any = Vec::new();
        for word in known {
            let count = held_by[word];
            let Some(left) = room.checked_sub(count).filter(|_| !common(count)) else {
                break;
            };
            room = left;
            any.push(word);
        }
        Some(Self::Any(any))
    }

    /// Passages that hold any of the words, each of which is held by so many: for where this choice
    /// brings too few. `None` where that is no other choice.
    #[must_use]
    pub fn widened(&self, held_by: &[u32]) -> Option<Self> {
        let known = rarest_first(held_by);
        let (Self::Any(chosen) | Self::All(chosen)) = self;
        let one_way = chosen.len() == 1 || matches!(self, Self::Any(_));
        let same = one_way && chosen.len() == known.len();
        (!same).then_some(Self::Any(known))
    }
}

/// The words that any passage holds.
fn rarest_first(held_by: &[u32]) -> Vec<usize> {
    let mut known: Vec<usize> = (0..held_by.len()).filter(|i| held_by[*i] > 0).collect();
    known.sort_by_key(|i| held_by[*i]);
    known
}

/// Whether `found` passages of a [`Choice`] do for a search that wants `limit`. The choice is made by
/// counts over all passages. Of those that pass a filter it may bring few where there are many.
#[must_use]
pub fn will_do(found: usize, limit: usize, filter: &Filter) -> bool {
    let wanted = if *filter == Filter::default() {
        limit.min(1)
    } else {
        limit
    };
    found >= wanted
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
    fn the_rarest_words_bring_passages_in_as_many_as_can_be_ranked() {
        let any = |words: &[usize]| Some(Choice::Any(words.to_vec()));
        let all = |words: &[usize]| Some(Choice::All(words.to_vec()));
        assert_eq!(Choice::of(&[], 100), None);
        assert_eq!(Choice::of(&[0, 0], 100), None, "no word is known");
        assert_eq!(Choice::of(&[9, 0, 3], 10), any(&[2, 0]));
        assert_eq!(Choice::of(&[900, 3], 1_000), any(&[1, 0]));
        assert_eq!(Choice::of(&[4_000, 7, 500], 10_000), any(&[1, 2]));
        assert_eq!(Choice::of(&[5_000, 4_000], 10_000), all(&[1, 0]));
        let many = [4_900, 4_800, 4_700, 3];
        assert_eq!(Choice::of(&many, 100_000), any(&[3, 2, 1]));
        // Counting stops somewhere: how common such a word is, nobody knows.
        assert_eq!(Choice::of(&[COUNT_CAP], 1_000_000), all(&[0]));
        assert_eq!(Choice::of(&[COUNT_CAP, 9], 1_000_000), any(&[1]));
    }

    #[test]
    fn what_brings_too_few_is_widened_to_all_words_where_that_is_another_choice() {
        let widened = |held_by: &[u32]| Choice::of(held_by, 10_000).unwrap().widened(held_by);
        let any = |words: &[usize]| Some(Choice::Any(words.to_vec()));
        assert_eq!(
            widened(&[4_000, 1, 0]),
            any(&[1, 0]),
            "a common word is left out"
        );
        assert_eq!(widened(&[COUNT_CAP, 4_000]), any(&[1, 0]), "all are common");
        assert_eq!(widened(&[9, 0, 3]), None, "all known words are there");
        assert_eq!(widened(&[0, 4_000]), None, "one word is one way");
    }

    #[test]
    fn some_passages_will_do_but_of_those_that_pass_a_filter_all_are_wanted() {
        let filter = Filter {
            tags: crate::Tags::new(["work"]),
            ..Filter::default()
        };
        assert!(will_do(1, 10, &Filter::default()));
        assert!(!will_do(0, 10, &Filter::default()));
        assert!(!will_do(9, 10, &filter));
        assert!(will_do(10, 10, &filter));
        assert!(will_do(0, 0, &filter) && will_do(0, 0, &Filter::default()));
    }

    #[test]
    fn a_word_that_nobody_counted_on_tells_nothing_beside_rarer_ones() {
        assert!(!tells(COUNT_CAP, &[COUNT_CAP, 9]));
        assert!(tells(9, &[COUNT_CAP, 9]));
        assert!(tells(COUNT_CAP, &[COUNT_CAP, 0]));
        assert!(tells(0, &[COUNT_CAP, 9]), "what no passage holds is missed");
    }

    #[test]
    fn rarer_words_weigh_more_and_none_weighs_against() {
        assert!(weight(1, 100) > weight(50, 100));
        assert!(weight(100, 100) > 0.0);
    }
}
