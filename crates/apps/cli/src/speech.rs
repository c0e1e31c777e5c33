//! Sound to text, as every command that makes text does it.

use futures::Stream;
use speakr_core::{
    Recording, Transcript,
    ports::speech::{DecodeOptions, SpeechModel},
    transcript::join_texts,
    usecases::transcribe::{Pace, TranscribedSound, Transcriber, TranscriptionObserver},
};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Mean log probability of a token below which an English-only model is taken to hear something
/// that isn't English. Measured over the bundled speech and clips of five other languages:
/// English lies above it, the others below (`crates/bench`, subcommand `accuracy`).
const DOUBTFUL_LOG_PROBABILITY: f32 = -0.65;

/// A loaded speech model, ready to make text.
pub(crate) struct Speech {
    transcriber: Transcriber,
    model: SpeechModel,
}

impl Speech {
    /// Text by `transcriber`, whose engine holds `model`.
    pub(crate) const fn new(transcriber: Transcriber, model: SpeechModel) -> Self {
        Self { transcriber, model }
    }

    /// Makes the text of `sound`.
    pub(crate) async fn decode<S: Stream<Item = Vec<i16>> + Send + Unpin>(
        &self,
        sound: S,
        pace: Pace,
        options: &DecodeOptions,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Decoding, Failure> {
        let sound = self
            .transcriber
            .run(sound, pace, options, observer, cancel)
            .await?;
        tracing::info!(
            duration_ms = sound.duration_ms,
            speech_ms = sound.speech_ms,
            segments = sound.segments.len(),
            mean_log_probability = sound.mean_log_probability,
            model = self.model.id,
            "transcribed"
        );
        Ok(Decoding {
            sound,
            model: self.model.clone(),
        })
    }
}

/// The text of one recording, and how it was made.
pub(crate) struct Decoding {
    sound: TranscribedSound,
    model: SpeechModel,
}

impl Decoding {
    /// The transcript of `recording`.
    pub(crate) fn transcript(&self, recording: &Recording) -> Transcript {
        Transcript {
            recording_id: recording.recording_id,
            text: join_texts(&self.sound.segments),
            language: self.sound.language.clone(),
            duration_ms: self.sound.duration_ms,
            model: self.model.id.clone(),
            created_at: recording.created_at,
            tags: recording.tags.clone(),
            metadata: recording.metadata.clone(),
            segments: self.sound.segments.clone(),
        }
    }

    /// A sentence for when an English-only model probably heard another language.
    pub(crate) fn doubt(&self) -> Option<String> {
        let doubtful = !self.model.multilingual
            && !self.sound.segments.is_empty()
            && self.sound.mean_log_probability < DOUBTFUL_LOG_PROBABILITY;
        doubtful.then(|| {
            format!(
                "the model \"{}\" knows English only and isn't sure of what it heard; for other \
                 languages: `speakr models pull base`, then `--model base`",
                self.model.id
            )
        })
    }
}
