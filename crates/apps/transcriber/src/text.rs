//! Sound to text, with what happens meanwhile told on the bus.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::{sound::SoundSource, speech::SpeechError},
    transcript::join_texts,
    usecases::{
        library,
        transcribe::{
            Pace, TranscribeError, TranscribedSound, TranscriptionEvent, TranscriptionObserver,
        },
    },
};
use speakr_nats::{Request, control::Controls};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    announce::Announcer,
    engine::Engine,
    trouble::{Trouble, chain},
    worker::Worker,
};

/// How often what is wanted is read again, should a control not have come through.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Tells partial texts on the bus, from a task of its own: the decoder never waits for it.
pub(crate) struct Partials(mpsc::UnboundedSender<(String, u64, u64)>);

impl Partials {
    pub(crate) fn tell(announcer: Announcer, request: Request, id: RecordingId) -> Self {
        let (sender, mut texts) = mpsc::unbounded_channel::<(String, u64, u64)>();
        tokio::spawn(async move {
            while let Some((text, start_ms, end_ms)) = texts.recv().await {
                let told = announcer.partial(&request, id, text, start_ms, end_ms);
                if let Err(error) = told.await {
                    tracing::debug!(error = chain(&error), "a partial text isn't told");
                }
            }
        });
        Self(sender)
    }
}

impl TranscriptionObserver for Partials {
    fn on_event(&self, event: TranscriptionEvent) {
        let text = match event {
            TranscriptionEvent::Partial {
                start_ms,
                end_ms,
                text,
            } => (text, start_ms, end_ms),
            TranscriptionEvent::Segment(segment) => {
                (segment.text, segment.start_ms, segment.end_ms)
            }
            TranscriptionEvent::Progress { .. } => return,
        };
        // Its task ends with this sender, not before.
        drop(self.0.send(text));
    }
}

/// A stream of a source's sound; why it broke off, if it did, is in `broken` at its end.
pub(crate) fn sound_of(
    source: Box<dyn SoundSource>,
    broken: Arc<std::sync::Mutex<Option<Trouble>>>,
) -> impl Stream<Item = Vec<i16>> + Send + Unpin {
    stream::unfold((source, broken), |(mut source, broken)| async move {
        match source.next().await {
            Ok(Some(pcm)) => Some((pcm, (source, broken))),
            Ok(None) => None,
            Err(error) => {
                if let Ok(mut slot) = broken.lock() {
                    *slot = Some(error.into());
                }
                None
            }
        }
    })
    .boxed()
}

/// What decoding needs, to go on in a task of its own.
#[derive(Clone)]
pub(crate) struct Decoding {
    pub(crate) engine: Arc<Engine>,
    pub(crate) announcer: Announcer,
}

impl Decoding {
    /// Makes the text of `sound` until `cancel` breaks it off.
    pub(crate) async fn decode<S>(
        &self,
        request: &Request,
        recording: &Recording,
        sound: S,
        pace: Pace,
        cancel: &CancellationToken,
    ) -> Result<TranscribedSound, Trouble>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        let partials = Partials::tell(
            self.announcer.clone(),
            request.clone(),
            recording.recording_id,
        );
        let began = std::time::Instant::now();
        let made = self
            .engine
            .transcriber
            .run(sound, pace, &recording.options, &partials, cancel)
            .await;
        match made {
            Ok(made) => {
                let took = began.elapsed().as_secs_f64();
                metrics::histogram!("speakr_transcription_seconds").record(took);
                tracing::info!(
                    duration_ms = made.duration_ms,
                    speech_ms = made.speech_ms,
                    segments = made.segments.len(),
                    took_s = took,
                    "transcribed"
                );
                Ok(made)
            }
            Err(error) if error.is_cancelled() => Err(Trouble::Cancelled),
            Err(error) => {
                metrics::counter!("speakr_decode_errors_total").increment(1);
                Err(Trouble::Refused(match &error {
                    TranscribeError::Speech(SpeechError::UnknownLanguage { .. }) => {
                        error.to_string()
                    }
                    other => chain(other),
                }))
            }
        }
    }
}

impl Worker {
    /// Refuses what this engine can't do, before any work.
    pub(crate) fn check_options(&self, recording: &Recording) -> Result<(), Trouble> {
        let mine = &self.engine.model.id;
        match &recording.options.model {
            Some(wanted) if wanted != mine => Err(Trouble::Refused(format!(
                "the model \"{wanted}\" isn't here; this service has \"{mine}\""
            ))),
            _ => Ok(()),
        }
    }

    /// What decoding needs.
    pub(crate) fn decoding(&self) -> Decoding {
        Decoding {
            engine: Arc::clone(&self.engine),
            announcer: self.announcer.clone(),
        }
    }

    /// Waits until somebody cancels the recording or this replica has to end; gives back which.
    pub(crate) async fn watch_for_cancel(
        &self,
        controls: &mut Controls,
        id: RecordingId,
    ) -> Trouble {
        loop {
            match self.intents.get(*id.as_uuid()).await {
                Ok(intent) if intent.cancelled => return Trouble::Cancelled,
                Ok(_) => {}
                Err(error) => tracing::debug!(error = chain(&error), "can't read what is wanted"),
            }
            tokio::select! {
                () = self.stop_runs.cancelled() => return Trouble::Ending,
                _ = controls.next() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Keeps the text and says it.
    pub(crate) async fn deliver(
        &self,
        request: &Request,
        recording: &Recording,
        made: TranscribedSound,
    ) -> Result<(), Trouble> {
        let transcript = Transcript {
            recording_id: recording.recording_id,
            text: join_texts(&made.segments),
            language: made.language,
            duration_ms: made.duration_ms,
            model: self.engine.model.id.clone(),
            created_at: recording.created_at,
            tags: recording.tags.clone(),
            metadata: recording.metadata.clone(),
            segments: made.segments,
        };
        library::keep(self.archive.as_ref(), &transcript).await?;
        self.announcer.succeeded(request, &transcript).await
    }

    /// Makes the text of kept sound.
    pub(crate) async fn transcribe_kept(
        &self,
        request: &Request,
        recording: &Recording,
        controls: &mut Controls,
    ) -> Result<(), Trouble> {
        self.check_options(recording)?;
        let source = self.archive.open_sound(recording.recording_id).await?;
        let broken = Arc::default();
        let sound = sound_of(source, Arc::clone(&broken));
        let made = self
            .decode_or_cancel(request, recording, sound, controls)
            .await?;
        if let Some(trouble) = broken.lock().ok().and_then(|mut slot| slot.take()) {
            return Err(trouble);
        }
        self.deliver(request, recording, made).await
    }

    /// [`Decoding::decode`] of a whole sound, until somebody cancels it.
    pub(crate) async fn decode_or_cancel<S>(
        &self,
        request: &Request,
        recording: &Recording,
        sound: S,
        controls: &mut Controls,
    ) -> Result<TranscribedSound, Trouble>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        let cancel = CancellationToken::new();
        let engine = self.decoding();
        let decoding = engine.decode(request, recording, sound, Pace::File, &cancel);
        tokio::pin!(decoding);
        let why = tokio::select! {
            made = &mut decoding => return made,
            why = self.watch_for_cancel(controls, recording.recording_id) => why,
        };
        cancel.cancel();
        // The engine is still busy until it has noticed.
        drop(decoding.await);
        Err(why)
    }
}
