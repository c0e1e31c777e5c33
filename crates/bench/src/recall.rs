//! Found by meaning: recall of paraphrase queries among many distractors.
//!
//! Every recording and every distractor is a recording of its own in a fresh library, filed and
//! searched through the same code as the program's.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use jiff::Timestamp;
use rust_stemmers::{Algorithm, Stemmer};
use serde::Serialize;
use speakr_core::{
    CorrelationId, Recording, RecordingId, Segment, Tags, Transcript,
    ports::{archive::Archive, embedding::Embedder, index::Index, speech::DecodeOptions},
    search::{SearchMode, SearchRequest},
    usecases::library::Library,
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FlacEncoder};
use speakr_local::FolderArchive;
use speakr_sqlite::SqliteIndex;
use uuid::Uuid;

/// Any failure of the measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Results that are looked at.
const DEPTH: usize = 10;

/// One query and the recording it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What is asked.
    pub text: String,
    /// Name of the recording to be found.
    pub expected: String,
}

/// What is searched: a name and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The recording's file name, or the distractor's source and number.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Everything of `data/recall`.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Queries that say what a recording says, in other words.
    pub paraphrases: Vec<Query>,
    /// Queries that hint at a recording as one vaguely recalls it; some ask for what its words
    /// don't hold (an author's name, what follows from it).
    pub hints: Vec<Query>,
    /// What they are about.
    pub recordings: Vec<Document>,
    /// What they aren't about.
    pub distractors: Vec<Document>,
}

/// Rows of a table of tab-separated values, without its heading.
fn rows(path: &Path) -> Result<Vec<Vec<String>>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text
        .lines()
        .skip(1)
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect())
}

impl Collection {
    /// All queries.
    pub fn queries(&self) -> impl Iterator<Item = &Query> {
        self.paraphrases.iter().chain(&self.hints)
    }

    /// Reads the tables in `folder`.
    ///
    /// # Errors
    /// When one is missing or a row is short.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let pair = |name: &str, at: [usize; 2]| -> Result<Vec<(String, String)>, Failure> {
            let path = folder.join(name);
            rows(&path)?
                .into_iter()
                .map(|row| match (row.get(at[0]), row.get(at[1])) {
                    (Some(a), Some(b)) => Ok((a.clone(), b.clone())),
                    _ => Err(format!("{}: a short row", path.display()).into()),
                })
                .collect()
        };
        let queries = |name: &str| -> Result<Vec<Query>, Failure> {
            Ok(pair(name, [0, 1])?
                .into_iter()
                .map(|(text, expected)| Query { text, expected })
                .collect())
        };
        Ok(Self {
            paraphrases: queries("paraphrases.tsv")?,
            hints: queries("hints.tsv")?,
            recordings: pair("recordings.tsv", [0, 2])?
                .into_iter()
                .map(|(name, text)| Document { name, text })
                .collect(),
            distractors: pair("distractors.tsv", [0, 1])?
                .into_iter()
                .enumerate()
                .map(|(number, (source, text))| Document {
                    name: format!("{source} {number}"),
                    text,
                })
                .collect(),
        })
    }

    /// The collection in the source tree.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn bundled() -> Result<Self, Failure> {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/recall"))
    }
}

/// Stems of the content words of `text`: function words are left out.
#[must_use]
pub fn content_stems(text: &str) -> BTreeSet<String> {
    let stemmer = Stemmer::create(Algorithm::English);
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !FUNCTION_WORDS.contains(word))
        .map(|word| stemmer.stem(word).into_owned())
        .collect()
}

/// English function words: pronouns, articles, prepositions, conjunctions, auxiliaries, and what is
/// left of a contraction.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "behind", "but", "by", "can", "could", "d", "did", "didn", "do", "does", "don",
    "for", "from", "had", "has", "have", "he", "her", "hers", "him", "himself", "his", "how", "i",
    "if", "in", "instead", "into", "is", "it", "its", "itself", "ll", "m", "may", "me", "must",
    "my", "no", "not", "of", "off", "on", "or", "other", "our", "out", "re", "s", "she", "should",
    "so", "t", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "under", "us", "ve", "was", "we", "were", "what", "when", "which", "while",
    "who", "why", "will", "with", "would", "you", "your",
];

/// A library with a collection in it, in a scratch folder that goes with it.
pub struct SearchableCollection {
    library: Library,
    names: std::collections::HashMap<RecordingId, String>,
    _folder: tempfile::TempDir,
}

impl std::fmt::Debug for SearchableCollection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchableCollection")
            .field("documents", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl SearchableCollection {
    /// Files all of `collection`, embedded by `embedder`; tells `progress` how many are done.
    ///
    /// # Errors
    /// Whatever the library can't do.
    pub async fn file(
        collection: &Collection,
        embedder: Arc<dyn Embedder>,
        progress: &dyn Fn(usize),
    ) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let ffmpeg = Ffmpeg::from_env();
        let archive = FolderArchive::open(
            folder.path().join("home"),
            Arc::new(FlacEncoder::new(ffmpeg.clone())),
            Arc::new(FfmpegDecoder::new(ffmpeg)),
        )?;
        let home = archive.home().clone();
        let index = SqliteIndex::open(&home.index(), &home.backups()).await?;
        let archive: Arc<dyn Archive> = Arc::new(archive);
        let index: Arc<dyn Index> = Arc::new(index);
        let library = Library::new(Arc::clone(&archive), index, embedder);
        let mut names = std::collections::HashMap::new();
        let documents = collection.recordings.iter().chain(&collection.distractors);
        for (number, document) in documents.enumerate() {
            let recording = recording(number)?;
            drop(archive.begin(&recording).await?);
            library
                .file(&transcript(&recording, &document.text))
                .await?;
            names.insert(recording.recording_id, document.name.clone());
            progress(number + 1);
        }
        Ok(Self {
            library,
            names,
            _folder: folder,
        })
    }

    /// Names of what `query` finds, best first, with their scores.
    ///
    /// # Errors
    /// Whatever the library can't do.
    pub async fn search(
        &self,
        query: &str,
        mode: SearchMode,
    ) -> Result<Vec<(String, f32)>, Failure> {
        let request = SearchRequest {
            mode,
            limit: DEPTH,
            ..SearchRequest::new(query)
        };
        let response = self.library.search(&request).await?;
        Ok(response
            .results
            .into_iter()
            .filter_map(|result| {
                let score = result.passages.first()?.score;
                Some((self.names.get(&result.recording_id)?.clone(), score))
            })
            .collect())
    }
}

