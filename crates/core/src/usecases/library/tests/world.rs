//! A library in memory, and what is spoken into it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Library, LibraryError},
    archive::{Meanwhile, MemoryArchive},
    index::MemoryIndex,
};
use crate::{
    CorrelationId, Recording, RecordingId, RecordingState, Segment, Tags, Transcript,
    ports::{
        archive::{Archive, ArchiveError},
        condemned::Condemned,
        copies::{Copies, CopiesError},
        embedding::{Embedder, EmbeddingError},
        index::{Filter, Index},
        speech::DecodeOptions,
    },
    search::{SearchMode, SearchRequest},
};

pub(super) const MODES: [SearchMode; 3] = [
    SearchMode::Hybrid,
    SearchMode::Semantic,
    SearchMode::Keyword,
];

const DIMENSIONS: usize = 64;

/// A bag of words: each adds to a place that its letters choose. Texts of the same words are alike.
pub(super) struct WordEmbedder {
    model: &'static str,
    pub(super) is_down: AtomicBool,
    /// Texts that hold this can't be read.
    pub(super) unreadable: Mutex<Option<&'static str>>,
    /// While it computes, whether it will manage or not.
    pub(super) meanwhile: Meanwhile,
}

impl WordEmbedder {
    fn new(model: &'static str) -> Arc<Self> {
        Arc::new(Self {
            model,
            is_down: AtomicBool::new(false),
            unreadable: Mutex::default(),
            meanwhile: Meanwhile::default(),
        })
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.001_f32; DIMENSIONS];
        let words = text.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            let letters = word.bytes().map(|b| usize::from(b.to_ascii_lowercase()));
            let place = letters.fold(7, |place, letter| (place * 31 + letter) % 8_191);
            vector[place % DIMENSIONS] += 1.0;
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter().map(|v| v / length).collect()
    }
}

