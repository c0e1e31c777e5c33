//! Sound in, text out: finds the speech, cuts it into pieces, has them decoded and puts the text
//! together again, while the sound is still coming.

mod assembly;
mod drafts;
mod job;
mod run;

use std::sync::Arc;

use futures::Stream;
use tokio_util::sync::CancellationToken;

use self::{assembly::Assembly, run::Run};
use crate::{
    audio::ms_to_samples,
    ports::{
        speech::{DecodeOptions, SpeechEngine, SpeechError},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
    segmenter::{Segmenter, SegmenterConfig},
    transcript::{Language, Segment},
};

/// What happens while text is made.
#[derive(Debug, Clone, PartialEq)]
pub enum TranscriptionEvent {
    /// What the words at the end seem to be so far. Replaced by the next partial or segment.
    Partial {
        /// Where it begins in the sound.
        start_ms: u64,
        /// Where it ends.
        end_ms: u64,
        /// The text.
        text: String,
    },
    /// A segment that is final.
    Segment(Segment),
    /// All sound up to here is done with.
    Progress {
        /// Milliseconds of sound.
        decoded_ms: u64,
    },
}

/// Hears what happens while text is made. Called in order, from one task.
pub trait TranscriptionObserver: Send + Sync {
    /// Takes one event; must not block.
    fn on_event(&self, event: TranscriptionEvent);
}

/// An observer that looks away.
impl TranscriptionObserver for () {
    fn on_event(&self, _: TranscriptionEvent) {}
}

/// How the sound comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it is spoken: pieces end at pauses, partial texts are given, the sound is never held up.
    Live,
    /// As fast as it is taken: long pieces, and the source waits for the engine.
    File,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    /// The engine refused, failed, or was cancelled.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The detector failed.
    #[error(transparent)]
    VoiceActivity(#[from] VoiceActivityError),
}

impl TranscribeError {
    /// Whether the caller's own cancellation is the reason.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Speech(SpeechError::Cancelled))
    }
}

/// The text of one stream of sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TranscribedSound {
    /// The language, of the first speech where several were spoken.
    pub language: Option<Language>,
    /// How sure the engine was of it, 0 to 1, where it detected it.
    pub language_probability: Option<f32>,
    /// The segments in order; empty when nobody spoke.
    pub segments: Vec<Segment>,
    /// Length of the sound.
    pub duration_ms: u64,
    /// How much of it was speech.
    pub speech_ms: u64,
    /// Mean log probability of the tokens, weighted by the length of the text; 0 without text.
    pub mean_log_probability: f32,
    /// How much of it the engine could only guess at ([`Decoded::guessed`]).
    ///
    /// [`Decoded::guessed`]: crate::ports::speech::Decoded::guessed
    pub guessed_ms: u64,
}

/// Makes a detector for one stream.
pub type DetectorFactory =
    Box<dyn Fn() -> Result<Box<dyn VoiceActivityDetector>, VoiceActivityError> + Send + Sync>;

/// Makes text from sound.
pub struct Transcriber {
    engine: Arc<dyn SpeechEngine>,
    detector: DetectorFactory,
    file: SegmenterConfig,
    live: SegmenterConfig,
}

impl Transcriber {
    /// A transcriber on `engine`, with a new detector from `detector` for each stream.
    #[must_use]
    pub fn new(engine: Arc<dyn SpeechEngine>, detector: DetectorFactory) -> Self {
        Self {
            engine,
            detector,
            file: SegmenterConfig::file(),
            live: SegmenterConfig::live(),
        }
    }

    /// Cuts streams of `pace` as `config` says instead of as measured best.
    #[must_use]
    pub fn with_segmentation(mut self, pace: Pace, config: SegmenterConfig) -> Self {
        match pace {
            Pace::Live => self.live = config,
            Pace::File => self.file = config,
        }
        self
    }

    /// Whether the engine can do what `options` ask.
    ///
    /// # Errors
    /// [`TranscribeError::Speech`] with the reason why not.
    pub fn accepts(&self, options: &DecodeOptions) -> Result<(), TranscribeError> {
        Ok(self.engine.accepts(options)?)
    }

    /// Makes text from `sound` (16 kHz mono, in chunks of any size) until it ends.
    ///
    /// # Errors
    /// [`TranscribeError`]: the engine doesn't know the language, fails or was cancelled, or the
    /// detector fails.
    pub async fn run<S>(
        &self,
        sound: S,
        pace: Pace,
        options: &DecodeOptions,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<TranscribedSound, TranscribeError>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        self.engine.accepts(options)?;
        let detector = (self.detector)()?;
        let config = match pace {
            Pace::Live => &self.live,
            Pace::File => &self.file,
        };
        let assembly = Assembly::new(options.clone(), self.engine.model().multilingual, observer);
        let config = config.clone();
        let narrow = assembly.detects().then(|| ms_to_samples(config.padding_ms));
        let config = if assembly.detects() {
            config.for_any_language()
        } else {
            config.for_language(options.language.as_ref())
        };
        let segmenter = Segmenter::new(config, detector.frame_len());
        let run = Run::new(
            &self.engine,
            detector,
            segmenter,
            narrow,
            pace,
            assembly,
            cancel,
        );
        run.drive(sound).await
    }
}

#[cfg(test)]
mod tests;
