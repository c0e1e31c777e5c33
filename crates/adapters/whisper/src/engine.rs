//! The speech engine: whisper.cpp behind core's port.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use speakr_core::{
    Language,
    audio::{SAMPLE_RATE_HZ, to_f32},
    ports::speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError, SpeechModel, Task},
};
use tokio_util::sync::CancellationToken;
use whisper_rs::{
    WhisperContext, WhisperContextParameters, WhisperError, WhisperState, get_lang_id, get_lang_str,
};

use crate::{
    ModelBytes, cpu,
    free_cores::FreeCores,
    header, log_hook, memory,
    params::{self, Settings},
    prompt::{self, CappedPrompt},
    repetition,
    tokens::{self, Marks, Token},
};

/// Sound shorter than this is filled up with silence: the spectrum needs some to begin with.
const SHORTEST_SAMPLES: usize = SAMPLE_RATE_HZ as usize;
/// Where the temperature begins when a decode ended in a loop.
const LOOP_TEMPERATURE: f32 = 0.4;

/// What goes wrong inside the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The processor is too old for this build.
    #[error(
        "this processor lacks {}, which the speech engine of this build needs: {}",
        .0.join(", "),
        cpu::FOR_OLDER_PROCESSORS
    )]
    Processor(Vec<&'static str>),
    /// The model's file can't be read.
    #[error("can't read the speech model \"{model}\"")]
    Unreadable {
        /// Its id.
        model: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is something else.
    #[error("the file of the speech model \"{0}\" is no Whisper model of whisper.cpp")]
    NotWhisper(String),
    /// The model can't be loaded.
    #[error("can't load the speech model \"{model}\"{}", .path.as_ref().map_or_else(String::new, |p| format!(" from {}", p.display())))]
    Load {
        /// Its id.
        model: String,
        /// Its file.
        path: Option<PathBuf>,
        /// Why.
        #[source]
        cause: WhisperError,
    },
    /// The model isn't what it was said to be.
    #[error("the speech model \"{model}\" should know {expected}, but its file doesn't")]
    Mismatch {
        /// Its id.
        model: String,
        /// What it should know.
        expected: &'static str,
    },
    /// No memory for a decoder state.
    #[error("can't make a decoder state")]
    State(#[source] WhisperError),
    /// The prompt can't be turned into tokens.
    #[error("can't read the prompt")]
    Prompt(#[source] WhisperError),
    /// The language can't be detected.
    #[error("can't detect the language")]
    Detect(#[source] WhisperError),
    /// Decoding failed.
    #[error("decoding failed")]
    Decode(#[source] WhisperError),
    /// The thread that decoded is gone.
    #[error("the decoding thread ended unexpectedly")]
    Thread(#[source] tokio::task::JoinError),
}

/// One loaded model. Decodes may run side by side, each in a state of its own.
pub struct WhisperEngine {
    inner: Arc<Inner>,
}

struct Inner {
    model: SpeechModel,
    context: WhisperContext,
    threads: usize,
    free_cores: FreeCores,
}

impl WhisperEngine {
    /// Loads a model (whisper.cpp's file format); `multilingual` is what its registry entry says.
    /// A decode uses at most `threads` threads, and no more than cores are free. Blocks.
    ///
    /// # Errors
    /// [`EngineError`] when the processor is too old or the file isn't such a model.
    pub fn load(
        model_id: &str,
        multilingual: bool,
        source: &ModelBytes,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let missing = cpu::missing_features();
        if !missing.is_empty() {
            return Err(EngineError::Processor(missing));
        }
        let whisper = header::is_whisper(source).map_err(|cause| EngineError::Unreadable {
            model: model_id.to_owned(),
            cause,
        })?;
        if !whisper {
            return Err(EngineError::NotWhisper(model_id.to_owned()));
        }
        log_hook::install();
        memory::give_back();
        let mut parameters = WhisperContextParameters::default();
        // Both slower on processors, by measurement.
        parameters.use_gpu(false).flash_attn(false);
        let context = match source {
            ModelBytes::Static(bytes) => {
                WhisperContext::new_from_buffer_with_params(bytes, parameters)
            }
            ModelBytes::File(path) => WhisperContext::new_with_params(path, parameters),
        };
        let context = context.map_err(|cause| EngineError::Load {
            model: model_id.to_owned(),
            path: match source {
                ModelBytes::Static(_) => None,
                ModelBytes::File(path) => Some(path.clone()),
            },
            cause,
        })?;
        if context.is_multilingual() != multilingual {
            return Err(EngineError::Mismatch {
                model: model_id.to_owned(),
                expected: if multilingual {
                    "several languages"
                } else {
                    "English only"
                },
            });
        }
        tracing::debug!(model = model_id, "loaded the speech model");
        Ok(Self {
            inner: Arc::new(Inner {
                model: SpeechModel {
                    id: model_id.to_owned(),
                    multilingual,
                },
                context,
                threads: threads.max(1),
                free_cores: FreeCores::new(),
            }),
        })
    }

    /// How much of `prompt` the model takes.
    ///
    /// # Errors
    /// [`EngineError::Prompt`] when it can't be turned into tokens.
    pub fn cap_prompt(&self, prompt: &str) -> Result<CappedPrompt, EngineError> {
        let context = &self.inner.context;
        let tokens = prompt::tokenize(context, prompt.trim())?.len();
        let kept_tokens = tokens.min(prompt::limit(context));
        Ok(CappedPrompt {
            kept_tokens,
            dropped_tokens: tokens - kept_tokens,
        })
    }
}

impl Inner {
    fn failed(&self, cause: EngineError) -> SpeechError {
        SpeechError::Engine {
            model: self.model.id.clone(),
            cause: Box::new(cause),
        }
    }

    /// A state that nothing was decoded in. One that was used draws other numbers when it has to
    /// guess (whisper.cpp seeds its generator with the state alone), so the same sound would become
    /// another text by what came before it: with base q5_1, 16 of 85 words wrong instead of 9.
    fn new_state(&self) -> Result<WhisperState, EngineError> {
        self.context.create_state().map_err(EngineError::State)
    }

    fn decode(
        &self,
        pcm: &[i16],
        options: &DecodeOptions,
        abort: &AtomicBool,
    ) -> Result<Decoded, EngineError> {
        let mut sound = to_f32(pcm);
        let length_ms = speakr_core::audio::samples_to_ms(sound.len() as u64);
        if sound.len() < SHORTEST_SAMPLES {
            sound.resize(SHORTEST_SAMPLES, 0.0);
        }
        let prompt = prompt::tokens(&self.context, options.prompt.as_deref())?;
        let threads = self.threads.min(self.free_cores.count());
        let readings = AtomicU32::new(0);
        let mut settings = Settings {
            seconds: sound.len() as f32 / SAMPLE_RATE_HZ as f32,
            threads: i32::try_from(threads).unwrap_or(1),
            language: "en",
            translate: options.task == Task::Translate && self.model.multilingual,
            word_timestamps: options.word_timestamps,
            prompt: &prompt,
            temperature: 0.0,
            readings: &readings,
        };
        let mut probability = None;
        if let Some(language) = &options.language {
            settings.language = language.as_str();
        } else if self.model.multilingual {
            let mut scout = self.new_state()?;
            let (language, p) = detect(&mut scout, &settings, &sound, abort)?;
            settings.language = language;
            probability = Some(p);
        }
        let mut state = self.new_state()?;
        let marks = Marks {
            first_timestamp: self.context.token_beg(),
            end_of_text: self.context.token_eot(),
        };
        readings.store(0, Ordering::Relaxed);
        let first = run(&mut state, &settings, &sound, length_ms, marks, abort)?;
        let guessed = readings.load(Ordering::Relaxed) > 1;
        let mut decoded = repetition::without_loops(first, || {
            settings.temperature = LOOP_TEMPERATURE;
            run(&mut state, &settings, &sound, length_ms, marks, abort)
        })?;
        decoded.language = Some(Language::new(settings.language));
        decoded.language_probability = probability;
        decoded.guessed = guessed;
        Ok(decoded)
    }
}

/// The language of `sound`, and how sure that is.
fn detect(
    state: &mut WhisperState,
    settings: &Settings<'_>,
    sound: &[f32],
    abort: &AtomicBool,
) -> Result<(&'static str, f32), EngineError> {
    state
        .full(params::spectrum_only(settings, abort), sound)
        .map_err(EngineError::Detect)?;
    let threads = usize::try_from(settings.threads).unwrap_or(1);
    let (id, probabilities) = state.lang_detect(0, threads).map_err(EngineError::Detect)?;
    let probability = usize::try_from(id)
        .ok()
        .and_then(|i| probabilities.get(i))
        .copied()
        .unwrap_or(0.0);
    let language = get_lang_str(id).ok_or(EngineError::Detect(WhisperError::InvalidText))?;
    Ok((language, probability))
}

fn run(
    state: &mut WhisperState,
    settings: &Settings<'_>,
    sound: &[f32],
    length_ms: u64,
    marks: Marks,
    abort: &AtomicBool,
) -> Result<Decoded, EngineError> {
    state
        .full(params::full(settings, abort), sound)
        .map_err(EngineError::Decode)?;
    let mut found = Vec::new();
    for segment in state.as_iter() {
        for i in 0..segment.n_tokens() {
            let Some(token) = segment.get_token(i) else {
                continue;
            };
            let data = token.token_data();
            let ms = |centiseconds: i64| u64::try_from(centiseconds).unwrap_or(0) * 10;
            found.push(Token {
                id: data.id,
                bytes: token.to_bytes().map_err(EngineError::Decode)?.to_vec(),
                log_probability: data.plog,
                time: settings.word_timestamps.then(|| (ms(data.t0), ms(data.t1))),
            });
        }
    }
    let sum: f32 = found.iter().map(|t| t.log_probability).sum();
    let segments = tokens::segments(&found, marks, length_ms, settings.word_timestamps);
    Ok(Decoded {
        mean_log_probability: if found.is_empty() {
            0.0
        } else {
            sum / found.len() as f32
        },
        segments,
        ..Decoded::default()
    })
}

/// Breaks a decode off when the future that waits for it is dropped.
struct AbortOnDrop(Arc<AtomicBool>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl SpeechEngine for WhisperEngine {
    fn model(&self) -> &SpeechModel {
        &self.inner.model
    }

    fn accepts(&self, options: &DecodeOptions) -> Result<(), SpeechError> {
        let model = &self.inner.model;
        match &options.language {
            Some(language)
                if language.as_str().contains('\0')
                    || get_lang_id(language.as_str()).is_none()
                    || (!model.multilingual && language.as_str() != "en") =>
            {
                Err(SpeechError::UnknownLanguage {
                    model: model.id.clone(),
                    language: language.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    async fn decode(
        &self,
        pcm: Vec<i16>,
        options: &DecodeOptions,
        cancel: &CancellationToken,
    ) -> Result<Decoded, SpeechError> {
        self.accepts(options)?;
        if cancel.is_cancelled() {
            return Err(SpeechError::Cancelled);
        }
        let abort = Arc::new(AtomicBool::new(false));
        let guard = AbortOnDrop(Arc::clone(&abort));
        let inner = Arc::clone(&self.inner);
        let options = options.clone();
        let mut work = tokio::task::spawn_blocking(move || {
            let result = inner.decode(&pcm, &options, &abort);
            if abort.load(Ordering::Relaxed) {
                return Err(SpeechError::Cancelled);
            }
            result.map_err(|cause| inner.failed(cause))
        });
        let joined = tokio::select! {
            joined = &mut work => joined,
            () = cancel.cancelled() => {
                drop(guard);
                // Soon: the engine asks between the layers of its network.
                work.await
            }
        };
        joined.map_err(|cause| self.inner.failed(EngineError::Thread(cause)))?
    }
}
