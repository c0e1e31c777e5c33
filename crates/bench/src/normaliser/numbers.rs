//! `EnglishNumberNormalizer`: spelt-out numbers become figures.
//!
//! Follows the original step by step, with its corner cases: the point is to give the same text,
//! not a better one.

use std::collections::HashMap;

use regex::Regex;

use super::NormaliserError;

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
enum Meaning {
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

/// A number on its way: reckoned, or written digit by digit.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Int(i128),
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Int(i) => i.to_string(),
            Self::Text(s) => s.clone(),
        }
    }
}

/// What is being put together.
#[derive(Debug, Default)]
struct State {
    prefix: Option<char>,
    value: Option<Value>,
    out: Vec<String>,
}

impl State {
    fn output(&mut self, text: &str) {
        let prefix = self.prefix.take().map(String::from).unwrap_or_default();
        self.value = None;
        self.out.push(prefix + text);
    }

    fn flush(&mut self) {
        if let Some(value) = self.value.take() {
            self.output(&value.text());
        }
    }

    /// Python's `str(value or "")`: zero counts as nothing.
    fn digits(&self) -> String {
        match &self.value {
            None | Some(Value::Int(0)) => String::new(),
            Some(value) => value.text(),
        }
    }
}

#[derive(Debug)]
pub(super) struct NumberNormaliser {
    words: HashMap<String, Meaning>,
    number: Regex,
    and_a_half: Regex,
    boundaries: Vec<(Regex, &'static str)>,
    cents: Regex,
    only_cents: Regex,
    one: Regex,
}

impl NumberNormaliser {
    pub(super) fn new() -> Result<Self, NormaliserError> {
        Ok(Self {
            words: vocabulary(),
            number: Regex::new(r"^\d+(\.\d+)?$")?,
            and_a_half: Regex::new(r"\band\s+a\s+half\b")?,
            boundaries: vec![
                (Regex::new(r"([a-z])([0-9])")?, "${1} ${2}"),
                (Regex::new(r"([0-9])([a-z])")?, "${1} ${2}"),
                (Regex::new(r"([0-9])\s+(st|nd|rd|th|s)\b")?, "${1}${2}"),
            ],
            cents: Regex::new(r"([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b")?,
            only_cents: Regex::new(r"[€£$]0.([0-9]{1,2})\b")?,
            one: Regex::new(r"\b1(s?)\b")?,
        })
    }

    pub(super) fn normalise(&self, text: &str) -> String {
        let text = self.preprocess(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        self.postprocess(&self.process(&words).join(" "))
    }

    fn preprocess(&self, text: &str) -> String {
        let segments: Vec<&str> = self.and_a_half.split(text).collect();
        let mut results = Vec::new();
        for (i, segment) in segments.iter().enumerate() {
            if segment.trim().is_empty() {
                continue;
            }
            results.push(*segment);
            if i + 1 < segments.len() {
                let last = segment.split_whitespace().last().unwrap_or_default();
                let numeric = matches!(
                    self.words.get(last),
                    Some(
                        Meaning::Zero
                            | Meaning::Ones(_)
                            | Meaning::Tens(_)
                            | Meaning::Multiplier(_)
                    )
                );
                results.push(if numeric { "point five" } else { "and a half" });
            }
        }
        self.boundaries
            .iter()
            .fold(results.join(" "), |text, (pattern, to)| {
                pattern.replace_all(&text, *to).into_owned()
            })
    }

    fn postprocess(&self, text: &str) -> String {
        let text = self.cents.replace_all(text, |m: &regex::Captures<'_>| {
            format!("{}{}.{:0>2}", &m[1], &m[2], &m[3])
        });
        let text = self
            .only_cents
            .replace_all(&text, |m: &regex::Captures<'_>| {
                format!("¢{}", m[1].parse::<u32>().unwrap_or(0))
            });
        self.one.replace_all(&text, "one${1}").into_owned()
    }

