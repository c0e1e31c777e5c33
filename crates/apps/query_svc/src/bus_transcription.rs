//! Files to text by whichever transcriber is free, through the bus.
//!
//! The file goes as it is where it fits into one message. A larger one is decoded here and goes to
//! the store of record as sound; the command then names it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use speakr_contract::{AudioData, commands::TranscriptionRun, events::UNKNOWN_MODEL};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Transcript,
    ports::{
        archive::{Archive, ArchiveError},
        condemned::{Condemned, Uploads},
        sound::{SoundDecoder, SoundError, SoundInput},
        transcription::{Transcription, TranscriptionError, TranscriptionRequest},
    },
    usecases::{
        library::Library,
        recordings::{Kept, begin_or_resume},
        transcribe::TranscriptionObserver,
    },
};
use speakr_nats::{Bus, Caller, Request, StreamCopies, Told, intents::Intents, wire_options};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{cleaner::Cleaner, told_parts::ToldParts};

/// What errors call the platform's transcribers.
const SERVICE: &str = "the transcriber";

/// How often the store of record is looked at beside the bus: an event that came while the
/// connection was lost isn't heard.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Transcribers behind the bus.
pub(crate) struct BusTranscription {
    bus: Bus,
    library: Library,
    condemned: Arc<dyn Condemned>,
    uploads: Arc<dyn Uploads>,
    sweep_after: Duration,
    decoder: Arc<dyn SoundDecoder>,
    tasks: TaskTracker,
}

