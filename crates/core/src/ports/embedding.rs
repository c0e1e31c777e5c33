//! Sentence embeddings: text to vectors whose cosine is likeness in meaning.

use async_trait::async_trait;

use super::BoxedCause;

/// Why a text has no vector.
#[derive(Debug, thiserror::Error)]
#[error("the embedding model \"{model}\" failed")]
pub struct EmbeddingError {
    /// Which model.
    pub model: String,
    /// Whether it says nothing against the text: the model is elsewhere, and is out of reach, has too
    /// much to do, or doesn't take our key.
    pub away: bool,
    /// Its own error.
    #[source]
    pub cause: BoxedCause,
}

/// Turns texts into vectors. Two models' vectors are never compared: the id travels with them.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The model's id, as stored beside each vector.
    fn model_id(&self) -> &str;

    /// Length of its vectors.
    fn dimensions(&self) -> usize;

    /// How many tokens of a text it reads; what comes after has no effect.
    fn max_tokens(&self) -> usize;

    /// How many tokens `text` has for this model, special tokens left out.
    fn count_tokens(&self, text: &str) -> usize;

    /// One vector of unit length per text, in the same order.
    ///
    /// # Errors
    /// [`EmbeddingError`] when the model fails.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError>;
}
