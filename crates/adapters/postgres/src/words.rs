//! Words as the full-text index holds them: without accents, stemmed. It is done here and not by the
//! database, so that every database finds the same.

use std::{collections::BTreeSet, fmt::Write};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

/// Longest word that is told from others, in characters. PostgreSQL takes no more than 2 kB.
const LONGEST: usize = 200;

/// Largest position in a text that PostgreSQL tells from others.
const LAST_POSITION: usize = 16_383;

/// `text` without accents, so that "café" and "cafe" are one.
pub(crate) fn folded(text: &str) -> String {
    text.nfd()
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .nfc()
        .collect()
}

/// The stem of a word, which is folded and in lower case.
pub(crate) fn stem(word: &str) -> String {
    let word: String = word.chars().take(LONGEST).collect();
    Stemmer::create(Algorithm::English).stem(&word).into_owned()
}

/// A word as PostgreSQL takes it in queries and vectors: letters and digits alone, so nothing in it
/// is syntax.
pub(crate) fn quoted(stem: &str) -> String {
    format!("'{stem}'")
}

/// The words of `text` with their places, as PostgreSQL reads a `tsvector`.
pub(crate) fn vector(text: &str) -> String {
    let mut vector = String::new();
    for (place, word) in stems(text).into_iter().enumerate() {
        let place = (place + 1).min(LAST_POSITION);
        let _ = write!(vector, "{}:{place} ", quoted(&word));
    }
    vector
}

/// The words of `text`, each once.
pub(crate) fn distinct(text: &str) -> BTreeSet<String> {
    stems(text).into_iter().collect()
}

/// The words of `text` in their order.
fn stems(text: &str) -> Vec<String> {
    folded(text)
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(stem)
        .collect()
}

/// `text` as PostgreSQL can keep it: it knows no NUL, which becomes its picture.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_accents_case_and_endings() {
        assert_eq!(vector("Running, the CAFÉS!"), "'run':1 'the':2 'cafe':3 ");
        assert_eq!(vector(" 🎉 -- '\\ "), "");
        assert_eq!(vector("don't"), "'don':1 't':2 ");
        let words = distinct("Running cafés, run!");
        assert_eq!(words.into_iter().collect::<Vec<_>>(), ["cafe", "run"]);
    }

    #[test]
    fn the_longest_word_fits() {
        assert!(vector(&"電".repeat(5_000)).len() < 2_000);
    }
}
