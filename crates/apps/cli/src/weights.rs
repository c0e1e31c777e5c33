//! Model files for the engines.

use std::{borrow::Cow, sync::Arc};

use speakr_core::ports::speech::{DecodeOptions, Task};
use speakr_fastembed::{ModelFiles, OnnxRuntime, SentenceEmbedder};
use speakr_local::Home;
use speakr_models::{FileRole, LocatedModel, ModelKind, ModelSource, ModelStore, Registry, Trust};
use speakr_whisper::ModelBytes;

use crate::{
    config::Settings,
    failure::{ExitCode, Failure},
};

/// The registry id of the voice activity detector.
pub(crate) const VOICE_ACTIVITY: &str = "silero-vad-v6.2.0";

/// The registry id of the embedder.
pub(crate) const EMBEDDER: &str = "all-minilm-l6-v2-int8-speakr";

/// The models of this machine.
pub(crate) fn store(home: &Home, settings: &Settings) -> Result<ModelStore, Failure> {
    let registry = Registry::embedded().map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
    let extra = settings.models_dir.iter().cloned().collect();
    Ok(ModelStore::new(registry, home.models(), extra))
}

/// The speech model `id`, found but not loaded.
pub(crate) fn speech_model(
    store: &ModelStore,
    id: &str,
    trust: Trust,
) -> Result<LocatedModel, Failure> {
    let model = store.locate(id, trust)?;
    if model.kind != ModelKind::Speech {
        return Err(
            Failure::new(ExitCode::Usage, format!("\"{id}\" is no speech model"))
                .hint("`speakr models list` shows which are"),
        );
    }
    Ok(model)
}

/// The weights of a whisper.cpp model, as its engine takes them.
pub(crate) fn bytes(model: &LocatedModel) -> Result<ModelBytes, Failure> {
    Ok(match model.weights()? {
        ModelSource::Bundled(bytes) => ModelBytes::Static(bytes),
        ModelSource::Path(path) => ModelBytes::File(path.clone()),
    })
}

/// Refuses what `model` can't do, and names a model that can.
pub(crate) fn check_language(model: &LocatedModel, options: &DecodeOptions) -> Result<(), Failure> {
    let multilingual = "a multilingual model does: `speakr models pull base`, then `--model base`";
    if options.task == Task::Translate && !model.multilingual {
        let sentence = format!(
            "the model \"{}\" knows English only and can't translate",
            model.id
        );
        return Err(Failure::new(ExitCode::Missing, sentence).hint(multilingual));
    }
    let Some(language) = &options.language else {
        return Ok(());
    };
    let known =
        model.languages.is_empty() || model.languages.iter().any(|code| code == language.as_str());
    if known {
        return Ok(());
    }
    let sentence = format!(
        "the model \"{}\" doesn't know the language \"{language}\"",
        model.id
    );
    let hint = if model.multilingual {
        "`speakr models list --json` names every model's languages"
    } else {
        multilingual
    };
    Err(Failure::new(ExitCode::Missing, sentence).hint(hint))
}

/// The embedder, which is looked for when it is first used: what needs no meaning works without.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddingModel(Arc<ModelStore>);

impl EmbeddingModel {
    /// The embedding model among those of `store`.
    pub(crate) fn of(store: ModelStore) -> Self {
        Self(Arc::new(store))
    }

    /// Its registry id, as stored beside each vector.
    #[allow(
        clippy::unused_self,
        reason = "an id belongs to a model, even where there is one"
    )]
    pub(crate) const fn id(&self) -> &'static str {
        EMBEDDER
    }

    /// Length of its vectors.
    pub(crate) fn dimensions(&self) -> usize {
        self.0
            .registry()
            .get(EMBEDDER)
            .and_then(|entry| entry.dimensions)
            .unwrap_or_default()
    }

    /// Loads it; takes CPU time.
    pub(crate) fn load(&self) -> Result<SentenceEmbedder, Failure> {
        let model = self.0.locate(EMBEDDER, Trust::Verified)?;
        let sequence = model.max_sequence_tokens.unwrap_or_default();
        let file = |role| -> Result<Cow<'static, [u8]>, Failure> {
            let source = model.file(role).ok_or_else(|| {
                Failure::new(
                    ExitCode::Missing,
                    format!("the model \"{EMBEDDER}\" isn't whole"),
                )
            })?;
            Ok(source.read()?)
        };
        let files = ModelFiles {
            onnx: file(FileRole::Weights)?,
            tokenizer: file(FileRole::Tokenizer)?,
            config: file(FileRole::Config)?,
            special_tokens_map: file(FileRole::SpecialTokensMap)?,
            tokenizer_config: file(FileRole::TokenizerConfig)?,
        };
        SentenceEmbedder::load(EMBEDDER, sequence, files, &OnnxRuntime::from_env())
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))
    }
}
