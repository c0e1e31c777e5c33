//! Model files for the engines.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

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

/// The registry ids of embedders that are taken where none is set, the first that is here: the one
/// that is part of the program, and in a build without models the same from a folder, or the one
/// that is published and can be pulled.
const fn embedders(bundled: bool) -> &'static [&'static str] {
    if bundled {
        &["all-minilm-l6-v2-int8-speakr"]
    } else {
        &["all-minilm-l6-v2-int8-speakr", "all-minilm-l6-v2"]
    }
}

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
pub(crate) struct EmbeddingModel(Arc<Embedding>);

#[derive(Debug)]
struct Embedding {
    store: ModelStore,
    /// The one that is set.
    set: Option<String>,
    /// Those that are taken where none is.
    usual: &'static [&'static str],
    trust: Trust,
    id: OnceLock<String>,
}

impl EmbeddingModel {
    /// The embedding model of `settings` among those of `store`.
    pub(crate) fn of(store: ModelStore, settings: &Settings, trust: Trust) -> Self {
        Self(Arc::new(Embedding {
            store,
            set: settings.embedding_model.clone(),
            usual: embedders(cfg!(feature = "bundled-models")),
            trust,
            id: OnceLock::new(),
        }))
    }

    /// Its registry id, as stored beside each vector.
    pub(crate) fn id(&self) -> &str {
        let Embedding {
            store, set, usual, ..
        } = self.0.as_ref();
        self.0.id.get_or_init(|| {
            if let Some(set) = set {
                return set.clone();
            }
            let here = |id: &&&str| store.locate(id, Trust::Verified).is_ok();
            let chosen = match usual {
                [one] => Some(one),
                several => several.iter().find(here).or(several.last()),
            };
            chosen.copied().unwrap_or_default().to_owned()
        })
    }

    /// Length of its vectors.
    pub(crate) fn dimensions(&self) -> usize {
        let entry = self.0.store.registry().get(self.id());
        entry.and_then(|entry| entry.dimensions).unwrap_or_default()
    }

    /// Finds it.
    pub(crate) fn locate(&self) -> Result<LocatedModel, Failure> {
        let id = self.id();
        let model = self.0.store.locate(id, self.0.trust)?;
        if model.kind != ModelKind::Embedding {
            return Err(
                Failure::new(ExitCode::Usage, format!("\"{id}\" is no embedding model"))
                    .hint("`speakr models list` shows which are"),
            );
        }
        Ok(model)
    }

    /// Loads it; takes CPU time.
    pub(crate) fn load(&self) -> Result<SentenceEmbedder, Failure> {
        let model = self.locate()?;
        let sequence = model.max_sequence_tokens.unwrap_or_default();
        let file = |role| -> Result<Cow<'static, [u8]>, Failure> {
            let source = model.file(role).ok_or_else(|| {
                Failure::new(
                    ExitCode::Missing,
                    format!("the model \"{}\" isn't whole", model.id),
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
        SentenceEmbedder::load(&model.id, sequence, files, &OnnxRuntime::from_env())
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::default_model;

    /// A store as if nothing were inside the program, over a scratch folder and these.
    fn bare(extra: Vec<PathBuf>) -> (tempfile::TempDir, ModelStore) {
        let home = tempfile::tempdir().unwrap();
        let registry = Registry::embedded().unwrap();
        let store = ModelStore::new(registry, home.path().to_owned(), extra).without_bundled();
        (home, store)
    }

    fn usual_embedder(store: ModelStore) -> EmbeddingModel {
        EmbeddingModel(Arc::new(Embedding {
            store,
            set: None,
            usual: embedders(false),
            trust: Trust::Verified,
            id: OnceLock::new(),
        }))
    }

    #[test]
    fn what_a_build_without_models_wants_can_be_pulled() {
        let (_home, store) = bare(Vec::new());
        let speech = speech_model(&store, default_model(false), Trust::Verified).unwrap_err();
        let detector = store.locate(VOICE_ACTIVITY, Trust::Verified).unwrap_err();
        let embedder = usual_embedder(store);
        let meaning = embedder.locate().unwrap_err();
        for (failure, id) in [
            (speech, default_model(false)),
            (detector.into(), VOICE_ACTIVITY),
            (meaning, embedder.id()),
        ] {
            assert_eq!(failure.code(), ExitCode::Missing);
            let way = format!("speakr models pull {id}");
            assert!(failure.message().contains(&way), "{failure}");
        }
    }

    #[test]
    fn a_build_without_models_takes_ours_from_a_folder() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/models");
        let (_home, store) = bare(vec![assets]);
        let speech = speech_model(&store, default_model(false), Trust::Verified).unwrap();
        assert_eq!(speech.id, default_model(true));
        store.locate(VOICE_ACTIVITY, Trust::Verified).unwrap();
        // The same vectors as a build with models makes: an index of either serves both.
        let embedder = usual_embedder(store);
        assert_eq!(embedder.id(), embedders(true)[0]);
        embedder.locate().unwrap();
    }
}
