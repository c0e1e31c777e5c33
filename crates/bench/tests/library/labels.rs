//! What is changed while a text is made findable, and labels that many change at once.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags, Transcript,
    ports::{
        archive::Archive,
        embedding::{Embedder, EmbeddingError},
        index::Filter,
        speech::DecodeOptions,
    },
    usecases::library::Library,
};

use crate::world::{stores, transcript};

/// While it computes, somebody else labels the recording, or deletes it.
#[derive(Default)]
struct Interrupted {
    other: OnceLock<(Library, RecordingId)>,
    deletes: bool,
}

#[async_trait]
impl Embedder for Interrupted {
    fn model_id(&self) -> &'static str {
        "interrupted"
    }

    fn dimensions(&self) -> usize {
        2
    }

    fn max_tokens(&self) -> usize {
        64
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        if let Some((library, id)) = self.other.get() {
            if self.deletes {
                library.delete(*id).await.unwrap();
            } else {
                let (add, remove) = (Tags::new(["meanwhile"]), Tags::new(["first"]));
                library.tag(*id, &add, &remove).await.unwrap();
            }
        }
        Ok(texts.iter().map(|_| vec![1.0, 0.0]).collect())
    }
}

/// A recording with a text, which is changed when its text is made findable.
async fn interrupted(folder: &tempfile::TempDir, deletes: bool) -> (Library, RecordingId) {
    let (archive, index) = stores(folder).await;
    let embedder = Arc::new(Interrupted {
        deletes,
        ..Interrupted::default()
    });
    let library = Library::new(archive.clone(), index, embedder.clone());

    let recording = Recording::begin(
        CorrelationId::random(),
        Timestamp::now(),
        Tags::new(["first"]),
        DecodeOptions::default(),
    );
    let id = recording.recording_id;
    let mut sound = archive.begin(&recording).await.unwrap();
    sound.write(&[0; 16_000]).await.unwrap();
    sound.sync().await.unwrap();
    drop(sound);
    let text = transcript(&recording, "The harvest is in.");
    archive.put_transcript(&text).await.unwrap();
    assert!(embedder.other.set((library.clone(), id)).is_ok());
    (library, id)
}

#[tokio::test]
async fn what_is_deleted_while_its_text_is_embedded_is_not_found_after_all() {
    let folder = tempfile::tempdir().unwrap();
    let (library, id) = interrupted(&folder, true).await;
    library.refresh(id).await.unwrap();
    let listed = library.list(&Filter::default(), 10).await.unwrap();
    assert!(listed.is_empty(), "{listed:?}");
}

#[tokio::test]
async fn a_label_that_comes_while_a_text_is_embedded_is_found_and_one_that_went_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (library, id) = interrupted(&folder, false).await;
    library.refresh(id).await.unwrap();

    for (label, count) in [("meanwhile", 1), ("first", 0)] {
        let filter = Filter {
            tags: Tags::new([label]),
            ..Filter::default()
        };
        let found = library.list(&filter, 10).await.unwrap();
        assert_eq!(found.len(), count, "{label}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn labels_that_many_give_and_take_at_once_all_hold() {
    const MANY: usize = 24;
    let folder = tempfile::tempdir().unwrap();
    let open = async || {
        let (archive, index) = stores(&folder).await;
        Library::new(archive, index, Arc::new(Interrupted::default()))
    };
    let library = open().await;
    let old: Vec<String> = (0..MANY).map(|n| format!("old-{n:02}")).collect();
    let recording = Recording::begin(
        CorrelationId::random(),
        Timestamp::now(),
        Tags::new(&old),
        DecodeOptions::default(),
    );
    let id = recording.recording_id;
    drop(library.archive().begin(&recording).await.unwrap());
    let text = Transcript {
        recording_id: id,
        created_at: recording.created_at,
        duration_ms: 1_000,
        language: None,
        model: "test".to_owned(),
        text: String::new(),
        segments: Vec::new(),
        tags: recording.tags.clone(),
        metadata: serde_json::Map::new(),
    };
    library.archive().put_transcript(&text).await.unwrap();

    let mut at_work = Vec::new();
    for (number, old) in old.into_iter().enumerate() {
        let library = open().await;
        at_work.push(tokio::spawn(async move {
            let add = Tags::new([format!("new-{number:02}")]);
            library.tag(id, &add, &Tags::new([old])).await.unwrap();
        }));
    }
    // Beside them whoever makes its text keeps it.
    let (other, made) = (open().await, text.clone());
    at_work.push(tokio::spawn(async move {
        let made = Transcript {
            text: "the words".to_owned(),
            ..made
        };
        let kept = other.keep(&made).await.unwrap();
        other.announce(&kept).await.unwrap();
        other.refresh_description(id).await.unwrap();
    }));
    for each in at_work {
        each.await.unwrap();
    }

    let wanted = Tags::new((0..MANY).map(|n| format!("new-{n:02}")));
    let shown = library.show(id).await.unwrap();
    assert_eq!(shown.recording.tags, wanted);
    assert_eq!(shown.recording.state, RecordingState::Transcribed);
    let transcript = shown.transcript.unwrap();
    assert_eq!(transcript.tags, wanted);
    assert_eq!(transcript.text, "the words");
    let listed = library.list(&Filter::default(), 10).await.unwrap();
    assert_eq!(listed[0].recording.tags, wanted);
}
