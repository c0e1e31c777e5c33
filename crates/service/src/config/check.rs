//! Whether a setting's text is of its kind.

use std::{net::SocketAddr, time::Duration};

use super::{Kind, Setting, SettingError};

/// Checks `text` against the kind of `setting`.
pub(super) fn text(setting: &Setting, text: &str) -> Result<(), SettingError> {
    match setting.kind {
        Kind::Text | Kind::Path => Ok(()),
        Kind::Url => url(setting, text).map(drop),
        Kind::Number { .. } => number(setting, text).map(drop),
        Kind::Duration => duration(setting, text).map(drop),
        Kind::Flag => flag(setting, text).map(drop),
        Kind::Address => address(setting, text).map(drop),
        Kind::Choice(words) if words.contains(&text) => Ok(()),
        Kind::Choice(_) => Err(invalid(setting, text)),
    }
}

pub(super) fn url(setting: &Setting, text: &str) -> Result<url::Url, SettingError> {
    url::Url::parse(text)
        .ok()
        .filter(url::Url::has_host)
        .ok_or_else(|| invalid(setting, text))
}

pub(super) fn number(setting: &Setting, text: &str) -> Result<u64, SettingError> {
    let (min, max) = match setting.kind {
        Kind::Number { min, max } => (min, max),
        _ => (0, u64::MAX),
    };
    text.parse()
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| invalid(setting, text))
}

pub(super) fn duration(setting: &Setting, text: &str) -> Result<Duration, SettingError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid(setting, text)),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor_ms))
        .map(Duration::from_millis)
        .ok_or_else(|| invalid(setting, text))
}

pub(super) fn flag(setting: &Setting, text: &str) -> Result<bool, SettingError> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(invalid(setting, text)),
    }
}

pub(super) fn address(setting: &Setting, text: &str) -> Result<SocketAddr, SettingError> {
    text.parse().map_err(|_| invalid(setting, text))
}

fn invalid(setting: &Setting, text: &str) -> SettingError {
    // A URL may bear a password: it is shown no more than a secret is.
    let hidden = setting.secret || (setting.kind == Kind::Url && text.contains('@'));
    SettingError::Invalid {
        name: setting.name.to_owned(),
        found: if hidden {
            "something else (not shown)".to_owned()
        } else {
            format!("\"{text}\"")
        },
        wanted: wanted(setting.kind),
    }
}

/// What a text of `kind` has to be, for people.
pub(super) fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Url => "a URL with scheme and host".to_owned(),
        Kind::Number { min, max: u64::MAX } => format!("a whole number from {min} on"),
        Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Duration => "a length of time such as 500ms, 30s, 5m, 2h or 7d".to_owned(),
        Kind::Flag => "1, true, 0 or false".to_owned(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::Path => "a file or folder".to_owned(),
        Kind::Address => "an IP address and port such as 0.0.0.0:8081".to_owned(),
    }
}
