//! How fast a large library answers a process that has just started.
//!
//! The index is filled through its port with text whose words are as unevenly frequent as a
//! language's (Zipf's law) and vectors of the bundled embedder's length; both look random and are
//! the same each time. Each recording has its folder, with its description and its text. What is
//! measured is what the program does from opening the folder to the results; only the query's
//! embedding is left out.

use std::{path::Path, sync::Arc, time::Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use speakr_core::{
    CorrelationId, Recording, RecordingState, Segment, Tags, Transcript,
    ports::{
        embedding::{Embedder, EmbeddingError},
        index::{EmbeddedPassage, Filter, Index, Passage},
        speech::DecodeOptions,
    },
    search::{SearchMode, SearchRequest},
    usecases::library::{Library, Reconciled},
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FlacEncoder};
use speakr_local::{FolderArchive, Home};
use speakr_sqlite::SqliteIndex;
use uuid::Uuid;

/// Any failure of the measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Length of the vectors: all-MiniLM's.
const DIMENSIONS: usize = 384;

/// What the vectors pretend to come from.
const MODEL: &str = "speed-test";

/// Different words.
const VOCABULARY: usize = 30_000;

/// Words of a passage: some 200 tokens.
const PASSAGE_WORDS: usize = 150;

/// Passages of a recording.
const RECORDING_PASSAGES: usize = 5;

/// Every recording bears "all", every second "half", every tenth "tenth", every hundredth "rare".
const TAGS: [(&str, usize); 4] = [("all", 1), ("half", 2), ("tenth", 10), ("rare", 100)];

/// Numbers that look random and are the same each time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A vector of unit length.
    fn vector(&mut self) -> Vec<f32> {
        let mut vector: Vec<f32> = Vec::with_capacity(DIMENSIONS);
        while vector.len() < DIMENSIONS {
            // Sums of four uniform numbers: near enough to a bell curve.
            let bits = self.next();
            let sum: f32 = (0..4).map(|i| f32::from((bits >> (i * 16)) as u16)).sum();
            vector.push(sum - 131_070.0);
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter().map(|v| v / length).collect()
    }
}

/// Words as frequent as in a language: the n-th with a frequency of 1/(n + 2.7).
struct Language {
    cumulated: Vec<f64>,
}

impl Language {
    fn new() -> Self {
        let mut sum = 0.0;
        let cumulated = (0..VOCABULARY)
            .map(|rank| {
                sum += 1.0 / (rank as f64 + 2.7);
                sum
            })
            .collect();
        Self { cumulated }
    }

    /// The word of this rank, in syllables.
    fn word(rank: usize) -> String {
        const CONSONANTS: &[u8] = b"bdfghklmnprstvz";
        const VOWELS: &[u8] = b"aeiou";
        let mut word = String::new();
        let mut rest = rank + 75;
        while rest > 0 {
            word.push(char::from(CONSONANTS[rest % 15]));
            word.push(char::from(VOWELS[rest / 15 % 5]));
            rest /= 75;
        }
        word
    }

    fn text(&self, numbers: &mut Numbers, words: usize) -> String {
        let total = self.cumulated.last().copied().unwrap_or(1.0);
        let words: Vec<String> = (0..words)
            .map(|_| {
                let at = numbers.share() * total;
                Self::word(self.cumulated.partition_point(|c| *c < at))
            })
            .collect();
        words.join(" ")
    }
}

/// The vector of passage `number`.
fn passage_vector(number: usize) -> Vec<f32> {
    Numbers((number as u64) << 32).vector()
}

/// Fills a new library in `home` with `passages` passages; tells `progress` how many are in.
///
/// # Errors
/// Whatever the index can't do.
pub async fn fill(home: &Path, passages: usize, progress: &dyn Fn(usize)) -> Result<(), Failure> {
    let home = Home::new(home);
    home.create()?;
    let index = SqliteIndex::open(&home.index(), &home.backups()).await?;
    let mut numbers = Numbers(1);
    let language = Language::new();
    for number in 0..passages.div_ceil(RECORDING_PASSAGES) {
        let tags = TAGS
            .iter()
            .filter(|(_, every)| number % every == 0)
            .map(|(tag, _)| *tag);
        let mut recording = Recording::begin(
            CorrelationId::from(Uuid::from_u128(number as u128)),
            Timestamp::from_second(1_600_000_000 + i64::try_from(number)? * 600)?,
            Tags::new(tags),
            DecodeOptions::default(),
        );
        recording.state = RecordingState::Transcribed;
        let embedded: Vec<EmbeddedPassage> = (0..RECORDING_PASSAGES)
            .map(|ordinal| EmbeddedPassage {
                passage: Passage {
                    ordinal: ordinal as u32,
                    start_ms: ordinal as u64 * 60_000,
                    end_ms: ordinal as u64 * 60_000 + 59_000,
                    text: language.text(&mut numbers, PASSAGE_WORDS),
                },
                vector: passage_vector(number * RECORDING_PASSAGES + ordinal),
            })
            .collect();
        let transcript = transcript(&recording, &embedded);
        let folder = home.recording(recording.recording_id);
        std::fs::create_dir(&folder)?;
        std::fs::write(
            folder.join("recording.json"),
            serde_json::to_vec(&recording)?,
        )?;
        std::fs::write(
            folder.join("transcript.json"),
            serde_json::to_vec(&transcript)?,
        )?;
        index
            .upsert(&recording, Some(&transcript), &embedded, MODEL)
            .await?;
        progress((number + 1) * RECORDING_PASSAGES);
    }
    index.close().await;
    Ok(())
}

/// The transcript of a recording that consists of these passages.
pub(crate) fn transcript(recording: &Recording, passages: &[EmbeddedPassage]) -> Transcript {
    let segments: Vec<Segment> = passages
        .iter()
        .map(|p| Segment {
            start_ms: p.passage.start_ms,
            end_ms: p.passage.end_ms,
            text: p.passage.text.clone(),
            words: None,
        })
        .collect();
    Transcript {
        recording_id: recording.recording_id,
        text: speakr_core::transcript::join_texts(&segments),
        language: None,
        duration_ms: passages.len() as u64 * 60_000,
        model: "none".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments,
    }
}

/// An embedder whose only vector is there already: what is measured is the rest.
struct Ready(Vec<f32>);

#[async_trait]
impl Embedder for Ready {
    fn model_id(&self) -> &str {
        MODEL
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        Ok(texts.iter().map(|_| self.0.clone()).collect())
    }
}

/// What one process saw.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Timing {
    /// Opening the library, with a look whether archive and index agree, milliseconds.
    pub open_ms: f64,
    /// The search, or the listing.
    pub work_ms: f64,
    /// Results.
    pub results: usize,
}

