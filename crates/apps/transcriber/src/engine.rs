//! The speech engine: one model in memory, shared by all that is decoded.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use speakr_core::{
    ports::{
        speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError, SpeechModel},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
    usecases::transcribe::Transcriber,
};
use speakr_models::{
    ModelError, ModelKind, ModelSource, ModelStore, Registry, RegistryError, Trust,
};
use speakr_openai::OpenAiEngine;
use speakr_whisper::{EngineError, ModelBytes, SileroModel, WhisperEngine};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// The registry id of the voice activity detector.
const VOICE_ACTIVITY: &str = "silero-vad-v6.2.0";

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineLoadError {
    /// The registry that is built in is broken.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The model isn't here, or isn't whole.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It is a model for something else.
    #[error("\"{0}\" is no speech model")]
    NotSpeech(String),
    /// The engine doesn't take it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The detector of speech doesn't take its model.
    #[error("the model \"{VOICE_ACTIVITY}\" can't be used")]
    Detector(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Which model, and how much of the machine it may use.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Registry id of the speech model.
    pub model: String,
    /// What makes the text instead, where no model of this program does.
    pub api: Option<OpenAiEngine>,
    /// Folder of models beside those that are built in. Nothing is downloaded.
    pub models_dir: PathBuf,
    /// Most pieces of sound that are decoded at a time.
    pub decoders: usize,
    /// Threads that one decode may use.
    pub threads: usize,
}

/// A loaded engine.
pub struct Engine {
    /// Makes text.
    pub transcriber: Transcriber,
    /// What it makes it with.
    pub model: SpeechModel,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// Loads the models. Blocks.
///
/// # Errors
/// [`EngineLoadError`].
pub fn load(config: &EngineConfig) -> Result<Engine, EngineLoadError> {
    let store = ModelStore::new(Registry::embedded()?, config.models_dir.clone(), Vec::new());
    let engine: Arc<dyn SpeechEngine> = match &config.api {
        Some(api) => Arc::new(api.clone()),
        None => Arc::new(load_whisper(&store, config)?),
    };
    let detector = store.locate(VOICE_ACTIVITY, Trust::Verified)?;
    let silero = SileroModel::load(&bytes(detector.weights()?))
        .map_err(|e| EngineLoadError::Detector(e.into()))?;
    let engine = Bounded {
        engine,
        slots: Arc::new(Semaphore::new(config.decoders.max(1))),
    };
    let model = engine.model().clone();
    let transcriber = Transcriber::new(
        Arc::new(engine),
        Box::new(move || {
            let detector: Box<dyn VoiceActivityDetector> = Box::new(silero.detector());
            Ok::<_, VoiceActivityError>(detector)
        }),
    );
    Ok(Engine { transcriber, model })
}

fn load_whisper(
    store: &ModelStore,
    config: &EngineConfig,
) -> Result<WhisperEngine, EngineLoadError> {
    let model = store.locate(&config.model, Trust::Verified)?;
    if model.kind != ModelKind::Speech {
        return Err(EngineLoadError::NotSpeech(config.model.clone()));
    }
    Ok(WhisperEngine::load(
        &model.id,
        model.multilingual,
        &bytes(model.weights()?),
        config.threads,
    )?)
}

fn bytes(source: &ModelSource) -> ModelBytes {
    match source {
        ModelSource::Bundled(bytes) => ModelBytes::Static(bytes),
        ModelSource::Path(path) => ModelBytes::File(path.clone()),
    }
}

/// Decodes no more pieces at a time than there is room for; who comes first is served first.
struct Bounded {
    engine: Arc<dyn SpeechEngine>,
    slots: Arc<Semaphore>,
}

#[async_trait]
impl SpeechEngine for Bounded {
    fn model(&self) -> &SpeechModel {
        self.engine.model()
    }

    fn accepts(&self, options: &DecodeOptions) -> Result<(), SpeechError> {
        self.engine.accepts(options)
    }

    async fn decode(
        &self,
        pcm: Vec<i16>,
        options: &DecodeOptions,
        cancel: &CancellationToken,
    ) -> Result<Decoded, SpeechError> {
        let slot = tokio::select! {
            () = cancel.cancelled() => return Err(SpeechError::Cancelled),
            slot = Arc::clone(&self.slots).acquire_owned() => slot,
        };
        // A task of its own: where nobody waits for it any more, the decoder takes a moment to break
        // off, and its memory isn't free before.
        let cancel = cancel.child_token();
        let _ends_with_us = cancel.clone().drop_guard();
        let (engine, options) = (Arc::clone(&self.engine), options.clone());
        let work = async move {
            // Nobody closes the semaphore; were it closed, there is no bound left to keep.
            let _slot = slot.ok();
            engine.decode(pcm, &options, &cancel).await
        };
        tokio::spawn(work.in_current_span())
            .await
            .map_err(|cause| SpeechError::Engine {
                model: self.model().id.clone(),
                cause: Box::new(cause),
            })?
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    /// Takes a while to break off, as a network does between its layers.
    struct Slow {
        model: SpeechModel,
        at_work: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl SpeechEngine for Slow {
        fn model(&self) -> &SpeechModel {
            &self.model
        }

        fn accepts(&self, _: &DecodeOptions) -> Result<(), SpeechError> {
            Ok(())
        }

        async fn decode(
            &self,
            _: Vec<i16>,
            _: &DecodeOptions,
            cancel: &CancellationToken,
        ) -> Result<Decoded, SpeechError> {
            let at_work = 1 + self.at_work.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(at_work, Ordering::SeqCst);
            let cancelled = tokio::time::timeout(Duration::from_secs(1), cancel.cancelled()).await;
            if cancelled.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            self.at_work.fetch_sub(1, Ordering::SeqCst);
            Ok(Decoded::default())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_decode_that_is_given_up_keeps_its_place_until_it_has_ended() {
        let slow = Arc::new(Slow {
            model: SpeechModel {
                id: "slow".into(),
                multilingual: false,
            },
            at_work: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let bounded = Bounded {
            engine: slow.clone(),
            slots: Arc::new(Semaphore::new(1)),
        };
        let (options, cancel) = (DecodeOptions::default(), CancellationToken::new());
        let first = bounded.decode(Vec::new(), &options, &cancel);
        let given_up = tokio::time::timeout(Duration::from_millis(100), first).await;
        assert!(given_up.is_err());
        bounded.decode(Vec::new(), &options, &cancel).await.unwrap();
        assert_eq!(slow.most.load(Ordering::SeqCst), 1);
    }
}
