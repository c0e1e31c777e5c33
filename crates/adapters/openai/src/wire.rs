//! What the API answers. Fields that nobody here reads are left out.

use serde::Deserialize;
use speakr_core::{
    Segment, languages,
    transcript::{Language, Word},
};

/// The answer to `verbose_json`, or to `json`, which has the text alone.
#[derive(Debug, Deserialize)]
pub(crate) struct Transcribed {
    pub(crate) text: String,
    pub(crate) language: Option<String>,
    pub(crate) duration: Option<f64>,
    segments: Option<Vec<WireSegment>>,
    words: Option<Vec<WireWord>>,
}

#[derive(Debug, Deserialize)]
struct WireSegment {
    start: f64,
    end: f64,
    text: String,
    avg_logprob: Option<f32>,
}

#[derive(Debug, Deserialize)]
struct WireWord {
    word: String,
    start: f64,
    end: f64,
}

/// The answer of `/embeddings`.
#[derive(Debug, Deserialize)]
pub(crate) struct Embeddings {
    pub(crate) data: Vec<Embedding>,
}

/// One text's vector.
#[derive(Debug, Deserialize)]
pub(crate) struct Embedding {
    pub(crate) index: usize,
    pub(crate) embedding: Vec<f32>,
}

impl Transcribed {
    /// Its language as a code.
    pub(crate) fn language(&self) -> Option<Language> {
        self.language.as_deref().and_then(languages::named)
    }

    /// Its segments with times within `duration_ms`; the whole text is one where it has none.
    /// Words go to the segment that they begin in.
    ///
    /// # Errors
    /// What is wrong with its times.
    pub(crate) fn segments(&self, duration_ms: u64) -> Result<Vec<Segment>, String> {
        let mut segments = Vec::new();
        for wire in self.segments.iter().flatten() {
            let (start_ms, end_ms) = (ms(wire.start)?, ms(wire.end)?);
            let text = wire.text.trim().to_owned();
            if !text.is_empty() {
                segments.push(Segment {
                    start_ms: start_ms.min(duration_ms),
                    end_ms: end_ms.max(start_ms).min(duration_ms),
                    text,
                    words: None,
                });
            }
        }
        if segments.is_empty() && !self.text.trim().is_empty() {
            segments.push(Segment {
                start_ms: 0,
                end_ms: duration_ms,
                text: self.text.trim().to_owned(),
                words: None,
            });
        }
        for word in self.words.iter().flatten() {
            let word = Word {
                start_ms: ms(word.start)?.min(duration_ms),
                end_ms: ms(word.end)?.min(duration_ms),
                text: word.word.trim().to_owned(),
            };
            let before = segments.partition_point(|s| s.start_ms <= word.start_ms);
            if let Some(segment) = segments.get_mut(before.saturating_sub(1)) {
                segment.words.get_or_insert_default().push(word);
            }
        }
        Ok(segments)
    }

    /// Mean of the segments' log probabilities, where all are told.
    pub(crate) fn mean_log_probability(&self) -> Option<f32> {
        let segments = self.segments.as_deref().unwrap_or_default();
        let told: Vec<f32> = segments.iter().filter_map(|s| s.avg_logprob).collect();
        (!told.is_empty() && told.len() == segments.len())
            .then(|| told.iter().sum::<f32>() / told.len() as f32)
    }
}

/// Seconds as milliseconds.
pub(crate) fn ms(seconds: f64) -> Result<u64, String> {
    let ms = (seconds * 1_000.0).round();
    if !ms.is_finite() || !(-1_000.0..=1e12).contains(&ms) {
        return Err(format!("{seconds} is no time in a sound"));
    }
    Ok(ms.max(0.0) as u64)
}
