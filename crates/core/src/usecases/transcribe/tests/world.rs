//! A detector and an engine that answer as they are told, and somebody who listens.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{Stream, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    audio::samples_to_ms,
    ports::{
        speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError, SpeechModel},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
    transcript::{Language, Segment},
    usecases::transcribe::{
        Pace, TranscribedSound, Transcriber, TranscriptionEvent, TranscriptionObserver,
    },
};

const FRAME: usize = 512;
/// Loud samples are speech to the scripted detector.
const SPEECH: i16 = 1_000;

pub(super) fn speech(ms: usize) -> Vec<i16> {
    vec![SPEECH; ms * 16]
}

pub(super) fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 16]
}

/// Hears speech where the samples are loud.
#[derive(Default)]
struct LoudnessDetector(Vec<i16>);

impl VoiceActivityDetector for LoudnessDetector {
    fn frame_len(&self) -> usize {
        FRAME
    }

    fn push(&mut self, pcm: &[i16]) -> Result<Vec<f32>, VoiceActivityError> {
        self.0.extend(pcm);
        let whole = self.0.len() / FRAME * FRAME;
        let rest = self.0.split_off(whole);
        let frames = std::mem::replace(&mut self.0, rest);
        Ok(frames
            .chunks(FRAME)
            .map(|f| {
                if f.iter().any(|&s| s != 0) {
                    0.95
                } else {
                    0.02
                }
            })
            .collect())
    }
}

/// What the engine was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) samples: usize,
    pub(super) language: Option<Language>,
}

type Script = Box<dyn Fn(usize, &[i16], &DecodeOptions) -> Decoded + Send + Sync>;

/// Answers as scripted, after a while.
pub(super) struct ScriptedEngine {
    pub(super) model: SpeechModel,
    script: Script,
    pub(super) takes: Duration,
    /// The same for each second of sound.
    pub(super) takes_per_second: Duration,
    calls: Mutex<Vec<Call>>,
    pub(super) busy: AtomicUsize,
    pub(super) most_busy: AtomicUsize,
    pub(super) finished: AtomicUsize,
}

impl ScriptedEngine {
    pub(super) fn new(
        script: impl Fn(usize, &[i16], &DecodeOptions) -> Decoded + Send + Sync + 'static,
    ) -> Self {
        Self {
            model: SpeechModel {
                id: "scripted".to_owned(),
                multilingual: false,
            },
            script: Box::new(script),
            takes: Duration::ZERO,
            takes_per_second: Duration::ZERO,
            calls: Mutex::default(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        }
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// Counts a decode as going on until it is dropped.
struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl SpeechEngine for ScriptedEngine {
    fn model(&self) -> &SpeechModel {
        &self.model
    }

    fn accepts(&self, options: &DecodeOptions) -> Result<(), SpeechError> {
        match &options.language {
            Some(language) if !self.model.multilingual && *language != Language::english() => {
                Err(SpeechError::UnknownLanguage {
                    model: self.model.id.clone(),
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
        let index = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call {
                samples: pcm.len(),
                language: options.language.clone(),
            });
            calls.len() - 1
        };
        let takes = self.takes + self.takes_per_second * (pcm.len() / 16) as u32 / 1_000;
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        let _busy = Busy(&self.busy);
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        tokio::select! {
            () = tokio::time::sleep(takes) => {}
            () = cancel.cancelled() => return Err(SpeechError::Cancelled),
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        Ok((self.script)(index, &pcm, options))
    }
}

/// One segment over the whole piece.
pub(super) fn said(text: &str, pcm: &[i16]) -> Decoded {
    Decoded {
        segments: vec![Segment {
            start_ms: 0,
            end_ms: samples_to_ms(pcm.len() as u64),
            text: text.to_owned(),
            words: None,
        }],
        mean_log_probability: -0.2,
        ..Decoded::default()
    }
}

#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<TranscriptionEvent>>);

impl Heard {
    pub(super) fn events(&self) -> Vec<TranscriptionEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn finals(&self) -> usize {
        let is_final = |e: &&TranscriptionEvent| matches!(e, TranscriptionEvent::Segment(_));
        self.events().iter().filter(is_final).count()
    }

    pub(super) fn partials(&self) -> usize {
        let is_partial = |e: &&TranscriptionEvent| matches!(e, TranscriptionEvent::Partial { .. });
        self.events().iter().filter(is_partial).count()
    }
}

impl TranscriptionObserver for Heard {
    fn on_event(&self, event: TranscriptionEvent) {
        self.0.lock().unwrap().push(event);
    }
}

pub(super) fn transcriber(engine: &Arc<ScriptedEngine>) -> Transcriber {
    Transcriber::new(
        Arc::clone(engine) as Arc<dyn SpeechEngine>,
        Box::new(|| Ok(Box::<LoudnessDetector>::default())),
    )
}

pub(super) async fn run_all(
    engine: &Arc<ScriptedEngine>,
    pcm: Vec<i16>,
    pace: Pace,
    heard: &Heard,
) -> TranscribedSound {
    let chunks: Vec<Vec<i16>> = pcm.chunks(1_600).map(<[i16]>::to_vec).collect();
    transcriber(engine)
        .run(
            stream::iter(chunks),
            pace,
            &DecodeOptions::default(),
            heard,
            &CancellationToken::new(),
        )
        .await
        .unwrap()
}

/// Plays `pcm` in real time, as the paused clock has it.
pub(super) fn microphone(pcm: Vec<i16>) -> impl Stream<Item = Vec<i16>> + Send + Unpin {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for chunk in pcm.chunks(512) {
            tokio::time::sleep(Duration::from_millis(32)).await;
            if sender.send(chunk.to_vec()).is_err() {
                return;
            }
        }
    });
    Box::pin(stream::unfold(receiver, |mut r| async move {
        r.recv().await.map(|chunk| (chunk, r))
    }))
}
