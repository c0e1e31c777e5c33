//! What words mean to numbers.

use std::collections::HashMap;

const ONES: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
/// With the power of ten.
const MULTIPLIERS: [(&str, u32); 12] = [
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];

/// What a word means to numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Zero,
    Ones(i128),
    OnesSuffixed(i128, &'static str),
    Tens(i128),
    TensSuffixed(i128, &'static str),
    Multiplier(i128),
    MultiplierSuffixed(i128, &'static str),
    /// Before a number.
    Preceding(char),
    /// After a number; the sign goes before it.
    Following(char),
    Per,
    Percent,
    And,
    /// "double" and "triple".
    Repeat(usize),
    Point,
}

pub(super) fn vocabulary() -> HashMap<String, Meaning> {
    let mut words = HashMap::new();
    // In the reverse of the original's order of tests, so that the earlier test wins.
    words.extend([
        ("and".to_owned(), Meaning::And),
        ("double".to_owned(), Meaning::Repeat(2)),
        ("triple".to_owned(), Meaning::Repeat(3)),
        ("point".to_owned(), Meaning::Point),
        ("per".to_owned(), Meaning::Per),
        ("percent".to_owned(), Meaning::Percent),
    ]);
    for (word, sign) in [
        ("pound", '£'),
        ("euro", '€'),
        ("dollar", '$'),
        ("cent", '¢'),
    ] {
        words.insert(word.to_owned(), Meaning::Following(sign));
        words.insert(format!("{word}s"), Meaning::Following(sign));
    }
    for (word, sign) in [
        ("minus", '-'),
        ("negative", '-'),
        ("plus", '+'),
        ("positive", '+'),
    ] {
        words.insert(word.to_owned(), Meaning::Preceding(sign));
    }
    for (word, power) in MULTIPLIERS {
        let n = 10_i128.pow(power);
        words.insert(word.to_owned(), Meaning::Multiplier(n));
        words.insert(format!("{word}s"), Meaning::MultiplierSuffixed(n, "s"));
        words.insert(format!("{word}th"), Meaning::MultiplierSuffixed(n, "th"));
    }
    for (word, n) in TENS.iter().zip((20..).step_by(10)) {
        words.insert((*word).to_owned(), Meaning::Tens(n));
        words.insert(word.replace('y', "ies"), Meaning::TensSuffixed(n, "s"));
        words.insert(word.replace('y', "ieth"), Meaning::TensSuffixed(n, "th"));
    }
    for (word, n) in ONES.iter().zip(1..) {
        words.insert((*word).to_owned(), Meaning::Ones(n));
        let plural = if *word == "six" {
            "sixes".to_owned()
        } else {
            format!("{word}s")
        };
        words.insert(plural, Meaning::OnesSuffixed(n, "s"));
        if n > 3 && n != 5 && n != 12 {
            let ending = if word.ends_with('t') { "h" } else { "th" };
            words.insert(format!("{word}{ending}"), Meaning::OnesSuffixed(n, "th"));
        }
    }
    for (word, n, suffix) in [
        ("zeroth", 0, "th"),
        ("first", 1, "st"),
        ("second", 2, "nd"),
        ("third", 3, "rd"),
        ("fifth", 5, "th"),
        ("twelfth", 12, "th"),
    ] {
        words.insert(word.to_owned(), Meaning::OnesSuffixed(n, suffix));
    }
    for word in ["o", "oh", "zero"] {
        words.insert(word.to_owned(), Meaning::Zero);
    }
    words
}
