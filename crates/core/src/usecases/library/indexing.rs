//! Texts to passages with vectors, in the index.

use super::{Library, LibraryError};
use crate::{
    passages,
    ports::{
        archive::ArchiveError,
        embedding::EmbeddingError,
        index::{EmbeddedPassage, Passage},
    },
    recording::Recording,
    transcript::{Segment, Transcript},
};

/// The passages of a text; where it has no segments, all of it is one.
fn cut(
    transcript: &Transcript,
    max_tokens: usize,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Passage> {
    let whole = [Segment {
        start_ms: 0,
        end_ms: transcript.duration_ms,
        text: transcript.text.clone(),
        words: None,
    }];
    let segments = if transcript.segments.is_empty() {
        &whole[..]
    } else {
        &transcript.segments
    };
    passages::cut(segments, max_tokens, count_tokens)
}

impl Library {
    /// Cuts, embeds and indexes the text of `recording`; gives the number of passages.
    pub(super) async fn index_text(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<usize, LibraryError> {
        let embedder = &self.embedder;
        // Silence needs no model.
        let passages = if transcript.text.trim().is_empty() {
            Vec::new()
        } else {
            cut(transcript, embedder.max_tokens(), &|text| {
                embedder.count_tokens(text)
            })
        };
        let embedded = match self.embed(passages).await {
            Ok(embedded) => embedded,
            Err(error) => {
                // The vectors that this text has are worth more than none.
                if self.has_vectors(recording, transcript).await? {
                    self.index.update(recording).await?;
                } else {
                    self.index_words(recording, Some(transcript)).await?;
                }
                self.follow(recording).await?;
                return Err(error);
            }
        };
        let model = if embedded.is_empty() {
            ""
        } else {
            embedder.model_id()
        };
        self.index
            .upsert(recording, Some(transcript), &embedded, model)
            .await?;
        self.follow(recording).await?;
        Ok(embedded.len())
    }

    /// Whether the index has just this text, with vectors of this model.
    async fn has_vectors(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<bool, LibraryError> {
        let id = recording.recording_id;
        let entry = self.index.entries(&[id]).await?.pop();
        if entry.is_none_or(|entry| entry.text != transcript.text) {
            return Ok(false);
        }
        let model = self.embedder.model_id();
        let waiting = self.index.not_embedded_by(model, usize::MAX).await?;
        Ok(!waiting.contains(&id))
    }

    /// After the index was given `indexed`, which was read before something that takes long: lets it
    /// know what became of it since. Whoever changes a recording writes the archive before the
    /// index, so one of the two comes last with what holds.
    pub(super) async fn follow(&self, indexed: &Recording) -> Result<(), LibraryError> {
        let mut known = indexed.clone();
        loop {
            match self.archive.recording(known.recording_id).await {
                Ok(now) if now == known => return Ok(()),
                Ok(now) => {
                    self.index.update(&now).await?;
                    known = now;
                }
                // Whoever deleted it may have taken it out before we put it in.
                Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {
                    self.index.remove(known.recording_id).await?;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a recording listable and findable by its words, without the embedder: its passages
    /// wait for [`Library::embed_pending`].
    pub(super) async fn index_words(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
    ) -> Result<(), LibraryError> {
        let waiting: Vec<_> = transcript
            .map(|t| cut(t, usize::MAX, &passages::estimate_tokens))
            .unwrap_or_default()
            .into_iter()
            .map(|passage| EmbeddedPassage {
                passage,
                vector: Vec::new(),
            })
            .collect();
        self.index
            .upsert(recording, transcript, &waiting, "")
            .await?;
        Ok(())
    }

    /// All passages of one recording in one batch: a vector may depend, by a hair, on its company
    /// in the batch, and a rebuilt index is to answer the same.
    pub(super) async fn embed(
        &self,
        passages: Vec<Passage>,
    ) -> Result<Vec<EmbeddedPassage>, LibraryError> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<String> = passages.iter().map(|p| p.text.clone()).collect();
        let vectors = self.embed_texts(&texts).await?;
        Ok(passages
            .into_iter()
            .zip(vectors)
            .map(|(passage, vector)| EmbeddedPassage { passage, vector })
            .collect())
    }

    pub(super) async fn embed_texts(
        &self,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, LibraryError> {
        let vectors = self.embedder.embed(texts).await?;
        if vectors.len() == texts.len() {
            return Ok(vectors);
        }
        Err(LibraryError::Embedding(EmbeddingError {
            model: self.embedder.model_id().to_owned(),
            away: false,
            cause: format!(
                "it gave {} vectors for {} texts",
                vectors.len(),
                texts.len()
            )
            .into(),
        }))
    }
}
