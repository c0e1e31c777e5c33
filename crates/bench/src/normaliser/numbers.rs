//! `EnglishNumberNormalizer`: spelt-out numbers become figures.
//!
//! Follows the original step by step, with its corner cases: the point is to give the same text,
//! not a better one.

mod reckoning;
mod vocabulary;

use std::collections::HashMap;

use regex::Regex;

use self::{
    reckoning::{State, Value, add_tens, figures, multiply, multiply_suffixed},
    vocabulary::{Meaning, vocabulary},
};
use super::NormaliserError;

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
