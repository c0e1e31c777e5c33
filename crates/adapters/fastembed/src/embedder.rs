//! The embedder itself.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use async_trait::async_trait;
use fastembed::{
    InitOptionsUserDefined, Pooling, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use speakr_core::ports::embedding::{Embedder, EmbeddingError};
use tokenizers::{PostProcessor, Tokenizer};

use crate::{error::EmbedderError, graph, runtime::OnnxRuntime};

/// Texts in one run of the graph. Each is padded to the longest of its batch, and activations
/// grow with both, so that more gains little and costs memory.
const BATCH_TEXTS: usize = 16;

/// A sentence-transformers model as its five files: the graph and what its tokenizer needs.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The graph, in ONNX.
    pub onnx: Cow<'static, [u8]>,
    /// `tokenizer.json`.
    pub tokenizer: Cow<'static, [u8]>,
    /// `config.json`; its `hidden_size` is the length of the vectors.
    pub config: Cow<'static, [u8]>,
    /// `special_tokens_map.json`.
    pub special_tokens_map: Cow<'static, [u8]>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Cow<'static, [u8]>,
}

/// A sentence-transformers model whose vector is the mean of its tokens' (all-MiniLM-L6-v2 and
/// its kin).
pub struct SentenceEmbedder {
    model_id: String,
    dimensions: usize,
    max_tokens: usize,
    /// Counts without waiting for a run of the model; made when it is first asked for, as a search
    /// never asks.
    counter: OnceLock<Tokenizer>,
    model: Arc<Mutex<TextEmbedding>>,
}

impl std::fmt::Debug for SentenceEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceEmbedder")
            .field("model_id", &self.model_id)
            .field("dimensions", &self.dimensions)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

impl SentenceEmbedder {
    /// Loads a model. Takes CPU time and doesn't yield: call it off the async threads.
    ///
    /// `max_sequence_tokens` is how long a sequence the model was made for, special tokens
    /// counted (sentence-transformers' `max_seq_length`: 256 for all-MiniLM-L6-v2); longer texts
    /// are cut.
    ///
    /// # Errors
    /// [`EmbedderError`] when a file isn't what it should be or the runtime can't be had.
    pub fn load(
        model_id: &str,
        max_sequence_tokens: usize,
        files: ModelFiles,
        runtime: &OnnxRuntime,
    ) -> Result<Self, EmbedderError> {
        let model = model_id.to_owned();
        runtime.install()?;
        let dimensions = hidden_size(&model, &files.config)?;
        let onnx = match graph::unpack_quantised(&files.onnx) {
            Ok(Some(rewritten)) => rewritten,
            Ok(None) => files.onnx.into_owned(),
            Err(cause) => {
                return Err(EmbedderError::NotOnnx {
                    model,
                    reason: cause.to_string(),
                });
            }
        };
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: files.tokenizer.into_owned(),
            config_file: files.config.into_owned(),
            special_tokens_map_file: files.special_tokens_map.into_owned(),
            tokenizer_config_file: files.tokenizer_config.into_owned(),
        };
        let definition = UserDefinedEmbeddingModel::new(onnx, tokenizer_files)
            .with_pooling(Pooling::Mean)
            // Only weights are quantised, and once for all: batches don't change the result.
            .with_quantization(QuantizationMode::None);
        let options = InitOptionsUserDefined::new().with_max_length(max_sequence_tokens);
        let embedding =
            TextEmbedding::try_new_from_user_defined(definition, options).map_err(|cause| {
                EmbedderError::Load {
                    model: model.clone(),
                    cause,
                }
            })?;
        let special_tokens = embedding
            .tokenizer
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        Ok(Self {
            model_id: model,
            dimensions,
            max_tokens: max_sequence_tokens.saturating_sub(special_tokens),
            counter: OnceLock::new(),
            model: Arc::new(Mutex::new(embedding)),
        })
    }

    /// One vector of unit length per text, on this thread.
    ///
    /// # Errors
    /// [`EmbedderError`] when the model fails.
    pub fn embed_blocking(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedderError> {
        embed(&self.model, &self.model_id, self.dimensions, texts)
    }

    fn counter(&self) -> &Tokenizer {
        self.counter.get_or_init(|| {
            let mut tokenizer = self
                .model
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tokenizer
                .clone();
            tokenizer.with_padding(None);
            // Only a stride that doesn't fit a length can fail, and there is no length.
            let _ = tokenizer.with_truncation(None);
            tokenizer
        })
    }
}

#[async_trait]
impl Embedder for SentenceEmbedder {
    fn model_id(&self) -> &str {
        &self.model_id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn count_tokens(&self, text: &str) -> usize {
        // A text that can't be tokenised can't be embedded either; it counts as nothing.
        self.counter()
            .encode_fast(text, false)
            .map_or(0, |encoding| encoding.len())
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let (model, model_id, dimensions) = (
            Arc::clone(&self.model),
            self.model_id.clone(),
            self.dimensions,
        );
        let texts = texts.to_vec();
        tokio::task::spawn_blocking(move || embed(&model, &model_id, dimensions, &texts))
            .await
            .unwrap_or_else(|cause| {
                Err(EmbedderError::Thread {
                    reason: cause.to_string(),
                })
            })
            .map_err(|cause| EmbeddingError {
                model: self.model_id.clone(),
                away: false,
                cause: Box::new(cause),
            })
    }
}

fn embed(
    model: &Mutex<TextEmbedding>,
    model_id: &str,
    dimensions: usize,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, EmbedderError> {
    // Like lengths together: a batch is padded to its longest text.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&index| texts[index].len());
    let mut vectors = vec![Vec::new(); texts.len()];
    for batch in order.chunks(BATCH_TEXTS) {
        let batch_texts: Vec<&str> = batch.iter().map(|&index| texts[index].as_str()).collect();
        let made = model
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .embed(&batch_texts, Some(BATCH_TEXTS))
            .map_err(|cause| EmbedderError::Run {
                model: model_id.to_owned(),
                cause,
            })?;
        if made.len() != batch.len() || made.iter().any(|vector| vector.len() != dimensions) {
            return Err(EmbedderError::WrongShape {
                model: model_id.to_owned(),
                got: format!(
                    "{} vectors of {} numbers",
                    made.len(),
                    made.first().map_or(0, Vec::len)
                ),
                expected: format!("{} of {dimensions}", batch.len()),
            });
        }
        for (&index, vector) in batch.iter().zip(made) {
            vectors[index] = vector;
        }
    }
    Ok(vectors)
}

fn hidden_size(model: &str, config: &[u8]) -> Result<usize, EmbedderError> {
    let error = |reason: String| EmbedderError::BadFile {
        model: model.to_owned(),
        file: "config.json",
        reason,
    };
    let config: serde_json::Value =
        serde_json::from_slice(config).map_err(|cause| error(cause.to_string()))?;
    config["hidden_size"]
        .as_u64()
        .and_then(|size| usize::try_from(size).ok())
        .filter(|&size| size > 0)
        .ok_or_else(|| error("it has no hidden_size".into()))
}
