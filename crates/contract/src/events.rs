//! Events: what has happened. Each has an `event_id`: who has seen it already drops the repeat.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    message::{Kind, Message},
    parts::{Metadata, Segment},
};

/// `speakr.event.recording.started`: a recording has begun; its sound may be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingStarted {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// Its labels.
    pub tags: Vec<String>,
    /// What travels with it.
    pub metadata: Metadata,
}

/// `speakr.event.recording.finished`: a recording has ended and its sound is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingFinished {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// Where its sound is kept: the key in the bucket.
    pub audio_file_path: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// What travels with it.
    pub metadata: Metadata,
    /// Length of the sound, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// `speakr.event.recording.cancelled`: a recording was thrown away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingCancelled {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
}

/// `speakr.event.recording.deleted`: a recording was deleted for good; what other messages say of it leaves the
/// streams right after this. Whoever has a copy of its text or sound removes it. It may be told more than once, as another event,
/// where more of the recording was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingDeleted {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
}

/// `speakr.event.transcription.partial`: what the last words seem to be so far. It isn't stored;
/// the next partial or the final text replaces it, unless it says that it is final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptionPartial {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// The text of this stretch.
    pub text: String,
    /// Where it begins in the sound, in milliseconds.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Whether this stretch of the text stays as it is.
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}

/// `speakr.event.transcription.succeeded`: the text is made and kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptionSucceeded {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// The whole text; empty when nobody spoke.
    pub transcribed_text: String,
    /// The recording's labels.
    pub tags: Vec<String>,
    /// What travels with it.
    pub metadata: Metadata,
    /// The language that was spoken (lower-case ISO 639 code).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Length of the sound, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The text in parts, with times; left out when the message would be too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
    /// Where the whole transcript is kept: the key in the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_path: Option<String>,
    /// Id of the speech model that made the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the sound was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// [`TranscriptionFailed::code`] where there is no such speech model.
pub const UNKNOWN_MODEL: &str = "unknown_model";

/// `speakr.event.transcription.failed`: there will be no text from this request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptionFailed {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// Why, in a sentence for people.
    pub error: String,
    /// The recording's labels.
    pub tags: Vec<String>,
    /// What travels with it.
    pub metadata: Metadata,
    /// Which kind of failure it is, where a program may want to know: `unknown_model`. Others may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// `speakr.event.embedding.succeeded`: the text can be found by meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddingSucceeded {
    /// Names this event: repeats have the same.
    pub event_id: Uuid,
    /// Which recording.
    pub recording_id: Uuid,
    /// How many passages it has.
    pub passages: u64,
    /// Id of the model that made their vectors.
    pub model: String,
}

macro_rules! event {
    ($type:ty, $subject:literal, $summary:literal) => {
        impl Message for $type {
            const SUBJECT: &'static str = $subject;
            const KIND: Kind = Kind::Event;
            const SUMMARY: &'static str = $summary;
        }
    };
}

event!(
    RecordingStarted,
    "speakr.event.recording.started",
    "A recording has begun; its sound may be sent."
);
event!(
    RecordingFinished,
    "speakr.event.recording.finished",
    "A recording has ended and its sound is kept."
);
event!(
    RecordingCancelled,
    "speakr.event.recording.cancelled",
    "A recording was thrown away."
);
event!(
    RecordingDeleted,
    "speakr.event.recording.deleted",
    "A recording was deleted for good: whoever has a copy of its text or sound removes it. It may be told more than once."
);
event!(
    TranscriptionPartial,
    "speakr.event.transcription.partial",
    "What the last words seem to be so far. Not stored."
);
event!(
    TranscriptionSucceeded,
    "speakr.event.transcription.succeeded",
    "The text is made and kept."
);
event!(
    TranscriptionFailed,
    "speakr.event.transcription.failed",
    "There will be no text from this request."
);
event!(
    EmbeddingSucceeded,
    "speakr.event.embedding.succeeded",
    "The text can be found by meaning."
);
