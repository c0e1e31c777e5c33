//! Sound to text, as every command that makes text does it.

use futures::Stream;
use speakr_core::{
    Recording, Transcript,
    ports::{
        archive::SoundWriter,
        sound::SoundSource,
        speech::{DecodeOptions, SpeechModel},
    },
    transcript::join_texts,
    usecases::{
        capture::{Tee, TeeError},
        transcribe::{Pace, TranscribedSound, Transcriber, TranscriptionObserver},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{failure::Failure, platform::Spoken};

/// An English-only model that had to guess at a third of the speech or more is taken to hear
/// another language. Measured over 26 English clips (clean, noisy, spontaneous): none of their
/// speech was guessed at; of six clips in other languages, all of it; of one that changes from
/// English to German half-way, 58 %. The decoder's own probabilities don't tell: after the
/// fallback it is as sure of nonsense as of speech.
const DOUBTFUL_GUESSED_PER_CENT: u64 = 33;

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
            guessed_ms = sound.guessed_ms,
            mean_log_probability = sound.mean_log_probability,
            model = self.model.id,
            "transcribed"
        );
        Ok(Decoding {
            sound,
            model: self.model.clone(),
        })
    }

    /// The same with the sound of `source`, as fast as it is taken, which goes through `writer`
    /// where there is one.
    pub(crate) async fn decode_from(
        &self,
        source: &mut (dyn SoundSource + 'static),
        writer: Option<&mut (dyn SoundWriter + 'static)>,
        options: &DecodeOptions,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Decoding, Unmade> {
        let mut tee = Tee::new(source, writer);
        let decoded = self
            .decode(tee.stream(), Pace::File, options, observer, cancel)
            .await;
        match (tee.finish().await, decoded) {
            // Why the sound ended early says more than what that did to the decoder; but who
            // cancels ends both.
            (Err(_), Err(failure)) if cancel.is_cancelled() => Err(Unmade::Text(failure)),
            (Err(cut), _) => Err(Unmade::Cut(cut)),
            (Ok(_), decoded) => decoded.map_err(Unmade::Text),
        }
    }
}

/// Why there is no text of a file.
pub(crate) enum Unmade {
    /// Its sound ended early.
    Cut(TeeError),
    /// Its sound was there.
    Text(Failure),
}

impl From<Unmade> for Failure {
    fn from(unmade: Unmade) -> Self {
        match unmade {
            Unmade::Cut(TeeError::Source(error)) => error.into(),
            Unmade::Cut(TeeError::Archive(error)) => error.into(),
            Unmade::Text(failure) => failure,
        }
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
            && self.sound.guessed_ms * 100 >= self.sound.speech_ms * DOUBTFUL_GUESSED_PER_CENT
            && self.sound.guessed_ms > 0;
        doubtful.then(|| {
            format!(
                "the model \"{}\" knows English only and isn't sure of what it heard; for other \
                 languages: `speakr models pull base`, then `--model base`",
                self.model.id
            )
        })
    }
}

/// A text, and where it was made.
pub(crate) enum Made {
    /// By the engine of this program.
    Here(Decoding),
    /// By the platform, which keeps it too.
    There(Spoken),
}

impl Made {
    /// The transcript of `recording`.
    pub(crate) fn transcript(&self, recording: &Recording) -> Transcript {
        match self {
            Self::Here(decoding) => decoding.transcript(recording),
            Self::There(spoken) => spoken.transcript.clone(),
        }
    }

    /// A sentence for when an English-only model probably heard another language.
    pub(crate) fn doubt(&self) -> Option<String> {
        match self {
            Self::Here(decoding) => decoding.doubt(),
            Self::There(_) => None,
        }
    }
}
