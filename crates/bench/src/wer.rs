//! Word error rate: how many words must be changed, left out or put in to make the reference of
//! the hypothesis.

use std::ops::AddAssign;

use serde::Serialize;

/// Wrong words, by kind, of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WordErrors {
    /// Words heard as another.
    pub substitutions: usize,
    /// Words left out.
    pub deletions: usize,
    /// Words that nobody said.
    pub insertions: usize,
    /// Words of the reference.
    pub words: usize,
}

impl WordErrors {
    /// All errors together.
    #[must_use]
    pub const fn errors(&self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }

    /// Errors by words of the reference.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.errors() as f64 / (self.words.max(1)) as f64
    }
}

impl AddAssign for WordErrors {
    fn add_assign(&mut self, other: Self) {
        self.substitutions += other.substitutions;
        self.deletions += other.deletions;
        self.insertions += other.insertions;
        self.words += other.words;
    }
}

/// Compares two normalised texts word by word (Levenshtein distance).
#[must_use]
pub fn word_errors(reference: &str, hypothesis: &str) -> WordErrors {
    let r: Vec<&str> = reference.split_whitespace().collect();
    let h: Vec<&str> = hypothesis.split_whitespace().collect();
    // Per hypothesis prefix: the best way to it from the reference words seen so far.
    let mut row: Vec<WordErrors> = (0..=h.len())
        .map(|insertions| WordErrors {
            insertions,
            ..WordErrors::default()
        })
        .collect();
    for (i, word) in r.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = WordErrors {
            deletions: i + 1,
            ..WordErrors::default()
        };
        for (j, heard) in h.iter().enumerate() {
            let mut best = diagonal;
            if word != heard {
                best.substitutions += 1;
                let mut deletion = row[j + 1];
                deletion.deletions += 1;
                let mut insertion = row[j];
                insertion.insertions += 1;
                for other in [deletion, insertion] {
                    if other.errors() < best.errors() {
                        best = other;
                    }
                }
            }
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    let mut total = row[h.len()];
    total.words = r.len();
    total
}

/// How many words of the reference in a row are missing from the hypothesis, at most. A sentence
/// that was dropped shows here, where a rate over minutes hides it.
#[must_use]
pub fn longest_gap(reference: &str, hypothesis: &str) -> usize {
    let r: Vec<&str> = reference.split_whitespace().collect();
    let h: Vec<&str> = hypothesis.split_whitespace().collect();
    // costs[i][j]: wrong words between the first i of the one and the first j of the other.
    let mut costs = vec![vec![0_usize; h.len() + 1]; r.len() + 1];
    for i in 0..=r.len() {
        for j in 0..=h.len() {
            costs[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => (costs[i - 1][j - 1] + usize::from(r[i - 1] != h[j - 1]))
                    .min(costs[i - 1][j] + 1)
                    .min(costs[i][j - 1] + 1),
            };
        }
    }
    let (mut i, mut j) = (r.len(), h.len());
    let (mut gap, mut longest) = (0, 0);
    while i > 0 {
        if j > 0 && costs[i][j] == costs[i - 1][j - 1] + usize::from(r[i - 1] != h[j - 1]) {
            (i, j, gap) = (i - 1, j - 1, 0);
        } else if costs[i][j] == costs[i - 1][j] + 1 {
            (i, gap) = (i - 1, gap + 1);
            longest = longest.max(gap);
        } else {
            (j, gap) = (j - 1, 0);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(reference: &str, hypothesis: &str) -> (usize, usize, usize) {
        let e = word_errors(reference, hypothesis);
        (e.substitutions, e.deletions, e.insertions)
    }

    #[test]
    fn each_kind_of_error_is_counted() {
        assert_eq!(counts("a b c d", "a b c d"), (0, 0, 0));
        assert_eq!(counts("a b c d", "a x c d"), (1, 0, 0));
        assert_eq!(counts("a b c d", "a c d"), (0, 1, 0));
        assert_eq!(counts("a b c d", "a b b c d"), (0, 0, 1));
        assert_eq!(counts("a b c d", ""), (0, 4, 0));
        assert_eq!(counts("", "a b"), (0, 0, 2));
        assert_eq!(counts("a b c d e", "b x d e f"), (1, 1, 1));
    }

    #[test]
    fn the_rate_is_of_the_reference() {
        assert!((word_errors("a b c d", "a x c").rate() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_sentence_that_was_dropped_is_a_gap_and_scattered_words_are_none() {
        let said = "the period was extended later it was said that he was a young man so it ended";
        assert_eq!(longest_gap(said, said), 0);
        let without_a_sentence = "the period was extended later so it ended";
        assert_eq!(longest_gap(said, without_a_sentence), 9);
        let scattered = "period was later it said that he was young man so it ended";
        assert_eq!(longest_gap(said, scattered), 1);
        assert_eq!(longest_gap(said, ""), 17);
        assert_eq!(longest_gap("", "something"), 0);
        // Words that are wrong are words: nothing is missing.
        assert_eq!(longest_gap("one two three", "1 2 3"), 0);
    }
}