impl BusTranscription {
    /// Asks over `bus`; `library` has what comes of it, `condemned` what of that isn't to stay,
    /// for which others look after `sweep_after`, and `uploads` what isn't stored whole. `decoder`
    /// reads files that are too large for a message. What is taken away after an answer is among
    /// `tasks`.
    pub(crate) fn new(
        bus: Bus,
        library: Library,
        condemned: Arc<dyn Condemned>,
        uploads: Arc<dyn Uploads>,
        sweep_after: Duration,
        decoder: Arc<dyn SoundDecoder>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            bus,
            library,
            condemned,
            uploads,
            sweep_after,
            decoder,
            tasks,
        }
    }

    fn archive(&self) -> &Arc<dyn Archive> {
        self.library.archive()
    }

    /// The command, once what it needs is where the transcriber finds it: where that `stays`, unless
    /// it is to go after the answer.
    async fn command(
        &self,
        request: &TranscriptionRequest,
        id: RecordingId,
        stays: bool,
    ) -> Result<TranscriptionRun, TranscriptionError> {
        let mut metadata = request.metadata.clone();
        if let Some(name) = &request.file_name {
            metadata.insert("file_name".to_owned(), name.clone().into());
        }
        let mut run = TranscriptionRun {
            tags: request.tags.clone().into(),
            metadata: metadata.clone(),
            created_at: Some(request.created_at),
            options: Some(wire_options(&request.options)),
            ..TranscriptionRun::default()
        };
        let len = tokio::fs::metadata(&request.file)
            .await
            .map_err(failed)?
            .len();
        // Base64 makes four bytes of three; the rest of the command is small, but not nothing.
        let room = self.bus.max_payload_bytes().saturating_sub(128 * 1024) as u64 / 4 * 3;
        if len <= room {
            let file = tokio::fs::read(&request.file).await.map_err(failed)?;
            run.audio_data = Some(AudioData(file));
            return Ok(run);
        }
        let mut recording = Recording::begin(
            request.correlation_id,
            request.created_at,
            request.tags.clone(),
            request.options.clone(),
        );
        recording.metadata = metadata;
        match self.archive().recording(id).await {
            // It was sent before, and all of it is there.
            Ok(there) if there.state != RecordingState::Capturing => {}
            Ok(_) | Err(ArchiveError::NotFound(_)) => {
                if stays {
                    // Before anything is stored: this process may be killed in the middle.
                    let begun = self.uploads.upload_begun(id).await;
                    begun.map_err(archive_error)?;
                }
                self.keep_sound(request, recording).await?;
            }
            Err(error) => return Err(archive_error(error)),
        }
        run.recording_id = Some(*id.as_uuid());
        Ok(run)
    }

    async fn keep_sound(
        &self,
        request: &TranscriptionRequest,
        recording: Recording,
    ) -> Result<(), TranscriptionError> {
        let unreadable = |error| sound_error(request, error);
        let input = SoundInput::File(request.file.clone());
        let mut source = self.decoder.open(&input).await.map_err(unreadable)?;
        let mut writer = begin_or_resume(self.archive().as_ref(), &recording)
            .await
            .map_err(archive_error)?;
        let mut kept = Kept::new(writer.as_mut());
        while let Some(pcm) = source.next().await.map_err(unreadable)? {
            kept.write(&pcm).await.map_err(archive_error)?;
        }
        writer.sync().await.map_err(archive_error)?;
        let duration_ms = Some(speakr_core::audio::samples_to_ms(writer.samples()));
        drop(writer);
        let captured = move |recording: &mut Recording| {
            // Whoever sent the same at the same time may have come further with it.
            if recording.state == RecordingState::Capturing {
                recording.duration_ms = duration_ms;
                recording.state = RecordingState::Captured;
            }
        };
        self.archive()
            .amend(recording.recording_id, Box::new(captured))
            .await
            .map_err(archive_error)?;
        self.archive()
            .compact_sound(recording.recording_id)
            .await
            .map_err(archive_error)
    }

    async fn ask(
        &self,
        request: &TranscriptionRequest,
        id: RecordingId,
        observer: &dyn TranscriptionObserver,
        told_parts: &mut ToldParts,
        cleaner: &mut Cleaner,
    ) -> Result<Transcript, TranscriptionError> {
        let mut asked = Request::new(*request.correlation_id.as_uuid());
        speakr_platform::trace::hand_on(&mut asked);
        let mut caller = Caller::open(&self.bus, id, asked)
            .await
            .map_err(bus_error)?;
        // Also where what is there isn't this request's.
        let stays = request.keep || !cleaner.armed;
        let run = tokio::select! {
            run = self.command(request, id, stays) => run?,
            error = self.hold_on_to(id), if stays => return Err(error),
        };
        if stays && run.recording_id.is_some() {
            // All of it is there now. Who broke off before may have put it on the list meanwhile.
            self.condemned.release(id).await.map_err(archive_error)?;
            self.uploads.upload_ended(id).await.map_err(archive_error)?;
        }
        let mut connections = self.bus.connections();
        if request.keep && run.recording_id.is_none() {
            // Nothing of this request is in the store. What comes there is the transcriber's, also where
            // the bus has the command and its word of that is lost.
            cleaner.armed = false;
        }
        // Never under the name of one before, which the bus would take it for and drop: of what failed a
        // moment ago nothing may be left that has an answer.
        caller.ask_again(&run).await.map_err(bus_error)?;
        if request.keep {
            // From here on it is a recording like any other, whatever becomes of this request.
            cleaner.armed = false;
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.tick().await;
        let mut was_gone = false;
        loop {
            let told = tokio::select! {
                told = caller.told() => told,
                _ = look.tick() => {
                    match self.look(id).await? {
                        Found::Text(transcript) => return Ok(transcript),
                        // Why it is gone is told over the bus; but not where its text was made before.
                        Found::Gone if was_gone => return Err(deleted(id)),
                        found => was_gone = matches!(found, Found::Gone),
                    }
                    if self.bus.connections() != connections {
                        // Its answer may have come while the connection was lost.
                        connections = self.bus.connections();
                        caller.ask_again(&run).await.map_err(bus_error)?;
                    }
                    continue;
                }
            };
            match told {
                Told::Partial(event) => told_parts.hear(event, observer),
                Told::Failed { reason, code } => {
                    return Err(match (code.as_deref(), &request.options.model) {
                        (Some(UNKNOWN_MODEL), Some(model)) => TranscriptionError::UnknownModel {
                            model: model.clone(),
                        },
                        _ => TranscriptionError::Refused { reason },
                    });
                }
                Told::Cancelled => {
                    return Err(TranscriptionError::Refused {
                        reason: "it was cancelled".to_owned(),
                    });
                }
                Told::Succeeded(_) => {
                    // The event comes after the text is kept; it may itself be too large for it.
                    match self.look(id).await? {
                        Found::Text(transcript) => return Ok(transcript),
                        // Deleted between the two: nothing more will be told of it.
                        Found::Gone => return Err(deleted(id)),
                        Found::Nothing => {}
                    }
                }
                Told::Closed => return Err(failed("the connection to the bus was closed")),
            }
        }
    }

    /// Keeps what isn't to stay from being swept away while its text is made. Comes back with an
    /// error alone.
    async fn look_after(&self, id: RecordingId) -> TranscriptionError {
        loop {
            tokio::time::sleep(self.sweep_after / 5).await;
            if let Err(error) = self.condemned.condemn(id).await {
                return archive_error(error);
            }
        }
    }

    /// Keeps an upload from being swept away while it is stored: of those who sent the same, one who
    /// broke off may have put it on the list. Comes back with an error alone.
    async fn hold_on_to(&self, id: RecordingId) -> TranscriptionError {
        loop {
            tokio::time::sleep(self.sweep_after / 5).await;
            let held = async {
                self.condemned.release(id).await?;
                self.uploads.upload_begun(id).await
            };
            if let Err(error) = held.await {
                return archive_error(error);
            }
        }
    }

    /// Whether what was asked for under this name before is to go, or was cancelled, which leaves no
    /// tombstone where nothing of it was stored: the transcribers would refuse it again.
    async fn is_given_up(&self, id: RecordingId) -> Result<bool, TranscriptionError> {
        // In this order: it is cancelled before it leaves the list.
        let condemned = self.condemned.is_condemned(id).await;
        if condemned.map_err(archive_error)? {
            return Ok(true);
        }
        let intents = Intents::open(&self.bus).await.map_err(bus_error)?;
        let intent = intents.get(*id.as_uuid()).await.map_err(bus_error)?;
        Ok(intent.cancelled)
    }

    async fn look(&self, id: RecordingId) -> Result<Found, TranscriptionError> {
        match self.archive().transcript(id).await {
            Ok(Some(transcript)) => Ok(Found::Text(transcript)),
            Ok(None) | Err(ArchiveError::NotFound(_)) => Ok(Found::Nothing),
            Err(ArchiveError::Deleted(_)) => Ok(Found::Gone),
            Err(error) => Err(archive_error(error)),
        }
    }
}

