//! Speech to text.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::BoxedCause;
use crate::transcript::{Language, Segment};

/// What to make of the speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Text in the language that was spoken.
    #[default]
    Transcribe,
    /// Text in English.
    Translate,
}

/// What a speaker asks of the decoder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecodeOptions {
    /// The model to use, by registry id; the configured one where absent.
    pub model: Option<String>,
    /// The language spoken; detected where absent.
    pub language: Option<Language>,
    /// Transcribe or translate.
    pub task: Task,
    /// Words and names to expect, in the style to write in. Capped by the engine.
    pub prompt: Option<String>,
    /// Whether every word gets its own times.
    pub word_timestamps: bool,
}

/// What the speech model is and what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechModel {
    /// Its registry id, as written into transcripts.
    pub id: String,
    /// Whether it knows other languages than English.
    pub multilingual: bool,
}

/// What the engine heard in one piece of sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// The language, given or detected.
    pub language: Option<Language>,
    /// How sure it was of the language, 0 to 1, where it detected one.
    pub language_probability: Option<f32>,
    /// Segments with times relative to the start of the piece.
    pub segments: Vec<Segment>,
    /// Mean log probability of the tokens: low where the engine was unsure of what it heard.
    pub mean_log_probability: f32,
    /// Whether the most probable reading failed the engine's own checks, so that it went on to
    /// guess (Whisper's temperature fallback). Guesses look surer than they are.
    pub guessed: bool,
}

/// Why a piece has no text.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The caller cancelled.
    #[error("decoding was cancelled")]
    Cancelled,
    /// The model doesn't know the language.
    #[error("the model \"{model}\" doesn't know the language \"{language}\"")]
    UnknownLanguage {
        /// The model in use.
        model: String,
        /// The language asked for.
        language: Language,
    },
    /// The engine is elsewhere and gives no answer for now; nothing is wrong with the sound.
    #[error("the speech engine is away (model \"{model}\")")]
    Away {
        /// The model in use.
        model: String,
        /// When to ask again, where it said so.
        retry_after: Option<Duration>,
        /// What was met instead.
        #[source]
        cause: BoxedCause,
    },
    /// The engine itself failed.
    #[error("the speech engine failed (model \"{model}\")")]
    Engine {
        /// The model in use.
        model: String,
        /// The engine's own error.
        #[source]
        cause: BoxedCause,
    },
}

/// Decodes pieces of sound, each at most 30 s long.
#[async_trait]
pub trait SpeechEngine: Send + Sync {
    /// The model in use.
    fn model(&self) -> &SpeechModel;

    /// Checks that `options` can be served, before any sound is decoded.
    ///
    /// # Errors
    /// [`SpeechError::UnknownLanguage`] when the model doesn't know the language.
    fn accepts(&self, options: &DecodeOptions) -> Result<(), SpeechError>;

    /// Decodes `pcm` (16 kHz mono), without regard to what was said before it.
    ///
    /// # Errors
    /// [`SpeechError::Cancelled`] soon after `cancel` is; else the engine's failure.
    async fn decode(
        &self,
        pcm: Vec<i16>,
        options: &DecodeOptions,
        cancel: &CancellationToken,
    ) -> Result<Decoded, SpeechError>;
}
