//! Silero voice activity detection, streaming.
//!
//! whisper.cpp holds the same network, but its entry point forgets the recurrent state at every
//! call: over a stream it would have to hear seconds of old sound again for each new frame. This
//! pass keeps its state, so that a stream in any chunks gives exactly what one pass over the whole
//! sound gives, at one network evaluation a frame. Its arithmetic is tested against whisper.cpp's.

mod layers;
mod weights;

use std::sync::Arc;

use speakr_core::ports::voice_activity::{VoiceActivityDetector, VoiceActivityError};

pub use self::weights::SileroModelError;
use self::{
    layers::{LstmState, relu, sigmoid},
    weights::Weights,
};
use crate::ModelBytes;

/// Samples that are mirrored at a window's end before its spectrum is taken, as in the published
/// network.
const MIRRORED: usize = 64;

/// Silero VAD's weights, shared by every stream.
#[derive(Debug, Clone)]
pub struct SileroModel(Arc<Weights>);

impl SileroModel {
    /// Reads the model (whisper.cpp's file format).
    ///
    /// # Errors
    /// [`SileroModelError`] when the file can't be read or isn't such a model.
    pub fn load(source: &ModelBytes) -> Result<Self, SileroModelError> {
        let weights = match source {
            ModelBytes::Static(bytes) => Weights::read(bytes)?,
            ModelBytes::File(path) => {
                let bytes = std::fs::read(path).map_err(|cause| SileroModelError::Unreadable {
                    path: path.display().to_string(),
                    cause,
                })?;
                Weights::read(&bytes)?
            }
        };
        Ok(Self(Arc::new(weights)))
    }

    /// A detector over a new stream.
    #[must_use]
    pub fn detector(&self) -> SileroDetector {
        let weights = Arc::clone(&self.0);
        SileroDetector {
            window: vec![0.0; weights.context],
            state: LstmState::new(weights.lstm.hidden()),
            scratch: Scratch::default(),
            weights,
        }
    }
}

/// Silero VAD over one stream of sound.
#[derive(Debug)]
pub struct SileroDetector {
    weights: Arc<Weights>,
    /// The last samples of the frame before, then those of the unfinished frame.
    window: Vec<f32>,
    state: LstmState,
    scratch: Scratch,
}

/// Buffers that are used again for every frame.
#[derive(Debug, Default)]
struct Scratch {
    padded: Vec<f32>,
    spectrum: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    gates: Vec<f32>,
}

impl SileroDetector {
    /// Loads the model and makes a detector over a new stream. For many streams, load a
    /// [`SileroModel`] once.
    ///
    /// # Errors
    /// [`SileroModelError`] when the file can't be read or isn't such a model.
    pub fn load(source: &ModelBytes) -> Result<Self, SileroModelError> {
        Ok(SileroModel::load(source)?.detector())
    }
}

/// Probability of speech in a window whose padding is in place.
fn evaluate(weights: &Weights, state: &mut LstmState, scratch: &mut Scratch) -> f32 {
    let Scratch {
        padded,
        spectrum,
        a,
        b,
        gates,
    } = scratch;
    weights.stft.run(padded, spectrum);
    a.clear();
    let outputs = weights.stft.outputs();
    for bins in spectrum.chunks_exact(outputs) {
        let (real, imaginary) = bins.split_at(outputs / 2);
        a.extend(
            real.iter()
                .zip(imaginary)
                .map(|(r, i)| (r * r + i * i).sqrt()),
        );
    }
    for layer in &weights.encoder {
        layer.run(a, b);
        relu(b);
        std::mem::swap(a, b);
    }
    weights.lstm.step(&a[..weights.lstm.hidden()], state, gates);
    let sum: f32 = state
        .hidden
        .iter()
        .zip(&weights.head)
        .map(|(h, w)| h.max(0.0) * w)
        .sum();
    sigmoid(sum + weights.head_bias)
}

impl VoiceActivityDetector for SileroDetector {
    fn frame_len(&self) -> usize {
        self.weights.window
    }

    fn push(&mut self, pcm: &[i16]) -> Result<Vec<f32>, VoiceActivityError> {
        let whole = self.weights.window + self.weights.context;
        let mut probabilities = Vec::new();
        let mut rest = pcm;
        loop {
            let missing = whole - self.window.len();
            let (now, later) = rest.split_at(missing.min(rest.len()));
            rest = later;
            self.window
                .extend(now.iter().map(|&s| f32::from(s) / 32_768.0));
            if self.window.len() < whole {
                return Ok(probabilities);
            }
            let padded = &mut self.scratch.padded;
            padded.clear();
            padded.extend_from_slice(&self.window);
            // Mirrored without repeating the last sample.
            padded.extend(self.window.iter().rev().skip(1).take(MIRRORED));
            probabilities.push(evaluate(&self.weights, &mut self.state, &mut self.scratch));
            self.window.drain(..self.weights.window);
        }
    }
}

#[cfg(test)]
mod tests;
