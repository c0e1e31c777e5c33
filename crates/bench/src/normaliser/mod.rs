//! Whisper's text normalisers, so that word error rates compare with those published.
//!
//! Ported from openai/whisper's `whisper/normalizers` (MIT); golden pairs made with the Python
//! original hold the port.

mod numbers;

use std::collections::HashMap;

use regex::Regex;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

use self::numbers::NumberNormaliser;

/// British to American spelling (openai/whisper's `english.json`, MIT).
const SPELLINGS: &str = include_str!("../../data/english_spelling.json");

/// A normaliser can't be built: its own data is broken.
#[derive(Debug, thiserror::Error)]
pub enum NormaliserError {
    /// A pattern doesn't compile.
    #[error("a pattern of the normaliser is wrong")]
    Pattern(#[from] regex::Error),
    /// The table of spellings can't be read.
    #[error("the table of spellings is wrong")]
    Spellings(#[from] serde_json::Error),
}

/// In Python's order; the replacements are literal.
const REPLACERS: &[(&str, &str)] = &[
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\blet's\b", "let us"),
    (r"\bain't\b", "aint"),
    (r"\by'all\b", "you all"),
    (r"\bwanna\b", "want to"),
    (r"\bkinda\b", "kind of"),
    (r"\bsorta\b", "sort of"),
    (r"\bdunno\b", "do not know"),
    (r"\bgotta\b", "got to"),
    (r"\bgonna\b", "going to"),
    (r"\bi'ma\b", "i am going to"),
    (r"\bimma\b", "i am going to"),
    (r"\bwoulda\b", "would have"),
    (r"\bcoulda\b", "could have"),
    (r"\bshoulda\b", "should have"),
    (r"\bcause\b", "because"),
    (r"\bma'am\b", "madam"),
    (r"\bmr\b", "mister "),
    (r"\bmrs\b", "missus "),
    (r"\bst\b", "saint "),
    (r"\bdr\b", "doctor "),
    (r"\bprof\b", "professor "),
    (r"\bcapt\b", "captain "),
    (r"\bgov\b", "governor "),
    (r"\bald\b", "alderman "),
    (r"\bgen\b", "general "),
    (r"\bsen\b", "senator "),
    (r"\brep\b", "representative "),
    (r"\bpres\b", "president "),
    (r"\brev\b", "reverend "),
    (r"\bhon\b", "honorable "),
    (r"\basst\b", "assistant "),
    (r"\bassoc\b", "associate "),
    (r"\blt\b", "lieutenant "),
    (r"\bcol\b", "colonel "),
    (r"\bjr\b", "junior "),
    (r"\bsr\b", "senior "),
    (r"\besq\b", "esquire "),
    (r"'d been\b", " had been"),
    (r"'s been\b", " has been"),
    (r"'d gone\b", " had gone"),
    (r"'s gone\b", " has gone"),
    (r"'d done\b", " had done"),
    (r"'s got\b", " has got"),
    (r"n't\b", " not"),
    (r"'re\b", " are"),
    (r"'s\b", " is"),
    (r"'d\b", " would"),
    (r"'ll\b", " will"),
    (r"'t\b", " not"),
    (r"'ve\b", " have"),
    (r"'m\b", " am"),
];

/// Pairs of pattern and replacement.
type Rules = Vec<(Regex, String)>;

fn rules(pairs: &[(&str, &str)]) -> Result<Rules, NormaliserError> {
    pairs
        .iter()
        .map(|(pattern, to)| Ok((Regex::new(pattern)?, (*to).to_owned())))
        .collect()
}

fn apply(rules: &Rules, text: String) -> String {
    rules.iter().fold(text, |text, (pattern, to)| {
        pattern.replace_all(&text, to.as_str()).into_owned()
    })
}

/// `EnglishTextNormalizer`.
#[derive(Debug)]
pub struct EnglishNormaliser {
    before: Rules,
    numbers: NumberNormaliser,
    spellings: HashMap<String, String>,
    after: Rules,
}

impl EnglishNormaliser {
    /// Builds it.
    ///
    /// # Errors
    /// [`NormaliserError`] when its own tables are broken.
    pub fn new() -> Result<Self, NormaliserError> {
        let mut before = rules(&[
            (r"[<\[][^>\]]*[>\]]", ""),
            (r"\(([^)]+?)\)", ""),
            (r"\b(hmm|mm|mhm|mmm|uh|um)\b", ""),
            (r"\s+'", "'"),
        ])?;
        before.extend(rules(REPLACERS)?);
        before.extend(rules(&[
            (r"(\d),(\d)", "${1}${2}"),
            (r"\.([^0-9]|$)", " ${1}"),
        ])?);
        Ok(Self {
            before,
            numbers: NumberNormaliser::new()?,
            spellings: serde_json::from_str(SPELLINGS)?,
            after: rules(&[
                (r"[.$¢€£]([^0-9])", " ${1}"),
                (r"([^0-9])%", "${1} "),
                (r"\s+", " "),
            ])?,
        })
    }

    /// The normal form of `text`.
    #[must_use]
    pub fn normalise(&self, text: &str) -> String {
        let text = apply(&self.before, text.to_lowercase());
        let text = remove_symbols_and_diacritics(&text, ".%$¢€£");
        let text = self.numbers.normalise(&text);
        let words: Vec<&str> = text
            .split_whitespace()
            .map(|w| self.spellings.get(w).map_or(w, String::as_str))
            .collect();
        apply(&self.after, words.join(" "))
    }
}

/// `BasicTextNormalizer`, for other languages.
#[derive(Debug)]
pub struct BasicNormaliser {
    before: Rules,
    spaces: Rules,
}

impl BasicNormaliser {
    /// Builds it.
    ///
    /// # Errors
    /// [`NormaliserError`] when its own tables are broken.
    pub fn new() -> Result<Self, NormaliserError> {
        Ok(Self {
            before: rules(&[(r"[<\[][^>\]]*[>\]]", ""), (r"\(([^)]+?)\)", "")])?,
            spaces: rules(&[(r"\s+", " ")])?,
        })
    }

    /// The normal form of `text`.
    #[must_use]
    pub fn normalise(&self, text: &str) -> String {
        let text = apply(&self.before, text.to_lowercase());
        let text: String = text
            .nfkc()
            .map(|c| if is_symbol(c) { ' ' } else { c })
            .collect();
        apply(&self.spaces, text.to_lowercase())
    }
}

/// Categories M, S and P.
fn is_symbol(c: char) -> bool {
    use GeneralCategory as G;
    matches!(
        get_general_category(c),
        G::NonspacingMark
            | G::SpacingMark
            | G::EnclosingMark
            | G::MathSymbol
            | G::CurrencySymbol
            | G::ModifierSymbol
            | G::OtherSymbol
            | G::ConnectorPunctuation
            | G::DashPunctuation
            | G::OpenPunctuation
            | G::ClosePunctuation
            | G::InitialPunctuation
            | G::FinalPunctuation
            | G::OtherPunctuation
    )
}

fn remove_symbols_and_diacritics(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd() {
        match c {
            c if keep.contains(c) => out.push(c),
            // Letters that decomposition leaves whole.
            'œ' => out.push_str("oe"),
            'Œ' => out.push_str("OE"),
            'ø' => out.push('o'),
            'Ø' => out.push('O'),
            'æ' => out.push_str("ae"),
            'Æ' => out.push_str("AE"),
            'ß' => out.push_str("ss"),
            'ẞ' => out.push_str("SS"),
            'đ' | 'ð' => out.push('d'),
            'Đ' | 'Ð' => out.push('D'),
            'þ' | 'Þ' => out.push_str("th"),
            'ł' => out.push('l'),
            'Ł' => out.push('L'),
            c if get_general_category(c) == GeneralCategory::NonspacingMark => {}
            c if is_symbol(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        english: Vec<(String, String)>,
        basic: Vec<(String, String)>,
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../tests/golden/normaliser.json")).unwrap()
    }

    #[test]
    fn english_texts_come_out_as_from_the_original() {
        let normaliser = EnglishNormaliser::new().unwrap();
        let golden = golden().english;
        assert!(golden.len() > 150);
        for (text, expected) in golden {
            assert_eq!(normaliser.normalise(&text), expected, "of {text:?}");
        }
    }

    #[test]
    fn other_languages_come_out_as_from_the_original() {
        let normaliser = BasicNormaliser::new().unwrap();
        let golden = golden().basic;
        assert!(golden.len() > 5);
        for (text, expected) in golden {
            assert_eq!(normaliser.normalise(&text), expected, "of {text:?}");
        }
    }
}
