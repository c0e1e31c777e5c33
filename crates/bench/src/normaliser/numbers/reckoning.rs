//! A number that is being put together, and how words change it.

/// A number on its way: reckoned, or written digit by digit.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i128),
    Text(String),
}

impl Value {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Int(i) => i.to_string(),
            Self::Text(s) => s.clone(),
        }
    }
}

/// What is being put together.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) prefix: Option<char>,
    pub(super) value: Option<Value>,
    pub(super) out: Vec<String>,
}

impl State {
    pub(super) fn output(&mut self, text: &str) {
        let prefix = self.prefix.take().map(String::from).unwrap_or_default();
        self.value = None;
        self.out.push(prefix + text);
    }

    pub(super) fn flush(&mut self) {
        if let Some(value) = self.value.take() {
            self.output(&value.text());
        }
    }

    /// Python's `str(value or "")`: zero counts as nothing.
    pub(super) fn digits(&self) -> String {
        match &self.value {
            None | Some(Value::Int(0)) => String::new(),
            Some(value) => value.text(),
        }
    }
}

/// A number in figures, perhaps with a sign.
pub(super) fn figures(state: &mut State, current: &str, bare: &str, sign: Option<char>) {
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

pub(super) fn add_tens(value: Option<Value>, n: i128) -> Value {
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

pub(super) fn multiply(state: &mut State, n: i128) {
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

pub(super) fn multiply_suffixed(state: &mut State, n: i128, suffix: &str) {
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