/// The same ids each time, so that ties fall the same.
fn recording(number: usize) -> Result<Recording, Failure> {
    let correlation = CorrelationId::from(Uuid::from_u128(number as u128));
    let created_at = Timestamp::from_second(1_700_000_000 + i64::try_from(number)?)?;
    Ok(Recording::begin(
        correlation,
        created_at,
        Tags::default(),
        DecodeOptions::default(),
    ))
}

fn transcript(recording: &Recording, text: &str) -> Transcript {
    // As fast as people speak: 400 ms a word.
    let duration_ms = 400 * text.split_whitespace().count() as u64;
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms,
        model: "none".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments: vec![Segment {
            start_ms: 0,
            end_ms: duration_ms,
            text: text.to_owned(),
            words: None,
        }],
    }
}

/// How a mode did.
#[derive(Debug, Clone, Serialize)]
pub struct ModeRecall {
    /// Which mode.
    pub mode: SearchMode,
    /// How many queries were asked.
    pub queries: usize,
    /// Share of the queries whose recording came first …
    pub recall_at_1: f64,
    /// … among the first three …
    pub recall_at_3: f64,
    /// … among the first ten.
    pub recall_at_10: f64,
    /// The queries that failed at three: text, what was expected, its place (from 1) if any, and
    /// what came first.
    pub missed: Vec<Missed>,
}

/// A query whose recording wasn't among the first three.
#[derive(Debug, Clone, Serialize)]
pub struct Missed {
    /// The query.
    pub query: String,
    /// What it is about.
    pub expected: String,
    /// At which place that came, where among the first ten.
    pub place: Option<usize>,
    /// What came first.
    pub first: Option<String>,
}

/// Asks all queries in `mode`.
///
/// # Errors
/// Whatever the library can't do.
pub async fn measure(
    searchable: &SearchableCollection,
    queries: &[Query],
    mode: SearchMode,
) -> Result<ModeRecall, Failure> {
    let mut hits = [0_usize; 3];
    let mut missed = Vec::new();
    for query in queries {
        let found = searchable.search(&query.text, mode).await?;
        let place = found
            .iter()
            .position(|(name, _)| *name == query.expected)
            .map(|index| index + 1);
        for (hit, depth) in hits.iter_mut().zip([1, 3, DEPTH]) {
            *hit += usize::from(place.is_some_and(|p| p <= depth));
        }
        if place.is_none_or(|p| p > 3) {
            missed.push(Missed {
                query: query.text.clone(),
                expected: query.expected.clone(),
                place,
                first: found.into_iter().next().map(|(name, _)| name),
            });
        }
    }
    let share = |hit: usize| hit as f64 / queries.len().max(1) as f64;
    Ok(ModeRecall {
        mode,
        queries: queries.len(),
        recall_at_1: share(hits[0]),
        recall_at_3: share(hits[1]),
        recall_at_10: share(hits[2]),
        missed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_queries_and_distractors_and_all_are_in_order() {
        let collection = Collection::bundled().unwrap();
        assert!(collection.paraphrases.len() >= 40);
        assert!(collection.distractors.len() >= 1_000);
        for distractor in &collection.distractors {
            let words = distractor.text.split_whitespace().count();
            assert!((20..=120).contains(&words), "{}: {words}", distractor.name);
        }
        let names: BTreeSet<_> = collection.recordings.iter().map(|r| &r.name).collect();
        assert_eq!(names.len(), collection.recordings.len());
        let texts: BTreeSet<_> = collection.queries().map(|q| &q.text).collect();
        assert_eq!(texts.len(), collection.queries().count());
    }

    #[test]
    fn no_query_shares_a_content_word_with_its_recording() {
        let collection = Collection::bundled().unwrap();
        let mut offenders = Vec::new();
        for query in collection.queries() {
            let recording = collection
                .recordings
                .iter()
                .find(|r| r.name == query.expected)
                .unwrap_or_else(|| panic!("no recording {}", query.expected));
            let asked = content_stems(&query.text);
            let said = content_stems(&recording.text);
            let shared: Vec<_> = asked.intersection(&said).collect();
            if !shared.is_empty() {
                offenders.push(format!("\"{}\" shares {shared:?}", query.text));
            }
            assert!(asked.len() >= 2, "\"{}\" asks for nothing", query.text);
        }
        assert!(offenders.is_empty(), "{offenders:#?}");
    }

    #[test]
    fn stems_see_through_forms_and_function_words() {
        assert_eq!(
            content_stems("the runner was running"),
            content_stems("Runner; run!")
        );
        assert!(content_stems("what is it about").is_empty());
    }
}
