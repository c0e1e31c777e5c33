//! The bundled models and clips, and sound made by arithmetic.
#![allow(dead_code)]

use std::{
    f32::consts::TAU,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
};

use futures::stream;
use speakr_core::{
    ports::speech::{DecodeOptions, SpeechEngine},
    usecases::transcribe::{
        Pace, TranscribedSound, Transcriber, TranscriptionEvent, TranscriptionObserver,
    },
};
use speakr_whisper::{ModelBytes, SileroModel, WhisperEngine};
use tokio_util::sync::CancellationToken;

/// A file under `assets`.
pub(crate) fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../assets")
        .join(path)
}

static ENGINE: LazyLock<Arc<WhisperEngine>> = LazyLock::new(|| {
    let model = ModelBytes::File(asset("models/ggml-tiny.en-q8_0.bin"));
    Arc::new(WhisperEngine::load("tiny.en-q8_0", false, &model, 1).unwrap())
});

/// The bundled speech model, loaded once for all tests of a file.
pub(crate) fn engine() -> Arc<WhisperEngine> {
    Arc::clone(&ENGINE)
}

/// The bundled voice activity model.
pub(crate) fn silero() -> SileroModel {
    SileroModel::load(&ModelBytes::File(asset("models/ggml-silero-v6.2.0.bin"))).unwrap()
}

/// The whole pipeline on the bundled models.
pub(crate) fn transcriber() -> Transcriber {
    let silero = silero();
    Transcriber::new(
        engine() as Arc<dyn SpeechEngine>,
        Box::new(move || Ok(Box::new(silero.detector()))),
    )
}

/// A bundled clip.
pub(crate) fn clip(name: &str) -> Vec<i16> {
    let mut reader = hound::WavReader::open(asset("speech").join(name)).unwrap();
    reader.samples::<i16>().map(Result::unwrap).collect()
}

/// Silence.
pub(crate) fn silence(seconds: f32) -> Vec<i16> {
    vec![0; (seconds * 16_000.0) as usize]
}

/// White noise of the given amplitude (a linear congruential generator: the same every time).
pub(crate) fn noise(seconds: f32, amplitude: f32) -> Vec<i16> {
    let mut state: u32 = 12_345;
    (0..(seconds * 16_000.0) as usize)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            (unit * amplitude) as i16
        })
        .collect()
}

/// A pure tone.
pub(crate) fn tone(seconds: f32, hertz: f32) -> Vec<i16> {
    (0..(seconds * 16_000.0) as usize)
        .map(|i| ((i as f32 / 16_000.0 * hertz * TAU).sin() * 9_000.0) as i16)
        .collect()
}

/// Chords with overtones, each struck anew, over a bass and a beat: music without a voice.
pub(crate) fn music(seconds: f32) -> Vec<i16> {
    let chords = [
        [261.6, 329.6, 392.0],
        [220.0, 261.6, 329.6],
        [174.6, 220.0, 261.6],
        [196.0, 246.9, 293.7],
    ];
    let beat = noise(seconds, 1.0e4);
    (0..(seconds * 16_000.0) as usize)
        .map(|i| {
            let t = i as f32 / 16_000.0;
            let chord = chords[(t / 1.2) as usize % chords.len()];
            let since = t % 0.6;
            let envelope = (-3.0 * since).exp() * (since * 200.0).min(1.0);
            let mut value = 0.0;
            for note in chord {
                for overtone in 1..=5_u8 {
                    let n = f32::from(overtone);
                    value += (t * note * n * TAU).sin() / (n * n);
                }
            }
            let bass = (t * chord[0] / 2.0 * TAU).sin();
            let drum = f32::from(beat[i]) / 1.0e4 * (-40.0 * since).exp();
            ((value * 0.2 * envelope + bass * 0.15 + drum * 0.15) * 14_000.0) as i16
        })
        .collect()
}

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<TranscriptionEvent>>);

impl TranscriptionObserver for Heard {
    fn on_event(&self, event: TranscriptionEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// Transcribes `pcm`, in chunks as a microphone gives them.
pub(crate) async fn transcribe(
    pcm: &[i16],
    pace: Pace,
    options: &DecodeOptions,
) -> TranscribedSound {
    let chunks: Vec<Vec<i16>> = pcm.chunks(1_600).map(<[i16]>::to_vec).collect();
    transcriber()
        .run(
            stream::iter(chunks),
            pace,
            options,
            &(),
            &CancellationToken::new(),
        )
        .await
        .unwrap()
}
