//! Search: what is asked, how keyword and vector hits are fused, what is answered.

use std::{collections::HashMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ports::index::{Entry, Filter, PassageHit},
    recording::{Metadata, RecordingId, RecordingState, Tags},
};

/// Most passages that a result shows.
pub const PASSAGES_PER_RESULT: usize = 3;

/// How much a passage that holds all words of the query gains by that alone. Below 1, so that
/// likeness in meaning still tells such passages apart.
const KEYWORD_WEIGHT: f32 = 0.5;

/// How to search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning and by words.
    #[default]
    Hybrid,
    /// By meaning alone.
    Semantic,
    /// By words alone; the embedder isn't needed.
    Keyword,
}

impl SearchMode {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Semantic => "semantic",
            Self::Keyword => "keyword",
        }
    }
}

impl fmt::Display for SearchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no search mode; there are hybrid, semantic and keyword")]
pub struct UnknownMode(pub String);

impl FromStr for SearchMode {
    type Err = UnknownMode;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [Self::Hybrid, Self::Semantic, Self::Keyword]
            .into_iter()
            .find(|mode| mode.as_str() == s)
            .ok_or_else(|| UnknownMode(s.to_owned()))
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// The query: any text is one.
    pub query: String,
    /// Which recordings to look at.
    pub filter: Filter,
    /// How to search.
    pub mode: SearchMode,
    /// Most results.
    pub limit: usize,
}

impl SearchRequest {
    /// A hybrid search of all recordings for the ten best.
    #[must_use]
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            filter: Filter::default(),
            mode: SearchMode::default(),
            limit: 10,
        }
    }
}

/// What is answered, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchResponse {
    /// The recordings found.
    pub results: Vec<SearchResult>,
    /// How many they are.
    pub count: usize,
}

/// One recording that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Its id.
    pub recording_id: RecordingId,
    /// Cosine of its best passage and the query; null in keyword mode.
    pub similarity: Option<f32>,
    /// When it was captured.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: Tags,
    /// What travels with it.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its whole text.
    pub text: String,
    /// Its best passages, best first, at most [`PASSAGES_PER_RESULT`].
    pub passages: Vec<FoundPassage>,
}

/// One passage that was found: a moment in the sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundPassage {
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Its text.
    pub text: String,
    /// What it is ranked by: the cosine (semantic), the share of the query's words that it holds,
    /// rare words weighing more (keyword), or both fused (hybrid). At most 1.
    pub score: f32,
}

/// The answer to `list` and `retry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The recordings.
    pub recordings: Vec<ListedRecording>,
    /// How many they are.
    pub count: usize,
}

/// One recording in a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedRecording {
    /// Its id.
    pub recording_id: RecordingId,
    /// When it was captured.
    pub created_at: Timestamp,
    /// Length of its sound, where known.
    pub duration_ms: Option<u64>,
    /// Its tags.
    pub tags: Tags,
    /// Its text; empty where it has none (yet).
    pub text: String,
    /// How far it has come.
    pub state: RecordingState,
    /// Why it failed, in state [`RecordingState::Failed`].
    #[serde(skip)]
    pub error: Option<String>,
    /// Whether no text of it was wanted, in state [`RecordingState::Captured`].
    #[serde(skip)]
    pub without_text: bool,
}

impl From<Entry> for ListedRecording {
    fn from(entry: Entry) -> Self {
        Self {
            recording_id: entry.recording.recording_id,
            created_at: entry.recording.created_at,
            duration_ms: entry.recording.duration_ms,
            tags: entry.recording.tags,
            text: entry.text,
            state: entry.recording.state,
            error: entry.recording.error,
            without_text: entry.recording.without_text,
        }
    }
}

impl From<Vec<Entry>> for Listing {
    fn from(entries: Vec<Entry>) -> Self {
        entries
            .into_iter()
            .map(ListedRecording::from)
            .collect::<Vec<_>>()
            .into()
    }
}

impl From<Vec<ListedRecording>> for Listing {
    fn from(recordings: Vec<ListedRecording>) -> Self {
        Self {
            count: recordings.len(),
            recordings,
        }
    }
}

/// One recording's hits, before its text is fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingHit {
    /// The recording.
    pub recording_id: RecordingId,
    /// Cosine of its best passage.
    pub similarity: Option<f32>,
    /// Its best passages, best first.
    pub passages: Vec<FoundPassage>,
}

