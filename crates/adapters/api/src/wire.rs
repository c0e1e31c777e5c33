//! What the API says. Fields that this version doesn't know pass.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use speakr_core::{
    RecordingId, RecordingState, Tags,
    recording::Metadata,
    search::{FoundPassage, ListedRecording, SearchMode, SearchResponse, SearchResult},
};

#[derive(Serialize)]
pub(crate) struct QueryRequest<'a> {
    pub(crate) query_text: &'a str,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub(crate) filter_tags: &'a Tags,
    pub(crate) limit: usize,
    pub(crate) mode: SearchMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct QueryResponse {
    results: Vec<QueryResult>,
}

#[derive(Deserialize)]
struct QueryResult {
    recording_id: RecordingId,
    transcribed_text: String,
    tags: Tags,
    #[serde(default)]
    metadata: Metadata,
    similarity: Option<f32>,
    created_at: Timestamp,
    #[serde(default)]
    passages: Vec<FoundPassage>,
}

impl From<QueryResponse> for SearchResponse {
    fn from(response: QueryResponse) -> Self {
        let results: Vec<_> = response
            .results
            .into_iter()
            .map(|found| SearchResult {
                recording_id: found.recording_id,
                similarity: found.similarity,
                created_at: found.created_at,
                tags: found.tags,
                metadata: found.metadata,
                text: found.transcribed_text,
                passages: found.passages,
            })
            .collect();
        Self {
            count: results.len(),
            results,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct RecordingList {
    pub(crate) recordings: Vec<RecordingSummary>,
}

#[derive(Deserialize)]
pub(crate) struct RecordingSummary {
    recording_id: RecordingId,
    created_at: Timestamp,
    duration_ms: Option<u64>,
    pub(crate) tags: Tags,
    state: RecordingState,
    error: Option<String>,
    #[serde(default)]
    without_text: bool,
    transcribed_text: Option<String>,
}

impl From<RecordingSummary> for ListedRecording {
    fn from(summary: RecordingSummary) -> Self {
        Self {
            recording_id: summary.recording_id,
            created_at: summary.created_at,
            duration_ms: summary.duration_ms,
            tags: summary.tags,
            text: summary.transcribed_text.unwrap_or_default(),
            state: summary.state,
            error: summary.error,
            without_text: summary.without_text,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct TagChange<'a> {
    pub(crate) add: &'a Tags,
    pub(crate) remove: &'a Tags,
}

/// RFC 9457.
#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) detail: String,
}
