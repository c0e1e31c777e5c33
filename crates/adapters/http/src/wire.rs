//! What goes over HTTP, as the OpenAPI document describes it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speakr_core::{
    Recording, RecordingId, RecordingState, Tags, Transcript,
    ports::index::Entry,
    recording::Metadata,
    search::{SearchResponse, SearchResult},
    transcript::{Language, Segment},
};

/// A search.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct QueryRequest {
    /// What to find: any text, a question too.
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) query_text: String,
    /// Only recordings with all of these tags.
    #[serde(default)]
    pub(crate) filter_tags: Vec<String>,
    /// Most results; 10 where absent.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<u64>,
    /// How to search: by meaning and words (`hybrid`, the default), by one of them alone.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// Only captured at this time (RFC 3339) or later.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) since: Option<Timestamp>,
    /// Only captured before this time (RFC 3339).
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) until: Option<Timestamp>,
}

/// How to search.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    #[default]
    Hybrid,
    Semantic,
    Keyword,
}

/// What was found, best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueryResponse {
    /// The recordings.
    pub(crate) results: Vec<QueryResult>,
    /// How many they are.
    pub(crate) count: usize,
}

/// One recording that was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueryResult {
    /// Its id.
    #[schemars(with = "uuid::Uuid")]
    pub(crate) recording_id: RecordingId,
    /// Its whole text.
    pub(crate) transcribed_text: String,
    /// Its tags.
    #[schemars(with = "Vec<String>")]
    pub(crate) tags: Tags,
    /// What travels with it.
    pub(crate) metadata: Metadata,
    /// Cosine of its best passage and the query, −1 to 1; null in keyword mode.
    pub(crate) similarity: Option<f32>,
    /// When it was captured, as its client told it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) created_at: Timestamp,
    /// Its best passages, best first, three at most.
    pub(crate) passages: Vec<PassageFound>,
}

/// A moment in the sound.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PassageFound {
    /// Its text.
    pub(crate) text: String,
    /// Where it begins, in milliseconds.
    pub(crate) start_ms: u64,
    /// Where it ends, in milliseconds.
    pub(crate) end_ms: u64,
    /// What it is ranked by, at most 1.
    pub(crate) score: f32,
}

impl From<SearchResponse> for QueryResponse {
    fn from(response: SearchResponse) -> Self {
        Self {
            count: response.count,
            results: response.results.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<SearchResult> for QueryResult {
    fn from(found: SearchResult) -> Self {
        Self {
            recording_id: found.recording_id,
            transcribed_text: found.text,
            tags: found.tags,
            metadata: found.metadata,
            similarity: found.similarity,
            created_at: found.created_at,
            passages: found
                .passages
                .into_iter()
                .map(|p| PassageFound {
                    text: p.text,
                    start_ms: p.start_ms,
                    end_ms: p.end_ms,
                    score: p.score,
                })
                .collect(),
        }
    }
}

/// Recordings, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordingList {
    /// The recordings.
    pub(crate) recordings: Vec<RecordingSummary>,
    /// How many they are.
    pub(crate) count: usize,
}

/// How far a recording has come.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Capturing,
    Captured,
    Transcribed,
    Failed,
}

impl From<RecordingState> for State {
    fn from(state: RecordingState) -> Self {
        match state {
            RecordingState::Capturing => Self::Capturing,
            RecordingState::Captured => Self::Captured,
            RecordingState::Transcribed => Self::Transcribed,
            RecordingState::Failed => Self::Failed,
        }
    }
}

/// One recording, in a list and after a change.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordingSummary {
    /// Its id.
    #[schemars(with = "uuid::Uuid")]
    pub(crate) recording_id: RecordingId,
    /// When it was captured.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) created_at: Timestamp,
    /// Length of its sound in milliseconds, where known.
    pub(crate) duration_ms: Option<u64>,
    /// Its tags.
    #[schemars(with = "Vec<String>")]
    pub(crate) tags: Tags,
    /// What travels with it.
    pub(crate) metadata: Metadata,
    /// How far it has come.
    pub(crate) state: State,
    /// Why it failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether who ended it wanted no text of it; absent where it has one, or will have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) without_text: Option<bool>,
    /// Its text; empty where it has none (yet), absent where it wasn't asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transcribed_text: Option<String>,
}

impl RecordingSummary {
    pub(crate) fn new(recording: Recording, text: Option<String>) -> Self {
        Self {
            recording_id: recording.recording_id,
            created_at: recording.created_at,
            duration_ms: recording.duration_ms,
            tags: recording.tags,
            metadata: recording.metadata,
            state: recording.state.into(),
            error: recording.error,
            without_text: recording.without_text.then_some(true),
            transcribed_text: text,
        }
    }
}

impl From<Entry> for RecordingSummary {
    fn from(entry: Entry) -> Self {
        Self::new(entry.recording, Some(entry.text))
    }
}

/// One recording with its text and where in the sound each part of it was said.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RecordingDetail {
    #[serde(flatten)]
    pub(crate) recording: RecordingSummary,
    /// The language spoken, where known.
    #[schemars(with = "Option<String>")]
    pub(crate) language: Option<Language>,
    /// The speech model that made the text; null where there is none yet.
    pub(crate) model: Option<String>,
    /// The parts of the text.
    pub(crate) segments: Vec<SegmentDetail>,
}

/// A part of a text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SegmentDetail {
    /// Where it begins, in milliseconds.
    pub(crate) start_ms: u64,
    /// Where it ends, in milliseconds.
    pub(crate) end_ms: u64,
    /// Its text.
    pub(crate) text: String,
}

impl From<Segment> for SegmentDetail {
    fn from(segment: Segment) -> Self {
        Self {
            start_ms: segment.start_ms,
            end_ms: segment.end_ms,
            text: segment.text,
        }
    }
}

impl RecordingDetail {
    pub(crate) fn new(recording: Recording, transcript: Option<Transcript>) -> Self {
        let (text, language, model, segments) = match transcript {
            Some(t) => (t.text, t.language, Some(t.model), t.segments),
            None => (String::new(), None, None, Vec::new()),
        };
        Self {
            recording: RecordingSummary::new(recording, Some(text)),
            language,
            model,
            segments: segments.into_iter().map(Into::into).collect(),
        }
    }
}

/// A change of tags.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TagChange {
    /// Tags to add.
    #[serde(default)]
    pub(crate) add: Vec<String>,
    /// Tags to take away, before the others are added.
    #[serde(default)]
    pub(crate) remove: Vec<String>,
}

/// Why a request wasn't served (RFC 9457), and the same in the shape of OpenAI's API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
#[allow(dead_code, reason = "its schema is what is used")]
pub(crate) struct ProblemBody {
    /// Which kind of problem.
    pub(crate) r#type: String,
    /// The kind in a few words.
    pub(crate) title: String,
    /// The status code.
    pub(crate) status: u16,
    /// What happened this time.
    pub(crate) detail: String,
    /// What OpenAI's clients read.
    pub(crate) error: serde_json::Value,
}

/// That the server is alive.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Alive {
    /// "alive".
    pub(crate) status: &'static str,
}
