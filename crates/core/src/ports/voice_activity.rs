//! Voice activity: where in the sound somebody speaks.

use super::BoxedCause;

/// Why the detector gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the voice activity detector failed")]
pub struct VoiceActivityError(#[source] pub BoxedCause);

/// A detector over one stream of sound; it remembers what it heard before.
pub trait VoiceActivityDetector: Send {
    /// Samples in one frame (Silero: 512, so 32 ms).
    fn frame_len(&self) -> usize;

    /// Takes the next samples of the stream and gives the probability of speech for each frame
    /// that has become whole, in order. Samples of an unfinished frame wait for the next call.
    ///
    /// # Errors
    /// [`VoiceActivityError`] when the model fails.
    fn push(&mut self, pcm: &[i16]) -> Result<Vec<f32>, VoiceActivityError>;
}