/// What the store of record has of a text.
enum Found {
    Text(Transcript),
    Nothing,
    /// It was deleted.
    Gone,
}

fn deleted(id: RecordingId) -> TranscriptionError {
    archive_error(ArchiveError::Deleted(id))
}

#[async_trait]
impl Transcription for BusTranscription {
    async fn transcribe(
        &self,
        request: &TranscriptionRequest,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError> {
        let id = RecordingId::from_correlation(request.correlation_id);
        let is_over = match self.look(id).await? {
            Found::Text(transcript) => return Ok(transcript),
            Found::Gone if request.keep => return Err(deleted(id)),
            Found::Gone => true,
            Found::Nothing => !request.keep && self.is_given_up(id).await?,
        };
        if is_over {
            // What was taken away, after its answer or without one, may be asked for again: nothing of
            // it comes back.
            let renamed = under_another_name(request);
            tracing::info!(correlation_id = %renamed.correlation_id, "sent again");
            return self.make(&renamed, observer, cancel).await;
        }
        self.make(request, observer, cancel).await
    }
}

/// The request under a name that was never used.
fn under_another_name(request: &TranscriptionRequest) -> TranscriptionRequest {
    let name = Uuid::new_v5(request.correlation_id.as_uuid(), Uuid::new_v4().as_bytes());
    TranscriptionRequest {
        correlation_id: CorrelationId::from(name),
        ..request.clone()
    }
}

impl BusTranscription {
    /// Makes the text of what isn't deleted and has none.
    async fn make(
        &self,
        request: &TranscriptionRequest,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError> {
        let id = RecordingId::from_correlation(request.correlation_id);
        // What was there before this request is not this request's to take away, unless it is what
        // such a request left.
        let condemned = self
            .condemned
            .is_condemned(id)
            .await
            .map_err(archive_error)?;
        let was_there = match self.archive().recording(id).await {
            Ok(_) => !condemned,
            Err(ArchiveError::NotFound(_)) => false,
            Err(error) => return Err(archive_error(error)),
        };
        // What isn't to be kept goes even if this process is killed: another finds it on the list.
        // What is to be kept isn't on it while anybody is at it, and never once it is whole: a list
        // that is out of date must not cost a word.
        if request.keep && condemned {
            self.condemned.release(id).await.map_err(archive_error)?;
        } else if !request.keep && !was_there {
            self.condemned.condemn(id).await.map_err(archive_error)?;
        }
        // What is to go again can only come from now on.
        let copies = StreamCopies::from_now_on(self.bus.clone())
            .await
            .map_err(bus_error)?;
        let mut cleaner = Cleaner {
            bus: self.bus.clone(),
            library: self.library.clone().with_copies(Arc::new(copies)),
            condemned: Arc::clone(&self.condemned),
            id,
            request: Request::new(*request.correlation_id.as_uuid()),
            armed: !was_there,
            comes_again: request.keep,
            tasks: self.tasks.clone(),
        };
        let mut told_parts = ToldParts::default();
        let transcript = tokio::select! {
            () = cancel.cancelled() => Err(TranscriptionError::Cancelled),
            transcript = self.ask(request, id, observer, &mut told_parts, &mut cleaner) => transcript,
            error = self.look_after(id), if !request.keep && !was_there => Err(error),
        };
        let is_refused = matches!(
            &transcript,
            Err(TranscriptionError::Refused { .. } | TranscriptionError::UnknownModel { .. })
        );
        // Sent again, it would be refused again.
        cleaner.comes_again &= !is_refused;
        let transcript = transcript?;
        told_parts.tell_the_rest(&transcript, observer);
        if cleaner.armed {
            cleaner.clean().await.map_err(failed)?;
        }
        Ok(transcript)
    }
}

fn failed(cause: impl Into<speakr_core::ports::BoxedCause>) -> TranscriptionError {
    TranscriptionError::Failed {
        service: SERVICE.to_owned(),
        cause: cause.into(),
    }
}

fn bus_error(error: speakr_nats::BusError) -> TranscriptionError {
    match error {
        speakr_nats::BusError::Full { .. } => TranscriptionError::Busy {
            service: SERVICE.to_owned(),
            retry_after_s: None,
        },
        error => failed(error),
    }
}

fn archive_error(error: ArchiveError) -> TranscriptionError {
    match error {
        error @ ArchiveError::Deleted(_) => TranscriptionError::Refused {
            reason: error.to_string(),
        },
        error => failed(error),
    }
}

/// Why the file can't be read, in the words of who sent it.
fn sound_error(request: &TranscriptionRequest, error: SoundError) -> TranscriptionError {
    match error {
        error @ (SoundError::Unreadable { .. }
        | SoundError::NotSound { .. }
        | SoundError::Refused { .. }) => {
            let place = request.file.display().to_string();
            let name = request.file_name.as_deref().unwrap_or("the file");
            TranscriptionError::Refused {
                reason: error.to_string().replace(&place, name),
            }
        }
        error => failed(error),
    }
}
