//! A transcript: the text of a recording and where in the sound each part of it was said.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::recording::{Metadata, RecordingId, Tags};

/// A language as Whisper names it: a lower-case ISO 639 code such as `en` or `yue`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Language(String);

impl Language {
    /// English.
    #[must_use]
    pub fn english() -> Self {
        Self("en".to_owned())
    }

    /// The language with this code; the code is lower-cased, not checked.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self(code.trim().to_lowercase())
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One word and when it was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Where it begins in the sound.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// The word, with its punctuation and without surrounding space.
    pub text: String,
}

/// A stretch of speech with its text: usually a sentence or a clause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Where it begins in the sound.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Its text, without surrounding space.
    pub text: String,
    /// Its words, when they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// The text of a recording: the document that is stored, printed with `--json` and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The recording it belongs to.
    pub recording_id: RecordingId,
    /// The whole text: the segments' texts joined with a space.
    pub text: String,
    /// The language that was spoken (of the first speech, where several were).
    pub language: Option<Language>,
    /// Length of the sound.
    pub duration_ms: u64,
    /// Id of the speech model that made it.
    pub model: String,
    /// When the sound was captured.
    pub created_at: Timestamp,
    /// The recording's tags.
    #[serde(default)]
    pub tags: Tags,
    /// The recording's metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its parts in the order of the sound.
    #[serde(default)]
    pub segments: Vec<Segment>,
}

/// Joins the texts of `segments` with single spaces.
#[must_use]
pub fn join_texts(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        let part = segment.text.trim();
        if part.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}
