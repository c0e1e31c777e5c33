//! Labels that are changed while a text is made findable.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, Tags,
    ports::{
        archive::Archive,
        embedding::{Embedder, EmbeddingError},
        index::Filter,
        speech::DecodeOptions,
    },
    usecases::library::Library,
};

use crate::world::{stores, transcript};

/// While it computes, somebody else labels the recording.
#[derive(Default)]
struct Interrupted {
    other: OnceLock<(Library, RecordingId)>,
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
            let (add, remove) = (Tags::new(["meanwhile"]), Tags::new(["first"]));
            library.tag(*id, &add, &remove).await.unwrap();
        }
        Ok(texts.iter().map(|_| vec![1.0, 0.0]).collect())
    }
}

#[tokio::test]
async fn a_label_that_comes_while_a_text_is_embedded_is_found_and_one_that_went_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, index) = stores(&folder).await;
    let embedder = Arc::new(Interrupted::default());
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
