//! Limits that a measurement must keep.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::accuracy::Accuracy;

/// The limits of one model: highest word error rates.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// As files.
    pub file: f64,
    /// As from a microphone.
    pub live: f64,
}

/// Why there are no limits.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdError {
    /// The file can't be read.
    #[error("can't read the thresholds")]
    Unreadable(#[from] std::io::Error),
    /// It isn't what it should be.
    #[error("the thresholds are malformed")]
    Malformed(#[from] toml::de::Error),
}

/// Limits by model.
pub type Thresholds = BTreeMap<String, Limits>;

/// Reads a file of limits.
///
/// # Errors
/// [`ThresholdError`] when it can't be read or is malformed.
pub fn read(path: &Path) -> Result<Thresholds, ThresholdError> {
    Ok(toml::from_str(&std::fs::read_to_string(path)?)?)
}

/// What `measured` breaks, in words. A model without limits is a breach too: else a renamed model
/// would pass unmeasured.
#[must_use]
pub fn breaches(thresholds: &Thresholds, measured: &[Accuracy]) -> Vec<String> {
    measured
        .iter()
        .filter_map(|m| {
            let Some(limits) = thresholds.get(&m.model) else {
                return Some(format!("there is no threshold for {}", m.model));
            };
            let limit = if m.pace == "live" {
                limits.live
            } else {
                limits.file
            };
            (m.word_error_rate > limit).then(|| {
                format!(
                    "{} ({}): word error rate {:.4} is above {limit}",
                    m.model, m.pace, m.word_error_rate
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wer::WordErrors;

    fn measured(model: &str, pace: &'static str, rate: f64) -> Accuracy {
        Accuracy {
            model: model.to_owned(),
            pace,
            errors: WordErrors::default(),
            word_error_rate: rate,
            seconds: 1.0,
            cpu_s: 1.0,
            cpu_per_second: 1.0,
            clips: Vec::new(),
        }
    }

    #[test]
    fn a_worse_rate_is_a_breach_in_its_own_pace_and_so_is_an_unknown_model() {
        let limits = toml::from_str("[a]\nfile = 0.1\nlive = 0.2").unwrap();
        let found = |model, pace, rate| breaches(&limits, &[measured(model, pace, rate)]).len();
        assert_eq!(found("a", "file", 0.1), 0);
        assert_eq!(found("a", "file", 0.11), 1);
        assert_eq!(found("a", "live", 0.11), 0);
        assert_eq!(found("a", "live", 0.21), 1);
        assert_eq!(found("b", "file", 0.0), 1);
    }
}
