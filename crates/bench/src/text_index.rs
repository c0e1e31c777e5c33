//! A large index of real text in PostgreSQL, with vectors of the real model, and the truth about it.

use std::{fs, path::Path, time::Instant};

use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingState, Tags,
    ports::{
        embedding::Embedder,
        index::{EmbeddedPassage, Filter, Index, Passage},
        speech::DecodeOptions,
    },
};
use speakr_postgres::{Database, PostgresConfig};
use uuid::Uuid;

use crate::{index_speed::transcript, load::Failure};

/// Passages of a recording.
const RECORDING_PASSAGES: usize = 5;

/// Passages that are embedded at once: many, since those of like length are put together.
const BATCH: usize = 1_024;

/// A tag of few recordings: one in [`RARE_EVERY`] bears it.
pub const RARE: &str = "rare";

/// See [`RARE`].
pub const RARE_EVERY: usize = 1_000;

/// Results that are compared.
const DEPTH: usize = 10;

/// Two cosines closer than this are one: the database computes in single precision.
const SAME: f32 = 1e-5;

/// Passages and their vectors.
#[derive(Debug)]
pub struct Corpus {
    passages: Vec<String>,
    dimensions: usize,
    /// One after the other.
    vectors: Vec<f32>,
}

impl Corpus {
    /// The first `passages` lines of the file `path`, each cut to `most_chars`, with vectors by
    /// `embedder`, which are kept beside the file.
    ///
    /// # Errors
    /// When the file has fewer lines, or can't be read or embedded.
    pub async fn load(
        path: &Path,
        passages: usize,
        most_chars: usize,
        embedder: &dyn Embedder,
    ) -> Result<Self, Failure> {
        let text = fs::read_to_string(path)?;
        let lines: Vec<String> = text
            .lines()
            .take(passages)
            .map(|line| head(line, most_chars).to_owned())
            .collect();
        if lines.len() < passages {
            return Err(format!("{} has only {} lines", path.display(), lines.len()).into());
        }
        let dimensions = embedder.dimensions();
        let kept = path.with_extension(format!(
            "{}.{passages}.{most_chars}.f32",
            embedder.model_id()
        ));
        let vectors = match fs::read(&kept) {
            Ok(bytes) if bytes.len() == passages * dimensions * 4 => bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
            _ => {
                let vectors = embed(&lines, embedder).await?;
                let bytes: Vec<u8> = vectors.iter().flat_map(|v| v.to_le_bytes()).collect();
                fs::write(&kept, bytes)?;
                vectors
            }
        };
        Ok(Self {
            passages: lines,
            dimensions,
            vectors,
        })
    }

    /// How many passages it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.passages.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.passages.is_empty()
    }

    fn vector(&self, number: usize) -> &[f32] {
        self.vectors
            .get(number * self.dimensions..(number + 1) * self.dimensions)
            .unwrap_or_default()
    }

    /// So many queries, each a few words of one passage and a few of another; others for another
    /// `seed`.
    #[must_use]
    pub fn queries(&self, count: usize, seed: u64) -> Vec<String> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut words = || {
            let passage = &self.passages[random.usize(..self.passages.len())];
            let words: Vec<&str> = passage.split_whitespace().collect();
            let start = random.usize(..words.len().saturating_sub(4).max(1));
            words
                .iter()
                .skip(start)
                .take(4)
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        };
        (0..count)
            .map(|_| format!("{} {}", words(), words()))
            .collect()
    }

    /// The cosines of the best [`DEPTH`] passages for `query`, best first; among the tagged alone
    /// where `tagged`.
    fn nearest(&self, query: &[f32], tagged: bool) -> Vec<f32> {
        let mut cosines: Vec<f32> = (0..self.len())
            .filter(|number| !tagged || is_rare(number / RECORDING_PASSAGES))
            .map(|number| {
                let vector = self.vector(number);
                vector.iter().zip(query).map(|(a, b)| a * b).sum()
            })
            .collect();
        cosines.sort_unstable_by(|a, b| b.total_cmp(a));
        cosines.truncate(DEPTH);
        cosines
    }
}

const fn is_rare(recording: usize) -> bool {
    recording.is_multiple_of(RARE_EVERY)
}

