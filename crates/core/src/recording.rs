//! A recording: the sound somebody spoke, and what is known of it beside its text.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::speech::DecodeOptions;

/// Namespace of the version-5 UUIDs that are made from correlation ids.
const RECORDING_NAMESPACE: Uuid = Uuid::from_u128(0x8c6f_1d0e_52a7_5b0d_9a3e_4b1f_70c2_d6a5);

/// Names one request from its first command to its last event, over every hop and retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(Uuid);

impl CorrelationId {
    /// A new, random correlation id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl From<Uuid> for CorrelationId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one recording. A pure function of its correlation id, so that a command that is sent
/// again makes no second recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordingId(Uuid);

impl RecordingId {
    /// The recording id that belongs to `correlation` (UUID version 5).
    #[must_use]
    pub fn from_correlation(correlation: CorrelationId) -> Self {
        Self(Uuid::new_v5(
            &RECORDING_NAMESPACE,
            correlation.as_uuid().as_bytes(),
        ))
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The first eight hexadecimal digits: what people see and type.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.simple().to_string()[..8].to_owned()
    }
}

impl From<Uuid> for RecordingId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for RecordingId {
    type Err = uuid::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(s).map(Self)
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of tags: trimmed, without empties and repeats, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Tags(BTreeSet<String>);

impl Tags {
    /// The tags of `items`, cleaned.
    pub fn new<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self(
            items
                .into_iter()
                .map(|t| t.as_ref().trim().to_owned())
                .filter(|t| !t.is_empty())
                .collect(),
        )
    }

    /// Adds the tags of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Takes the tags of `other` away.
    pub fn remove_all(&mut self, other: &Self) {
        self.0.retain(|t| !other.0.contains(t));
    }

    /// Whether every tag of `wanted` is here.
    #[must_use]
    pub fn contains_all(&self, wanted: &Self) -> bool {
        wanted.0.is_subset(&self.0)
    }

    /// The tags in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<String>> for Tags {
    fn from(items: Vec<String>) -> Self {
        Self::new(items)
    }
}

impl From<Tags> for Vec<String> {
    fn from(tags: Tags) -> Self {
        tags.0.into_iter().collect()
    }
}

/// How far a recording has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// Sound is being written, or the process that wrote it is gone.
    Capturing,
    /// The sound is whole and kept; the text isn't made yet.
    Captured,
    /// The text is made and kept beside the sound.
    Transcribed,
    /// Making the text failed; the sound is kept for `retry`.
    Failed,
}

impl RecordingState {
    /// The word for it in JSON and in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capturing => "capturing",
            Self::Captured => "captured",
            Self::Transcribed => "transcribed",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for RecordingState {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "capturing" => Ok(Self::Capturing),
            "captured" => Ok(Self::Captured),
            "transcribed" => Ok(Self::Transcribed),
            "failed" => Ok(Self::Failed),
            other => Err(format!("\"{other}\" is no state of a recording")),
        }
    }
}

/// Free key-value pairs that travel with a recording untouched.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// What is kept of a recording beside its sound and its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Its name.
    pub recording_id: RecordingId,
    /// The request that made it; `retry` uses it again.
    pub correlation_id: CorrelationId,
    /// When its capture began, as the client's clock told it.
    pub created_at: Timestamp,
    /// Length of the sound; unknown while it is captured.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Its tags.
    #[serde(default)]
    pub tags: Tags,
    /// What travels with it.
    #[serde(default)]
    pub metadata: Metadata,
    /// How far it has come.
    pub state: RecordingState,
    /// Why it failed, in state [`RecordingState::Failed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What its speaker asked of the decoder, so that `retry` asks the same.
    #[serde(default)]
    pub options: DecodeOptions,
    /// Who ended it wanted no text of it (for now).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_text: bool,
}

impl Recording {
    /// A recording whose capture begins at `created_at`.
    #[must_use]
    pub fn begin(
        correlation_id: CorrelationId,
        created_at: Timestamp,
        tags: Tags,
        options: DecodeOptions,
    ) -> Self {
        Self {
            recording_id: RecordingId::from_correlation(correlation_id),
            correlation_id,
            created_at,
            duration_ms: None,
            tags,
            metadata: Metadata::new(),
            state: RecordingState::Capturing,
            error: None,
            options,
            without_text: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_id_is_a_function_of_its_correlation_id() {
        let correlation = CorrelationId::random();
        assert_eq!(
            RecordingId::from_correlation(correlation),
            RecordingId::from_correlation(correlation)
        );
        assert_ne!(
            RecordingId::from_correlation(correlation),
            RecordingId::from_correlation(CorrelationId::random())
        );
    }

    #[test]
    fn tags_are_trimmed_deduplicated_and_ordered() {
        let tags = Tags::new([" b ", "a", "", "b"]);
        assert_eq!(Vec::<String>::from(tags), ["a", "b"]);
    }

    #[test]
    fn states_survive_their_names() {
        for state in [
            RecordingState::Capturing,
            RecordingState::Captured,
            RecordingState::Transcribed,
            RecordingState::Failed,
        ] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
