//! The embedder, loaded when it is first used: listing, showing and deleting must not wait for a
//! model.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use speakr_core::ports::embedding::{Embedder, EmbeddingError};
use speakr_fastembed::SentenceEmbedder;

use crate::{failure::Failure, weights::EmbeddingModel};

/// An embedder that loads itself.
pub(crate) struct LazyEmbedder {
    model: EmbeddingModel,
    loaded: Arc<OnceLock<Result<SentenceEmbedder, String>>>,
}

impl LazyEmbedder {
    /// An embedder that will load `model`.
    pub(crate) fn new(model: EmbeddingModel) -> Self {
        Self {
            model,
            loaded: Arc::default(),
        }
    }

    fn error(&self, reason: &str) -> EmbeddingError {
        EmbeddingError {
            model: self.model.id().to_owned(),
            away: false,
            cause: reason.into(),
        }
    }

    /// The loaded model; blocks while it is loaded.
    fn get(&self) -> Result<&SentenceEmbedder, EmbeddingError> {
        self.loaded
            .get_or_init(|| {
                self.model
                    .load()
                    .map_err(|failure: Failure| failure.to_string())
            })
            .as_ref()
            .map_err(|reason| self.error(reason))
    }
}

#[async_trait]
impl Embedder for LazyEmbedder {
    fn model_id(&self) -> &str {
        self.model.id()
    }

    fn dimensions(&self) -> usize {
        self.model.dimensions()
    }

    fn max_tokens(&self) -> usize {
        self.get().map_or(0, Embedder::max_tokens)
    }

    fn count_tokens(&self, text: &str) -> usize {
        // A model that can't be loaded fails at `embed`, with its reason; what it is given there
        // makes no difference.
        self.get().map_or(0, |model| model.count_tokens(text))
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let (model, loaded) = (self.model.clone(), Arc::clone(&self.loaded));
        // Loading takes CPU time: off the async threads.
        tokio::task::spawn_blocking(move || {
            loaded.get_or_init(|| model.load().map_err(|failure| failure.to_string()));
        })
        .await
        .map_err(|e| self.error(&e.to_string()))?;
        self.get()?.embed(texts).await
    }
}
