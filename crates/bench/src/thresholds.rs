//! Limits that a measurement must keep.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::accuracy::Accuracy;

/// The limits of one model.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The highest word error rate as files.
    pub file: f64,
    /// The highest as from a microphone.
    pub live: f64,
    /// How far the two may be apart.
    pub within: Option<f64>,
    /// Most words of a clip that may be missing in a row: more are a sentence that was dropped.
    pub longest_gap: Option<usize>,
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
    let mut breaches = Vec::new();
    for m in measured {
        let name = format!("{} ({})", m.model, m.pace);
        let Some(limits) = thresholds.get(&m.model) else {
            breaches.push(format!("there is no threshold for {}", m.model));
            continue;
        };
        let limit = if m.pace == "live" {
            limits.live
        } else {
            limits.file
        };
        if m.word_error_rate > limit {
            let rate = m.word_error_rate;
            breaches.push(format!(
                "{name}: word error rate {rate:.4} is above {limit}"
            ));
        }
        for clip in &m.clips {
            let (gap, clip) = (clip.longest_gap, &clip.clip);
            if limits.longest_gap.is_some_and(|most| gap > most) {
                breaches.push(format!(
                    "{name}: {gap} words in a row are missing from {clip}"
                ));
            }
        }
        let other = measured
            .iter()
            .find(|other| other.model == m.model && other.pace == "live" && m.pace == "file");
        let apart = other.map(|other| (other.word_error_rate - m.word_error_rate).abs());
        if let (Some(apart), Some(within)) = (apart, limits.within)
            && apart > within
        {
            breaches.push(format!(
                "{}: file and live are {apart:.4} apart, more than {within}",
                m.model
            ));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accuracy::ClipResult, wer::WordErrors};

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

    #[test]
    fn rates_too_far_apart_are_a_breach() {
        let limits = toml::from_str("[a]\nfile = 0.2\nlive = 0.2\nwithin = 0.01").unwrap();
        let found = |file, live| {
            let both = [measured("a", "file", file), measured("a", "live", live)];
            breaches(&limits, &both)
        };
        assert_eq!(found(0.1, 0.109), Vec::<String>::new());
        assert_eq!(found(0.109, 0.1), Vec::<String>::new());
        assert_eq!(found(0.1, 0.12).len(), 1);
        assert_eq!(found(0.12, 0.1).len(), 1);
        // One alone can't be apart from the other.
        assert_eq!(breaches(&limits, &[measured("a", "live", 0.12)]).len(), 0);
    }

    #[test]
    fn a_dropped_sentence_is_a_breach_whatever_the_rate() {
        let limits = toml::from_str("[a]\nfile = 0.2\nlive = 0.2\nlongest_gap = 4").unwrap();
        let with_gap = |longest_gap| {
            let mut long = measured("a", "file", 0.01);
            long.clips.push(ClipResult {
                clip: "long".to_owned(),
                language: "en".to_owned(),
                heard_language: None,
                seconds: 90.0,
                errors: WordErrors::default(),
                longest_gap,
                cpu_s: 1.0,
                wall_s: 1.0,
                reference: String::new(),
                hypothesis: String::new(),
                text: String::new(),
            });
            breaches(&limits, &[long])
        };
        assert_eq!(with_gap(4), Vec::<String>::new());
        assert_eq!(
            with_gap(5),
            ["a (file): 5 words in a row are missing from long"]
        );
    }
}