/// Fuses keyword and vector hits into recordings, best first.
///
/// The two evidences add like chances of independent signs (noisy-or):
/// `1 − (1 − cosine)(1 − w·coverage²)`. Unlike reciprocal rank fusion this asks how good a hit
/// is, not only which place it took: the best of bad keyword hits takes first place in its list
/// for a paraphrase too, and would push the right passage down. Squaring the coverage makes one
/// word of many count for little and all of them for much.
///
/// Ties fall by id and ordinal, so that the same index answers the same each time.
#[must_use]
pub fn fuse(
    mode: SearchMode,
    keyword: Vec<PassageHit>,
    semantic: Vec<PassageHit>,
) -> Vec<RecordingHit> {
    let mut passages: HashMap<(RecordingId, u32), PassageHit> = HashMap::new();
    for hit in keyword.into_iter().chain(semantic) {
        let known = passages
            .entry((hit.recording_id, hit.passage.ordinal))
            .or_insert_with(|| hit.clone());
        known.cosine = known.cosine.or(hit.cosine);
        known.coverage = known.coverage.or(hit.coverage);
    }

    let mut scored: Vec<(f32, PassageHit)> = passages
        .into_values()
        .map(|hit| (score(mode, &hit), hit))
        .collect();
    scored.sort_by(|(a, hit_a), (b, hit_b)| {
        let key = |hit: &PassageHit| (hit.recording_id, hit.passage.ordinal);
        b.total_cmp(a).then_with(|| key(hit_a).cmp(&key(hit_b)))
    });

    // Passages come best first, so a recording's place is that of its best passage.
    let mut places: HashMap<RecordingId, usize> = HashMap::new();
    let mut recordings: Vec<RecordingHit> = Vec::new();
    for (score, hit) in scored {
        let place = *places.entry(hit.recording_id).or_insert_with(|| {
            recordings.push(RecordingHit {
                recording_id: hit.recording_id,
                similarity: None,
                passages: Vec::new(),
            });
            recordings.len() - 1
        });
        let recording = &mut recordings[place];
        if mode != SearchMode::Keyword {
            recording.similarity = match (recording.similarity, hit.cosine) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
        }
        if recording.passages.len() < PASSAGES_PER_RESULT {
            recording.passages.push(FoundPassage {
                start_ms: hit.passage.start_ms,
                end_ms: hit.passage.end_ms,
                text: hit.passage.text,
                score,
            });
        }
    }
    recordings
}