#[async_trait]
impl Embedder for WordEmbedder {
    fn model_id(&self) -> &str {
        self.model
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn max_tokens(&self) -> usize {
        32
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        self.meanwhile.happens().await;
        let away = self.is_down.load(Ordering::Relaxed);
        let unreadable = *self.unreadable.lock().unwrap();
        let refused = unreadable.is_some_and(|word| texts.iter().any(|text| text.contains(word)));
        if away || refused {
            return Err(EmbeddingError {
                model: self.model.to_owned(),
                away,
                cause: "it gives no vectors".into(),
            });
        }
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
}

/// How many copies of each recording there are.
#[derive(Default)]
pub(super) struct MemoryCopies {
    pub(super) of: Mutex<BTreeMap<RecordingId, u64>>,
    /// Those whose copies can't be taken away.
    pub(super) stuck: Mutex<BTreeSet<RecordingId>>,
}

#[async_trait]
impl Copies for MemoryCopies {
    async fn forget(&self, id: RecordingId) -> Result<u64, CopiesError> {
        if self.stuck.lock().unwrap().contains(&id) {
            return Err(CopiesError {
                recording_id: id,
                place: "the stream".to_owned(),
                cause: "it is away".into(),
            });
        }
        Ok(self.of.lock().unwrap().remove(&id).unwrap_or_default())
    }
}

/// A list on which nothing grows old.
#[derive(Default)]
pub(super) struct MemoryCondemned(pub(super) Mutex<BTreeSet<RecordingId>>);

#[async_trait]
impl Condemned for MemoryCondemned {
    async fn condemn(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.0.lock().unwrap().insert(id);
        Ok(())
    }

    async fn is_condemned(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        Ok(self.0.lock().unwrap().contains(&id))
    }

    async fn condemned(&self, _: Duration) -> Result<Vec<RecordingId>, ArchiveError> {
        Ok(self.0.lock().unwrap().iter().copied().collect())
    }

    async fn release(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.0.lock().unwrap().remove(&id);
        Ok(())
    }
}

pub(super) fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) archive: Arc<MemoryArchive>,
    pub(super) index: Arc<MemoryIndex>,
    pub(super) embedder: Arc<WordEmbedder>,
    pub(super) copies: Arc<MemoryCopies>,
    pub(super) condemned: Arc<MemoryCondemned>,
    pub(super) library: Library,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(Arc::default(), Arc::default(), WordEmbedder::new("words-1"))
    }

    fn of(
        archive: Arc<MemoryArchive>,
        index: Arc<MemoryIndex>,
        embedder: Arc<WordEmbedder>,
    ) -> Self {
        let (copies, condemned) = <(Arc<MemoryCopies>, Arc<MemoryCondemned>)>::default();
        Self {
            library: Library::new(archive.clone(), index.clone(), embedder.clone())
                .with_copies(copies.clone())
                .with_condemned(condemned.clone()),
            archive,
            index,
            embedder,
            copies,
            condemned,
        }
    }

    /// The same recordings, with another model.
    pub(super) fn with_model(&self, model: &'static str) -> Self {
        let (archive, index) = (self.archive.clone(), self.index.clone());
        Self::of(archive, index, WordEmbedder::new(model))
    }

    pub(super) fn embedder_is_down(&self, is_down: bool) {
        self.embedder.is_down.store(is_down, Ordering::Relaxed);
    }

    /// A recording that has come so far, `days` ago.
    pub(super) async fn aged(&self, days: i64, state: RecordingState, tags: &[&str]) -> Recording {
        let begun = Recording::begin(
            CorrelationId::random(),
            now() - SignedDuration::from_hours(24 * days),
            Tags::new(tags),
            DecodeOptions::default(),
        );
        let mut sound = self.archive.begin(&begun).await.unwrap();
        sound.write(&[100; 8_000]).await.unwrap();
        let come = move |recording: &mut Recording| recording.state = state;
        let amended = self.library.amend(begun.recording_id, Box::new(come)).await;
        amended.unwrap()
    }

    pub(super) async fn record(&self, tags: &[&str]) -> Recording {
        self.aged(0, RecordingState::Captured, tags).await
    }

    pub(super) async fn speak(&self, text: &str, tags: &[&str]) -> RecordingId {
        let recording = self.record(tags).await;
        self.say(&recording, text).await.unwrap();
        recording.recording_id
    }

    /// Files the text of a recording.
    pub(super) async fn say(&self, recording: &Recording, text: &str) -> Result<(), LibraryError> {
        self.library.file(&transcript(recording, text)).await?;
        Ok(())
    }

    /// The texts that are found, best first.
    pub(super) async fn found(&self, query: &str, mode: SearchMode) -> Vec<String> {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new(query)
        };
        let response = self.library.search(&request).await.unwrap();
        response.results.into_iter().map(|r| r.text).collect()
    }

    /// What is listed under `tags`.
    pub(super) async fn listed(&self, tags: &[&str]) -> Vec<RecordingId> {
        let filter = Filter {
            tags: Tags::new(tags),
            ..Filter::default()
        };
        let entries = self.library.list(&filter, usize::MAX).await.unwrap();
        entries
            .into_iter()
            .map(|entry| entry.recording.recording_id)
            .collect()
    }

    /// What waits for vectors of this model.
    pub(super) async fn waiting(&self) -> Vec<RecordingId> {
        let model = self.embedder.model_id();
        self.index.not_embedded_by(model, usize::MAX).await.unwrap()
    }
}

/// A text, a sentence a second.
pub(super) fn transcript(recording: &Recording, text: &str) -> Transcript {
    let segments = text
        .split_inclusive(". ")
        .zip(0..)
        .map(|(sentence, second)| Segment {
            start_ms: second * 1_000,
            end_ms: second * 1_000 + 900,
            text: sentence.trim().to_owned(),
            words: None,
        });
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 500,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments: segments.collect(),
    }
}