/// The words of `line` that fit into `most_chars`.
fn head(line: &str, most_chars: usize) -> &str {
    match line.char_indices().nth(most_chars) {
        Some((end, _)) => {
            let end = line[..end].rfind(' ').unwrap_or(end);
            &line[..end]
        }
        None => line,
    }
}

async fn embed(lines: &[String], embedder: &dyn Embedder) -> Result<Vec<f32>, Failure> {
    let began = Instant::now();
    let mut vectors = Vec::new();
    for (number, batch) in lines.chunks(BATCH).enumerate() {
        for vector in embedder.embed(batch).await? {
            vectors.extend(vector);
        }
        if number % 10 == 9 {
            tell(&format!(
                "{} of {} passages embedded after {:.0?}",
                (number + 1) * BATCH,
                lines.len(),
                began.elapsed()
            ));
        }
    }
    Ok(vectors)
}

/// Fills the index of the database at `url`, if it hasn't all of `corpus` yet.
///
/// # Errors
/// When the database can't.
pub async fn fill(url: &str, corpus: &Corpus, model: &str) -> Result<(), Failure> {
    let database = Database::connect(&PostgresConfig::new(url)).await?;
    let index = database.index();
    let recordings = corpus.len().div_ceil(RECORDING_PASSAGES);
    let there = index.ids().await?.len();
    let began = Instant::now();
    for number in there..recordings {
        let first = number * RECORDING_PASSAGES;
        let last = (first + RECORDING_PASSAGES).min(corpus.len());
        let embedded: Vec<EmbeddedPassage> = (first..last)
            .map(|at| EmbeddedPassage {
                passage: Passage {
                    ordinal: u32::try_from(at - first).unwrap_or_default(),
                    start_ms: (at - first) as u64 * 60_000,
                    end_ms: (at - first) as u64 * 60_000 + 59_000,
                    text: corpus.passages[at].clone(),
                },
                vector: corpus.vector(at).to_vec(),
            })
            .collect();
        let tags = Tags::new(is_rare(number).then_some(RARE));
        let mut recording = Recording::begin(
            CorrelationId::from(Uuid::from_u128(number as u128)),
            Timestamp::from_second(1_600_000_000 + i64::try_from(number)? * 600)?,
            tags,
            DecodeOptions::default(),
        );
        recording.state = RecordingState::Transcribed;
        let transcript = transcript(&recording, &embedded);
        index
            .upsert(&recording, Some(&transcript), &embedded, model)
            .await?;
        if number % 1_000 == 999 {
            tell(&format!(
                "{} of {recordings} recordings stored after {:.0?}",
                number + 1,
                began.elapsed()
            ));
        }
    }
    database.close().await;
    Ok(())
}

/// The share of the truly nearest passages that the index finds, over `queries` queries; within the
/// rare tag where it is named.
///
/// # Errors
/// When the database can't.
pub async fn recall(
    url: &str,
    corpus: &Corpus,
    embedder: &dyn Embedder,
    tag: Option<&str>,
    queries: usize,
) -> Result<f64, Failure> {
    let database = Database::connect(&PostgresConfig::new(url)).await?;
    let index = database.index();
    let filter = Filter {
        tags: Tags::new(tag),
        ..Filter::default()
    };
    let (mut found, mut wanted) = (0, 0);
    for query in corpus.queries(queries, 3) {
        let vectors = embedder.embed(&[query]).await?;
        let vector = vectors.first().ok_or("no vector")?;
        let truth = corpus.nearest(vector, tag.is_some());
        let least = truth.last().copied().unwrap_or_default() - SAME;
        let hits = index
            .vector_hits(vector, embedder.model_id(), &filter, DEPTH)
            .await?;
        let good = hits
            .iter()
            .filter(|hit| hit.cosine.is_some_and(|cosine| cosine >= least))
            .count();
        found += good.min(truth.len());
        wanted += truth.len();
    }
    database.close().await;
    Ok(f64::from(u32::try_from(found)?) / f64::from(u32::try_from(wanted.max(1))?))
}

#[allow(clippy::print_stderr, reason = "progress of a long measurement")]
fn tell(text: &str) {
    eprintln!("{text}");
}