fn score(mode: SearchMode, hit: &PassageHit) -> f32 {
    let cosine = hit.cosine.unwrap_or(0.0);
    let coverage = hit.coverage.unwrap_or(0.0);
    match mode {
        SearchMode::Semantic => cosine,
        SearchMode::Keyword => coverage,
        SearchMode::Hybrid => 1.0 - (1.0 - cosine) * (1.0 - KEYWORD_WEIGHT * coverage * coverage),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ports::index::Passage;

    fn hit(
        recording: u128,
        ordinal: u32,
        cosine: Option<f32>,
        coverage: Option<f32>,
    ) -> PassageHit {
        PassageHit {
            recording_id: RecordingId::from(Uuid::from_u128(recording)),
            passage: Passage {
                ordinal,
                start_ms: u64::from(ordinal) * 1_000,
                end_ms: u64::from(ordinal) * 1_000 + 900,
                text: format!("passage {ordinal} of {recording}"),
            },
            cosine,
            coverage,
        }
    }

    fn order(hits: &[RecordingHit]) -> Vec<u128> {
        hits.iter()
            .map(|h| h.recording_id.as_uuid().as_u128())
            .collect()
    }

    #[test]
    fn weak_keyword_matches_do_not_push_a_paraphrase_down() {
        let noise: Vec<_> = (10..60).map(|r| hit(r, 0, Some(0.15), Some(0.3))).collect();
        let found = fuse(SearchMode::Hybrid, noise, vec![hit(1, 0, Some(0.35), None)]);
        assert_eq!(order(&found)[0], 1);
    }

    #[test]
    fn a_rare_name_beats_what_is_merely_alike() {
        let named = hit(1, 0, Some(0.2), Some(1.0));
        let alike: Vec<_> = (10..30).map(|r| hit(r, 0, Some(0.5), None)).collect();
        let found = fuse(SearchMode::Hybrid, vec![named], alike);
        assert_eq!(order(&found)[0], 1);
    }

    #[test]
    fn a_recording_shows_its_best_passages_best_first_and_its_best_cosine() {
        let semantic = (0..5)
            .map(|i| hit(1, i, Some(0.1 * i as f32), None))
            .collect();
        let found = fuse(SearchMode::Semantic, Vec::new(), semantic);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].similarity, Some(0.4));
        let starts: Vec<_> = found[0].passages.iter().map(|p| p.start_ms).collect();
        assert_eq!(starts, [4_000, 3_000, 2_000]);
    }

    #[test]
    fn keyword_mode_tells_no_similarity() {
        let found = fuse(
            SearchMode::Keyword,
            vec![hit(1, 0, Some(0.9), Some(0.5))],
            vec![],
        );
        assert_eq!(found[0].similarity, None);
        assert_eq!(found[0].passages[0].score, 0.5);
    }

    #[test]
    fn the_wire_shape_is_as_documented() {
        let created_at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let id = Uuid::from_u128(7);
        let response = SearchResponse {
            results: vec![SearchResult {
                recording_id: RecordingId::from(id),
                similarity: None,
                created_at,
                tags: Tags::new(["a"]),
                metadata: Metadata::new(),
                text: "t".to_owned(),
                passages: vec![FoundPassage {
                    start_ms: 1,
                    end_ms: 2,
                    text: "p".to_owned(),
                    score: 0.5,
                }],
            }],
            count: 1,
        };
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            serde_json::json!({
                "results": [{
                    "recording_id": id, "similarity": null,
                    "created_at": "2026-01-02T03:04:05Z", "tags": ["a"], "metadata": {}, "text": "t",
                    "passages": [{"start_ms": 1, "end_ms": 2, "text": "p", "score": 0.5}],
                }],
                "count": 1,
            })
        );
    }

    prop_compose! {
        fn any_hit()(
            recording in 0_u128..8,
            ordinal in 0_u32..6,
            cosine in prop::option::of(-1.0_f32..=1.0),
            coverage in prop::option::of(0.0_f32..=1.0),
        ) -> PassageHit {
            hit(recording, ordinal, cosine, coverage)
        }
    }

    proptest! {
        #[test]
        fn each_recording_comes_once_best_first_in_the_same_order_each_time(
            keyword in prop::collection::vec(any_hit(), 0..40),
            semantic in prop::collection::vec(any_hit(), 0..40),
            mode in prop::sample::select(&[
                SearchMode::Hybrid, SearchMode::Semantic, SearchMode::Keyword,
            ][..]),
        ) {
            let found = fuse(mode, keyword.clone(), semantic.clone());
            prop_assert_eq!(&found, &fuse(mode, keyword.clone(), semantic.clone()));
            let mut ids = order(&found);
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), found.len());
            let best: Vec<f32> = found.iter().map(|r| r.passages[0].score).collect();
            prop_assert!(best.windows(2).all(|w| w[0] >= w[1]));
            for recording in &found {
                prop_assert!(recording.passages.len() <= PASSAGES_PER_RESULT);
                prop_assert!(recording.passages.windows(2).all(|w| w[0].score >= w[1].score));
                prop_assert!(recording.passages.iter().all(|p| p.score <= 1.0));
            }
            let all: std::collections::BTreeSet<_> =
                keyword.iter().chain(&semantic).map(|h| h.recording_id).collect();
            prop_assert_eq!(all.len(), found.len());
        }

        #[test]
        fn more_evidence_of_either_kind_never_ranks_lower(
            cosine in 0.0_f32..0.9, coverage in 0.0_f32..0.9,
            more in 0.001_f32..0.1, by_meaning: bool,
        ) {
            let (up_cosine, up_coverage) = if by_meaning { (more, 0.0) } else { (0.0, more) };
            let plain = hit(1, 0, Some(cosine), Some(coverage));
            let better = hit(2, 0, Some(cosine + up_cosine), Some(coverage + up_coverage));
            prop_assert!(score(SearchMode::Hybrid, &better) >= score(SearchMode::Hybrid, &plain));
        }
    }
}