    fn meaning(&self, word: Option<&str>) -> Option<Meaning> {
        word.and_then(|w| self.words.get(w)).copied()
    }

    fn is_number(&self, word: Option<&str>) -> bool {
        word.is_some_and(|w| self.number.is_match(w))
    }

    fn process(&self, words: &[&str]) -> Vec<String> {
        let mut state = State::default();
        let mut skip = false;
        for (i, &current) in words.iter().enumerate() {
            if std::mem::take(&mut skip) {
                continue;
            }
            let previous = i.checked_sub(1).map(|p| words[p]);
            let next = words.get(i + 1).copied();
            let sign = current.chars().next().filter(|c| "-+£€$¢".contains(*c));
            let bare = sign.map_or(current, |c| &current[c.len_utf8()..]);
            if self.number.is_match(bare) {
                figures(&mut state, current, bare, sign);
                continue;
            }
            let Some(meaning) = self.meaning(Some(current)) else {
                state.flush();
                state.output(current);
                continue;
            };
            match meaning {
                Meaning::Zero => {
                    state.value = Some(Value::Text(state.digits() + "0"));
                }
                Meaning::Ones(n) => {
                    let value = state.value.take();
                    state.value = Some(self.add_ones(value, n, previous));
                }
                Meaning::OnesSuffixed(n, suffix) => {
                    let value = state.value.take();
                    let whole = match value {
                        None => n.to_string(),
                        value => self.add_ones(value, n, previous).text(),
                    };
                    state.output(&(whole + suffix));
                    state.value = None;
                }
                Meaning::Tens(n) => {
                    let value = state.value.take();
                    state.value = Some(add_tens(value, n));
                }
                Meaning::TensSuffixed(n, suffix) => {
                    let value = state.value.take();
                    state.output(&(add_tens(value, n).text() + suffix));
                }
                Meaning::Multiplier(n) => multiply(&mut state, n),
                Meaning::MultiplierSuffixed(n, suffix) => multiply_suffixed(&mut state, n, suffix),
                Meaning::Preceding(sign) => {
                    state.flush();
                    if self.meaning(next).is_some() || self.is_number(next) {
                        state.prefix = Some(sign);
                    } else {
                        state.output(current);
                    }
                }
                Meaning::Following(sign) => {
                    if state.value.is_some() {
                        state.prefix = Some(sign);
                        state.flush();
                    } else {
                        state.output(current);
                    }
                }
                Meaning::Per | Meaning::Percent => match state.value.take() {
                    None => state.output(current),
                    Some(value) if meaning == Meaning::Percent => {
                        state.output(&(value.text() + "%"));
                    }
                    Some(value) if next == Some("cent") => {
                        state.output(&(value.text() + "%"));
                        skip = true;
                    }
                    Some(value) => {
                        state.output(&value.text());
                        state.output(current);
                    }
                },
                Meaning::And | Meaning::Repeat(_) | Meaning::Point => {
                    skip = self.special(&mut state, meaning, current, previous, next);
                }
            }
        }
        state.flush();
        state.out
    }

    /// "and", "double", "triple", "point". Tells whether the next word is used up.
    fn special(
        &self,
        state: &mut State,
        meaning: Meaning,
        current: &str,
        previous: Option<&str>,
        next: Option<&str>,
    ) -> bool {
        let following = self.meaning(next);
        if following.is_none() && !self.is_number(next) {
            state.flush();
            state.output(current);
            return false;
        }
        match meaning {
            Meaning::And => {
                if !matches!(self.meaning(previous), Some(Meaning::Multiplier(_))) {
                    state.flush();
                    state.output(current);
                }
            }
            Meaning::Repeat(times) => {
                let digit = match following {
                    Some(Meaning::Ones(n)) => n,
                    Some(Meaning::Zero) => 0,
                    _ => {
                        state.flush();
                        state.output(current);
                        return false;
                    }
                };
                let digits = digit.to_string().repeat(times);
                state.value = Some(Value::Text(state.digits() + &digits));
                return true;
            }
            _ => {
                let decimal = matches!(
                    following,
                    Some(Meaning::Ones(_) | Meaning::Tens(_) | Meaning::Zero)
                );
                if decimal || self.is_number(next) {
                    state.value = Some(Value::Text(state.digits() + "."));
                }
            }
        }
        false
    }

