//! Ends a dictation when its speaker has fallen silent.

use std::time::Duration;

use crate::{
    audio::SAMPLES_PER_MS,
    ports::voice_activity::{VoiceActivityDetector, VoiceActivityError},
};

/// Probability from which a frame counts as speech (Silero's recommended threshold).
const SPEECH_THRESHOLD: f32 = 0.5;

/// Watches one stream of sound for a silence of a given length.
///
/// It counts only after speech has been heard: who thinks before speaking isn't cut off.
pub struct SilenceWatcher {
    detector: Box<dyn VoiceActivityDetector>,
    limit_samples: u64,
    silent_samples: u64,
    heard_speech: bool,
}

impl SilenceWatcher {
    /// Watches for `limit` of silence with `detector`.
    #[must_use]
    pub fn new(detector: Box<dyn VoiceActivityDetector>, limit: Duration) -> Self {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        Self {
            detector,
            limit_samples: limit_ms.saturating_mul(SAMPLES_PER_MS),
            silent_samples: 0,
            heard_speech: false,
        }
    }

    /// Takes the next sound; true once the speaker has been silent for the limit.
    ///
    /// # Errors
    /// The detector's.
    pub fn push(&mut self, pcm: &[i16]) -> Result<bool, VoiceActivityError> {
        let frame = self.detector.frame_len() as u64;
        for probability in self.detector.push(pcm)? {
            if probability >= SPEECH_THRESHOLD {
                self.heard_speech = true;
                self.silent_samples = 0;
            } else if self.heard_speech {
                self.silent_samples += frame;
            }
        }
        Ok(self.heard_speech && self.silent_samples >= self.limit_samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame a sample; a sample's value in per cent is its probability.
    struct Scripted;

    impl VoiceActivityDetector for Scripted {
        fn frame_len(&self) -> usize {
            160
        }

        fn push(&mut self, pcm: &[i16]) -> Result<Vec<f32>, VoiceActivityError> {
            Ok(pcm.iter().map(|&s| f32::from(s) / 100.0).collect())
        }
    }

    fn watcher() -> SilenceWatcher {
        SilenceWatcher::new(Box::new(Scripted), Duration::from_millis(50))
    }

    #[test]
    fn silence_before_the_first_word_does_not_end_a_dictation() {
        assert!(!watcher().push(&[0; 1_000]).unwrap());
    }

    #[test]
    fn silence_after_speech_ends_it_and_a_word_starts_the_count_again() {
        let mut watcher = watcher();
        assert!(!watcher.push(&[90, 0, 0, 0, 0, 90, 0, 0, 0, 0]).unwrap());
        assert!(watcher.push(&[0]).unwrap());
    }
}
