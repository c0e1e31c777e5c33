//! Commands: what clients ask for.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    message::{Kind, Message},
    parts::{AudioData, CaptureSide, DecodeOptions, Metadata, OutputFormat},
};

/// `speakr.command.recording.start`: begin a recording. Its id is the UUIDv5 of the
/// `Speakr-Correlation-Id`, so the same command sent again makes no second one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingStart {
    /// The form in which the sound is kept.
    #[serde(default)]
    pub output_format: OutputFormat,
    /// Labels to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Travels with the recording untouched.
    #[serde(default)]
    pub metadata: Metadata,
    /// Where the microphone is.
    #[serde(default)]
    pub capture: CaptureSide,
    /// When the capture began, by the client's clock; the time of receipt where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What is asked of the decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<DecodeOptions>,
}

/// `speakr.command.recording.stop`: end a recording and keep its sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingStop {
    /// Which recording.
    pub recording_id: Uuid,
    /// Whether its text is to be made now.
    #[serde(default = "yes")]
    pub transcribe_on_stop: bool,
    /// Added to the recording's metadata; a key that is there already is replaced.
    #[serde(default)]
    pub metadata: Metadata,
}

const fn yes() -> bool {
    true
}

/// `speakr.command.recording.cancel`: end a recording, or its transcription, and throw it away. Once
/// its text is kept, nothing happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingCancel {
    /// Which recording.
    pub recording_id: Uuid,
}

/// `speakr.command.transcription.run`: make the text of a kept recording, or of the sound in this
/// message. Give either `recording_id` or `audio_data`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("oneOf" = [
    {"required": ["recording_id"], "properties": {"recording_id": {"type": "string"}, "audio_data": {"type": "null"}}},
    {"required": ["audio_data"], "properties": {"audio_data": {"type": "string"}, "recording_id": {"type": "null"}}},
]))]
pub struct TranscriptionRun {
    /// A recording whose sound is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_id: Option<Uuid>,
    /// An audio file. The recording that it becomes has the UUIDv5 of the correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_data: Option<AudioData>,
    /// Labels to find it by, beside those that the recording has.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Travels with the recording untouched.
    #[serde(default)]
    pub metadata: Metadata,
    /// When the sound was captured, by the client's clock; the time of receipt where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// What is asked of the decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<DecodeOptions>,
}

impl Message for RecordingStart {
    const SUBJECT: &'static str = "speakr.command.recording.start";
    const KIND: Kind = Kind::Command;
    const SUMMARY: &'static str = "Begin a recording.";
}

impl Message for RecordingStop {
    const SUBJECT: &'static str = "speakr.command.recording.stop";
    const KIND: Kind = Kind::Command;
    const SUMMARY: &'static str = "End a recording and keep its sound.";
}

impl Message for RecordingCancel {
    const SUBJECT: &'static str = "speakr.command.recording.cancel";
    const KIND: Kind = Kind::Command;
    const SUMMARY: &'static str = "End a recording, or its transcription, and throw it away.";
}

impl Message for TranscriptionRun {
    const SUBJECT: &'static str = "speakr.command.transcription.run";
    const KIND: Kind = Kind::Command;
    const SUMMARY: &'static str =
        "Make the text of a kept recording, or of the sound in this message.";

    fn check(&self) -> Result<(), (&'static str, String)> {
        match (&self.recording_id, &self.audio_data) {
            (Some(_), Some(_)) => Err((
                "audio_data",
                "recording_id is there too: give one of them".to_owned(),
            )),
            (None, None) => Err((
                "recording_id",
                "is missing, and so is audio_data: give one of them".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}