impl Timing {
    /// Both together.
    #[must_use]
    pub fn total_ms(&self) -> f64 {
        self.open_ms + self.work_ms
    }
}

/// A query: two words of everyday, one of now and then, two that are rare.
#[must_use]
pub fn query() -> String {
    [12, 45, 400, 3_000, 9_000].map(Language::word).join(" ")
}

/// The library in `home`, opened as the program opens it, and how long that took.
async fn open(home: &Path) -> Result<(Library, f64), Failure> {
    let ffmpeg = Ffmpeg::from_env();
    let start = Instant::now();
    let archive = FolderArchive::open(
        home,
        Arc::new(FlacEncoder::new(ffmpeg.clone())),
        Arc::new(FfmpegDecoder::new(ffmpeg)),
    )?;
    let home = Home::new(home);
    let index = SqliteIndex::open(&home.index(), &home.backups()).await?;
    let query = Ready(Numbers(99).vector());
    let library = Library::new(Arc::new(archive), Arc::new(index), Arc::new(query));
    let mended = library.reconcile().await?;
    let open_ms = start.elapsed().as_secs_f64() * 1_000.0;
    if mended != Reconciled::default() {
        return Err("archive and index don't agree".into());
    }
    Ok((library, open_ms))
}

/// Opens the library in `home` and searches it once. To be called first thing in a new process.
///
/// # Errors
/// Whatever the library can't do.
pub async fn search_once(home: &Path, tags: &Tags, mode: SearchMode) -> Result<Timing, Failure> {
    let (library, open_ms) = open(home).await?;
    let request = SearchRequest {
        filter: Filter {
            tags: tags.clone(),
            ..Filter::default()
        },
        mode,
        ..SearchRequest::new(query())
    };
    let start = Instant::now();
    if mode != SearchMode::Keyword {
        library.embed_pending(usize::MAX, &|_| ()).await?;
    }
    let response = library.search(&request).await?;
    Ok(Timing {
        open_ms,
        work_ms: start.elapsed().as_secs_f64() * 1_000.0,
        results: response.count,
    })
}

