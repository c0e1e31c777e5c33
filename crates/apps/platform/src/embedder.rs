//! What makes vectors of text: the model in the program, or an API.

use std::{path::PathBuf, sync::Arc};

use speakr_core::ports::embedding::Embedder;
use speakr_fastembed::{ModelFiles, OnnxRuntime, SentenceEmbedder};
use speakr_models::{FileRole, ModelError, ModelStore, Registry, Trust};
use speakr_openai::{OpenAiClient, OpenAiEmbedder, OpenAiError};
use speakr_service::config::{Config, Kind, Setting};

use tokio_util::sync::CancellationToken;

use crate::{Failure, openai, waiting};

/// The registry id of the bundled model.
const BUNDLED: &str = "all-minilm-l6-v2-int8-speakr";

const EMBEDDER: Setting = Setting::new(
    "SPEAKR_EMBEDDER",
    Kind::Choice(&["local", "openai"]),
    "What makes vectors: a model in this program, or the API at `OPENAI_BASE_URL`. All services have to name the same; two models' vectors are never compared.",
)
.default("local");
const EMBEDDING_MODEL: Setting = Setting::new(
    "SPEAKR_EMBEDDING_MODEL",
    Kind::Text,
    "The model by its id in the registry, with `SPEAKR_EMBEDDER=local`.",
)
.default(BUNDLED);
const MODELS_DIR: Setting = Setting::new(
    "SPEAKR_MODELS_DIR",
    Kind::Path,
    "Folder of models beside those that are built in. Nothing is downloaded.",
)
.default("/models");
const OPENAI_EMBEDDING_MODEL: Setting = Setting::new(
    "OPENAI_EMBEDDING_MODEL",
    Kind::Text,
    "The API's model of embeddings.",
)
.default("text-embedding-3-small");

/// The settings of the embedder, beside those of [`openai`].
pub const SETTINGS: &[Setting] = &[
    EMBEDDER,
    EMBEDDING_MODEL,
    MODELS_DIR,
    OPENAI_EMBEDDING_MODEL,
];

/// The embedder that the settings name, loaded.
///
/// # Errors
/// What is wrong with the settings, or with the model.
pub async fn load(config: &Config) -> Result<Arc<dyn Embedder>, Failure> {
    match Api::of(config)? {
        Some(api) => Ok(Arc::new(api.connect().await.map_err(Failure::part)?)),
        None => local(config).await,
    }
}

/// The same, once it can be had; none once `stop` is cancelled. An API that is away is waited for.
///
/// # Errors
/// As [`load`], but for an API's.
pub async fn until_loaded(
    stop: &CancellationToken,
    config: &Config,
) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let Some(api) = Api::of(config)? else {
        return local(config).await.map(Some);
    };
    let connect = async || api.connect().await;
    let embedder = waiting::until(stop, "the API of embeddings", connect).await;
    Ok(embedder.map(|embedder| Arc::new(embedder) as Arc<dyn Embedder>))
}

/// An API that embeds.
struct Api {
    client: OpenAiClient,
    model: String,
}

impl Api {
    /// The one that the settings name, where they do.
    fn of(config: &Config) -> Result<Option<Self>, Failure> {
        if config.text(&EMBEDDER)? != "openai" {
            return Ok(None);
        }
        Ok(Some(Self {
            client: openai::client(config)?,
            model: config.text(&OPENAI_EMBEDDING_MODEL)?,
        }))
    }

    async fn connect(&self) -> Result<OpenAiEmbedder, OpenAiError> {
        OpenAiEmbedder::connect(self.client.clone(), &self.model).await
    }
}

async fn local(config: &Config) -> Result<Arc<dyn Embedder>, Failure> {
    let id = config.text(&EMBEDDING_MODEL)?;
    let folder = config.path(&MODELS_DIR).unwrap_or_default();
    tokio::task::spawn_blocking(move || load_local(&id, folder))
        .await
        .map_err(Failure::part)?
}

fn load_local(id: &str, folder: PathBuf) -> Result<Arc<dyn Embedder>, Failure> {
    let registry = Registry::embedded().map_err(Failure::part)?;
    let model = ModelStore::new(registry, folder, Vec::new())
        .locate(id, Trust::Verified)
        .map_err(Failure::part)?;
    let file = |role| {
        model
            .file(role)
            .ok_or_else(|| Failure::part(format!("the model \"{id}\" isn't whole")))
            .and_then(|source| source.read().map_err(|e: ModelError| Failure::part(e)))
    };
    let files = ModelFiles {
        onnx: file(FileRole::Weights)?,
        tokenizer: file(FileRole::Tokenizer)?,
        config: file(FileRole::Config)?,
        special_tokens_map: file(FileRole::SpecialTokensMap)?,
        tokenizer_config: file(FileRole::TokenizerConfig)?,
    };
    let longest = model.max_sequence_tokens.unwrap_or_default();
    let embedder = SentenceEmbedder::load(id, longest, files, &OnnxRuntime::from_env())
        .map_err(Failure::part)?;
    Ok(Arc::new(embedder))
}
