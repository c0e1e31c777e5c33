//! The API as an embedder.

use async_trait::async_trait;
use futures::FutureExt as _;
use serde_json::json;
use speakr_core::{
    passages::estimate_tokens,
    ports::embedding::{Embedder, EmbeddingError},
};

use crate::{client::OpenAiClient, error::OpenAiError, wire::Embeddings};

/// Most texts in one request.
const BATCH: usize = 128;

/// How many tokens of a text OpenAI's models read.
const MAX_TOKENS: usize = 8_191;

/// Embeds by the API.
#[derive(Debug, Clone)]
pub struct OpenAiEmbedder {
    client: OpenAiClient,
    model: String,
    id: String,
    dimensions: usize,
}

impl OpenAiEmbedder {
    /// The API's `model`. It is asked once, for the length of its vectors.
    ///
    /// # Errors
    /// [`OpenAiError`].
    pub async fn connect(client: OpenAiClient, model: &str) -> Result<Self, OpenAiError> {
        let mut embedder = Self {
            client,
            model: model.to_owned(),
            // Another's model of the same name as one of ours isn't the same model.
            id: format!("openai:{model}"),
            dimensions: 0,
        };
        let probe = embedder.ask(&["speech".to_owned()]).await?;
        embedder.dimensions = probe.first().map_or(0, Vec::len);
        Ok(embedder)
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, OpenAiError> {
        let body = json!({"model": self.model, "input": texts, "encoding_format": "float"});
        let answer: Embeddings = self
            .client
            .post("embeddings", &|request| {
                let filled = Ok(request.json(&body));
                async { filled }.boxed()
            })
            .await?;
        let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts.len()];
        for embedding in answer.data {
            let Some(place) = vectors.get_mut(embedding.index) else {
                return Err(self
                    .client
                    .malformed("it has a vector for a text that wasn't sent"));
            };
            *place = Some(self.unit(embedding.embedding)?);
        }
        vectors
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.client.malformed("it lacks the vector of a text"))
    }

    /// The vector at unit length, as cosines are taken here.
    fn unit(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, OpenAiError> {
        if self.dimensions != 0 && vector.len() != self.dimensions {
            return Err(self.client.malformed(&format!(
                "a vector has {} numbers, and those before had {}",
                vector.len(),
                self.dimensions
            )));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length <= 0.0 {
            return Err(self.client.malformed("a vector has no direction"));
        }
        for x in &mut vector {
            *x /= length;
        }
        Ok(vector)
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn model_id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn count_tokens(&self, text: &str) -> usize {
        // Passages are cut far below what the model reads: a close guess does.
        estimate_tokens(text)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            let answer = self.ask(batch).await.map_err(|error| EmbeddingError {
                model: self.id.clone(),
                away: error.is_away(),
                cause: Box::new(error),
            })?;
            vectors.extend(answer);
        }
        Ok(vectors)
    }
}