/// Opens the library in `home` and lists the newest ten. To be called first thing in a new process.
///
/// # Errors
/// Whatever the library can't do.
pub async fn list_once(home: &Path) -> Result<Timing, Failure> {
    let (library, open_ms) = open(home).await?;
    let start = Instant::now();
    let listed = library.list(&Filter::default(), 10).await?;
    Ok(Timing {
        open_ms,
        work_ms: start.elapsed().as_secs_f64() * 1_000.0,
        results: listed.len(),
    })
}

/// How many of the passages that are truly nearest a search by meaning finds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exactness {
    /// Searches.
    pub searches: usize,
    /// The share of the 10 best that is among the 10 first found.
    pub of_ten: f64,
    /// The same of 50: what a hybrid search of ten results looks at.
    pub of_fifty: f64,
}

/// Searches the index in `home`, which [`fill`] filled with `passages`, for `searches` vectors that
/// look random and compares with all cosines. Nothing is near such vectors, so it is the hardest
/// case: the best differ least from the rest.
///
/// # Errors
/// Whatever the index can't do.
pub async fn exactness(
    home: &Path,
    passages: usize,
    searches: usize,
) -> Result<Exactness, Failure> {
    let home = Home::new(home);
    let index = SqliteIndex::open(&home.index(), &home.backups()).await?;
    let vectors: Vec<Vec<f32>> = (0..passages).map(passage_vector).collect();
    let mut exactness = Exactness {
        searches,
        ..Exactness::default()
    };
    for search in 0..searches {
        let query = Numbers(u64::MAX - search as u64).vector();
        let mut all: Vec<f32> = vectors
            .iter()
            .map(|v| v.iter().zip(&query).map(|(a, b)| a * b).sum())
            .collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let found: Vec<f32> = index
            .vector_hits(&query, MODEL, &Filter::default(), 50)
            .await?
            .iter()
            .filter_map(|hit| hit.cosine)
            .collect();
        let share = |best: usize| {
            // Sums in another order differ in the last digits.
            let least = all.get(best - 1).copied().unwrap_or(-1.0) - 1e-6;
            let found = found.iter().take(best).filter(|c| **c >= least).count();
            found as f64 / best.min(all.len()).max(1) as f64
        };
        exactness.of_ten += share(10) / searches as f64;
        exactness.of_fifty += share(50) / searches as f64;
    }
    Ok(exactness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_different_ranks_differ() {
        let words: std::collections::HashSet<_> = (0..VOCABULARY).map(Language::word).collect();
        assert_eq!(words.len(), VOCABULARY);
    }

    #[tokio::test]
    async fn a_filled_index_answers_within_its_tags() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 300, &|_| ()).await.unwrap();
        for (tag, every) in TAGS {
            let tags = Tags::new([tag]);
            for mode in [SearchMode::Hybrid, SearchMode::Semantic] {
                let timing = search_once(folder.path(), &tags, mode).await.unwrap();
                assert_eq!(timing.results, 60_usize.div_ceil(every).min(10), "{tag}");
            }
        }
        assert_eq!(list_once(folder.path()).await.unwrap().results, 10);
        let exactness = exactness(folder.path(), 300, 3).await.unwrap();
        assert!(
            exactness.of_ten > 0.999 && exactness.of_fifty > 0.999,
            "{exactness:?}"
        );
    }
}
