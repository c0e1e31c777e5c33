//! A library in a scratch folder, and what is spoken into it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Segment, Tags, Transcript,
    ports::{
        archive::Archive,
        embedding::{Embedder, EmbeddingError},
        index::Filter,
        speech::DecodeOptions,
    },
    search::{Listing, SearchMode, SearchRequest, SearchResponse},
    usecases::library::Library,
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FlacEncoder};
use speakr_local::FolderArchive;
use speakr_sqlite::SqliteIndex;
use tempfile::TempDir;

const DIMENSIONS: usize = 64;

/// A bag of words: each adds to a place that its letters choose. Texts of the same words are alike.
pub(crate) struct WordEmbedder {
    model: &'static str,
    pub(crate) calls: AtomicUsize,
    pub(crate) broken: AtomicBool,
    /// Texts that hold this can't be read.
    pub(crate) unreadable: Mutex<Option<&'static str>>,
}

impl WordEmbedder {
    pub(crate) fn new(model: &'static str) -> Arc<Self> {
        Arc::new(Self {
            model,
            calls: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            unreadable: Mutex::new(None),
        })
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.001_f32; DIMENSIONS];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
            let place = word
                .bytes()
                .fold(7_usize, |h, b| h * 31 % 8_191 + usize::from(b));
            vector[place % DIMENSIONS] += if word.is_empty() { 0.0 } else { 1.0 };
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
        self.calls.fetch_add(1, Ordering::Relaxed);
        32
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let unreadable = *self.unreadable.lock().unwrap();
        let refused = unreadable.is_some_and(|word| texts.iter().any(|text| text.contains(word)));
        if refused || self.broken.load(Ordering::Relaxed) {
            return Err(EmbeddingError {
                model: self.model.to_owned(),
                away: false,
                cause: "it is broken".into(),
            });
        }
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
}

/// The archive and the index of a folder.
pub(crate) async fn stores(folder: &TempDir) -> (Arc<FolderArchive>, Arc<SqliteIndex>) {
    let ffmpeg = Ffmpeg::from_env();
    let archive = FolderArchive::open(
        folder.path().join("home"),
        Arc::new(FlacEncoder::new(ffmpeg.clone())),
        Arc::new(FfmpegDecoder::new(ffmpeg)),
    )
    .unwrap();
    let home = archive.home().clone();
    let index = SqliteIndex::open(&home.index(), &home.backups())
        .await
        .unwrap();
    (Arc::new(archive), Arc::new(index))
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) archive: Arc<FolderArchive>,
    pub(crate) index: Arc<SqliteIndex>,
    pub(crate) embedder: Arc<WordEmbedder>,
    pub(crate) library: Library,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), WordEmbedder::new("words-1")).await
    }

    /// As the next process opens it.
    pub(crate) async fn open(folder: TempDir, embedder: Arc<WordEmbedder>) -> Self {
        let (archive, index) = stores(&folder).await;
        let library = Library::new(archive.clone(), index.clone(), embedder.clone());
        Self {
            folder,
            archive,
            index,
            embedder,
            library,
        }
    }

    pub(crate) async fn reopened(self) -> Self {
        self.index.close().await;
        Self::open(self.folder, self.embedder).await
    }

    pub(crate) async fn record(&self, tags: &[&str]) -> Recording {
        let mut recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now(),
            Tags::new(tags),
            DecodeOptions::default(),
        );
        let mut writer = self.archive.begin(&recording).await.unwrap();
        writer.write(&vec![100; 8_000]).await.unwrap();
        recording.state = RecordingState::Captured;
        recording.duration_ms = Some(500);
        self.amended(&recording).await
    }

    /// Describes it so.
    pub(crate) async fn amended(&self, recording: &Recording) -> Recording {
        let (id, wanted) = (recording.recording_id, recording.clone());
        let describe = move |recording: &mut Recording| *recording = wanted.clone();
        self.library.amend(id, Box::new(describe)).await.unwrap()
    }

    pub(crate) async fn speak(&self, text: &str, tags: &[&str]) -> RecordingId {
        let recording = self.record(tags).await;
        self.library
            .file(&transcript(&recording, text))
            .await
            .unwrap();
        recording.recording_id
    }

    pub(crate) async fn search(&self, query: &str, mode: SearchMode) -> SearchResponse {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new(query)
        };
        self.library.search(&request).await.unwrap()
    }

    pub(crate) async fn listing(&self) -> Listing {
        let mut entries = self
            .library
            .list(&Filter::default(), usize::MAX)
            .await
            .unwrap();
        entries.sort_by_key(|e| e.recording.recording_id);
        entries.into()
    }
}

pub(crate) fn transcript(recording: &Recording, text: &str) -> Transcript {
    let segments: Vec<Segment> = text
        .split_inclusive(". ")
        .enumerate()
        .map(|(i, sentence)| Segment {
            start_ms: i as u64 * 1_000,
            end_ms: i as u64 * 1_000 + 900,
            text: sentence.trim().to_owned(),
            words: None,
        })
        .collect();
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 500,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments,
    }
}

pub(crate) const MODES: [SearchMode; 3] = [
    SearchMode::Hybrid,
    SearchMode::Semantic,
    SearchMode::Keyword,
];

pub(crate) fn ids(response: &SearchResponse) -> Vec<RecordingId> {
    response.results.iter().map(|r| r.recording_id).collect()
}
