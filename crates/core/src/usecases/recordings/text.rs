//! Sound to text, with what happens meanwhile told.

use std::time::Duration;

use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Asked, Recordings, Trouble, backlog::Done, chain};
use crate::{
    Recording, RecordingId, Transcript,
    ports::{
        platform::{Nudges, PartialText},
        speech::SpeechError,
    },
    transcript::join_texts,
    usecases::{
        capture::{Tee, TeeError},
        library,
        transcribe::{
            Pace, TranscribeError, TranscribedSound, TranscriptionEvent, TranscriptionObserver,
        },
    },
};

/// How often what is wanted is read again, should a nudge not have come through.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Takes texts from the decoder while they are made; it never waits for them to be told.
struct Partials {
    told: mpsc::UnboundedSender<PartialText>,
    done: Done,
}

impl TranscriptionObserver for Partials {
    fn on_event(&self, event: TranscriptionEvent) {
        let partial = match event {
            TranscriptionEvent::Partial {
                start_ms,
                end_ms,
                text,
            } => PartialText {
                text,
                start_ms,
                end_ms,
                is_final: false,
            },
            TranscriptionEvent::Segment(segment) => PartialText {
                text: segment.text,
                start_ms: segment.start_ms,
                end_ms: segment.end_ms,
                is_final: true,
            },
            TranscriptionEvent::Progress { decoded_ms } => {
                self.done.note(decoded_ms);
                return;
            }
        };
        // Who tells them ends after the decoder.
        drop(self.told.send(partial));
    }
}

impl From<TranscribeError> for Trouble {
    fn from(error: TranscribeError) -> Self {
        match &error {
            TranscribeError::Speech(SpeechError::Cancelled) => Self::Cancelled,
            TranscribeError::Speech(SpeechError::UnknownLanguage { .. }) => {
                Self::Refused(error.to_string())
            }
            TranscribeError::Speech(SpeechError::Away { retry_after, .. }) => Self::Away {
                after: *retry_after,
                reason: chain(&error),
            },
            // Memory may have been short: another try, or another replica, may do better.
            other => Self::Later(chain(other)),
        }
    }
}

impl From<TeeError> for Trouble {
    fn from(error: TeeError) -> Self {
        match error {
            TeeError::Source(error) => error.into(),
            TeeError::Archive(error) => error.into(),
        }
    }
}

impl Recordings {
    /// Makes the text of `sound` until `cancel` breaks it off; notes how far it is in `done`.
    pub(super) async fn decode<S>(
        &self,
        asked: &Asked,
        recording: &Recording,
        sound: S,
        pace: Pace,
        done: Done,
        cancel: &CancellationToken,
    ) -> Result<TranscribedSound, Trouble>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        let id = recording.recording_id;
        let (told, mut partials) = mpsc::unbounded_channel();
        let observer = Partials { told, done };
        let began = self.parts.clock.elapsed();
        let made = {
            let making =
                self.parts
                    .transcriber
                    .run(sound, pace, &recording.options, &observer, cancel);
            tokio::pin!(making);
            let telling = async {
                while let Some(partial) = partials.recv().await {
                    tell(asked, id, partial).await;
                }
            };
            tokio::pin!(telling);
            // The observer lives: telling doesn't end before the text is made.
            tokio::select! {
                made = &mut making => made,
                () = &mut telling => making.await,
            }
        };
        while let Ok(partial) = partials.try_recv() {
            tell(asked, id, partial).await;
        }
        let took = self.parts.clock.elapsed().saturating_sub(began);
        match made {
            Ok(made) => {
                let took_alone = (pace == Pace::File).then_some(took);
                self.parts.meter.decoded(took_alone, made.duration_ms);
                tracing::info!(
                    duration_ms = made.duration_ms,
                    speech_ms = made.speech_ms,
                    segments = made.segments.len(),
                    took_s = took.as_secs_f64(),
                    "transcribed"
                );
                Ok(made)
            }
            Err(error) => {
                if !error.is_cancelled() {
                    self.parts.meter.decode_failed();
                }
                Err(error.into())
            }
        }
    }

    /// Waits until somebody cancels the recording or this replica has to end; gives back which.
    pub(super) async fn watch_for_cancel(
        &self,
        id: RecordingId,
        nudges: &mut dyn Nudges,
    ) -> Trouble {
        loop {
            match self.is_cancelled(id).await {
                Ok(true) => return Trouble::Cancelled,
                Ok(false) => {}
                Err(error) => tracing::debug!(error = chain(&error), "can't read what is wanted"),
            }
            tokio::select! {
                () = self.parts.stop_now.cancelled() => return Trouble::Ending,
                () = nudges.next() => {}
                () = self.parts.clock.sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Keeps the text and says it.
    pub(super) async fn deliver(
        &self,
        asked: &Asked,
        recording: &Recording,
        made: TranscribedSound,
    ) -> Result<(), Trouble> {
        // It may have been labelled while its text was made.
        let labelled = self.parts.archive.recording(recording.recording_id).await?;
        let transcript = Transcript {
            recording_id: recording.recording_id,
            text: join_texts(&made.segments),
            language: made.language,
            duration_ms: made.duration_ms,
            model: self.parts.model.clone(),
            created_at: recording.created_at,
            tags: labelled.tags,
            metadata: labelled.metadata,
            segments: made.segments,
        };
        let kept = library::keep(self.parts.archive.as_ref(), &transcript).await?;
        let transcript = Transcript {
            tags: kept.tags,
            ..transcript
        };
        Ok(asked.announcer.succeeded(&transcript).await?)
    }

    /// Makes the text of kept sound, until somebody cancels it.
    pub(super) async fn transcribe_kept(
        &self,
        asked: &Asked,
        recording: &Recording,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let id = recording.recording_id;
        self.check_options(recording)?;
        let mut source = self.parts.archive.open_sound(id).await?;
        let mut sound = Tee::new(source.as_mut(), None);
        let cancel = CancellationToken::new();
        let made = {
            let sound = sound.stream();
            let decoding = self.decode(
                asked,
                recording,
                sound,
                Pace::File,
                Done::default(),
                &cancel,
            );
            tokio::pin!(decoding);
            tokio::select! {
                made = &mut decoding => made?,
                why = self.watch_for_cancel(id, nudges) => {
                    cancel.cancel();
                    if !matches!(why, Trouble::Ending) {
                        // The engine is still busy until it has noticed.
                        drop(decoding.await);
                    }
                    return Err(why);
                }
            }
        };
        sound.finish().await?;
        self.deliver(asked, recording, made).await
    }
}

async fn tell(asked: &Asked, id: RecordingId, partial: PartialText) {
    if let Err(error) = asked.announcer.partial(id, partial).await {
        tracing::debug!(error = chain(&error), "a partial text isn't told");
    }
}
