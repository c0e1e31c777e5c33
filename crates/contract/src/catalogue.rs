//! All messages in one list, for what is made from them: schemas, documents, checks.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::{
    commands::{RecordingCancel, RecordingStart, RecordingStop, TranscriptionRun},
    events::{
        EmbeddingSucceeded, RecordingCancelled, RecordingDeleted, RecordingFinished,
        RecordingStarted, TranscriptionFailed, TranscriptionPartial, TranscriptionSucceeded,
    },
    message::{Kind, Message, Refused, decode},
};

/// One message of the contract.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it is sent to.
    pub subject: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What it says, in one sentence.
    pub summary: &'static str,
    /// Its JSON Schema (draft 2020-12).
    pub schema: Value,
    /// Reads it and writes it again.
    pub reread: fn(&[u8]) -> Result<Value, Refused>,
}

impl Entry {
    fn of<M: Message>() -> Self {
        let schema = SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<M>();
        Self {
            subject: M::SUBJECT,
            kind: M::KIND,
            summary: M::SUMMARY,
            schema: schema.to_value(),
            reread: |payload| {
                let message: M = decode(payload)?;
                serde_json::to_value(message).map_err(|error| Refused {
                    subject: M::SUBJECT,
                    path: ".".to_owned(),
                    reason: error.to_string(),
                })
            },
        }
    }

    /// The subject without what all have in common: `command.recording.start`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.subject.strip_prefix("speakr.").unwrap_or(self.subject)
    }

    /// The name of its schema's file.
    #[must_use]
    pub fn schema_file(&self) -> String {
        format!("{}.json", self.name())
    }
}

/// Every message, commands first.
#[must_use]
pub fn all() -> Vec<Entry> {
    vec![
        Entry::of::<RecordingStart>(),
        Entry::of::<RecordingStop>(),
        Entry::of::<RecordingCancel>(),
        Entry::of::<TranscriptionRun>(),
        Entry::of::<RecordingStarted>(),
        Entry::of::<RecordingFinished>(),
        Entry::of::<RecordingCancelled>(),
        Entry::of::<RecordingDeleted>(),
        Entry::of::<TranscriptionPartial>(),
        Entry::of::<TranscriptionSucceeded>(),
        Entry::of::<TranscriptionFailed>(),
        Entry::of::<EmbeddingSucceeded>(),
    ]
}

/// The message that is sent to `subject`.
#[must_use]
pub fn find(subject: &str) -> Option<Entry> {
    all().into_iter().find(|entry| entry.subject == subject)
}