    fn add_ones(&self, value: Option<Value>, n: i128, previous: Option<&str>) -> Value {
        let before = self.meaning(previous);
        let appended = |v: &Value| Value::Text(format!("{}{n}", v.text()));
        match value {
            None => Value::Int(n),
            Some(v) if matches!(v, Value::Text(_)) || matches!(before, Some(Meaning::Ones(_))) => {
                if matches!(before, Some(Meaning::Tens(_))) && n < 10 {
                    let mut text = v.text();
                    text.pop();
                    Value::Text(format!("{text}{n}"))
                } else {
                    appended(&v)
                }
            }
            Some(Value::Int(v)) if v % (if n < 10 { 10 } else { 100 }) == 0 => Value::Int(v + n),
            Some(v) => appended(&v),
        }
    }
}

fn vocabulary() -> HashMap<String, Meaning> {
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

/// A number in figures, perhaps with a sign.
fn figures(state: &mut State, current: &str, bare: &str, sign: Option<char>) {
    if let Some(value) = &state.value {
        if let Value::Text(text) = value
            && text.ends_with('.')
        {
            // Decimals, or the parts of an internet address.
            state.value = Some(Value::Text(format!("{text}{current}")));
            return;
        }
        state.flush();
    }
    if sign.is_some() {
        state.prefix = sign;
    }
    state.value = Some(match whole(bare) {
        Some(int) => Value::Int(int),
        None => Value::Text(bare.to_owned()),
    });
}

/// `text` as an integer, if it is a decimal number without a fraction ("3" or "3.0").
fn whole(text: &str) -> Option<i128> {
    times(text, 1)
}

/// `text` × `n`, if `text` is a decimal number and the product is whole (Python's `Fraction`).
fn times(text: &str, n: i128) -> Option<i128> {
    let (int, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if !all_digits(int) || !all_digits(fraction) || (int.is_empty() && fraction.is_empty()) {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = format!("{int}{fraction}")
        .parse::<i128>()
        .ok()?
        .checked_mul(n)?;
    (product % scale == 0).then_some(product / scale)
}

fn add_tens(value: Option<Value>, n: i128) -> Value {
    match value {
        None => Value::Int(n),
        Some(Value::Int(v)) if v % 100 == 0 => Value::Int(v + n),
        Some(v) => Value::Text(format!("{}{n}", v.text())),
    }
}

/// "two million three" × thousand: only what stands after the last thousand is multiplied.
fn multiply_residual(v: i128, n: i128) -> i128 {
    (v / 1_000 * 1_000).saturating_add((v % 1_000).saturating_mul(n))
}

fn multiply(state: &mut State, n: i128) {
    state.value = Some(match state.value.take() {
        None => Value::Int(n),
        Some(Value::Int(0)) => Value::Int(0),
        Some(Value::Int(v)) => Value::Int(multiply_residual(v, n)),
        Some(Value::Text(text)) => match times(&text, n) {
            Some(product) => Value::Int(product),
            None => {
                state.output(&text);
                Value::Int(n)
            }
        },
    });
}

fn multiply_suffixed(state: &mut State, n: i128, suffix: &str) {
    match state.value.take() {
        None => state.output(&format!("{n}{suffix}")),
        Some(Value::Int(v)) => state.output(&format!("{}{suffix}", multiply_residual(v, n))),
        Some(Value::Text(text)) => match times(&text, n) {
            Some(product) => state.output(&format!("{product}{suffix}")),
            None => {
                state.output(&text);
                state.output(&format!("{n}{suffix}"));
            }
        },
    }
}
