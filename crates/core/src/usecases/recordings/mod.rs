//! Recordings on a platform of many replicas: what each command does.
//!
//! A replica keeps nothing that another couldn't go on from. Commands come again until they are
//! answered, sound lies in the bus until it is in the store of record, and what is wanted of a
//! recording is written down. So a replica may end at any moment, and another finishes its work.

mod backlog;
mod capture;
mod ends;
mod holding;
mod microphone;
mod run;
mod sweep;
mod text;
mod trouble;
mod uploads;
mod writing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::{
    trouble::{Outcome, Trouble, chain},
    uploads::{condemn_half, give_up_uploads},
    writing::{Kept, begin_or_resume},
};
use crate::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    ports::{
        archive::{Archive, ArchiveError},
        clock::Clock,
        platform::{Announcer, BusFailure, FailureKind, Holders, Intents, SentSound},
        sound::{Device, Microphone, SoundDecoder},
        speech::DecodeOptions,
    },
    recording::Metadata,
    usecases::transcribe::Transcriber,
};

/// One request, as far as all of its commands have it in common.
#[derive(Clone)]
pub struct Asked {
    /// Its name.
    pub correlation_id: CorrelationId,
    /// When the command came: the time of what it doesn't date itself.
    pub at: Timestamp,
    /// Tells what comes of it.
    pub announcer: Arc<dyn Announcer>,
}

impl Asked {
    /// The recording that it makes.
    #[must_use]
    pub fn own_recording(&self) -> RecordingId {
        RecordingId::from_correlation(self.correlation_id)
    }
}

/// Where the microphone is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Side {
    /// At the client, which sends the sound.
    #[default]
    Client,
    /// At this machine.
    Host,
}

/// What a recording is to be.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Where the microphone is.
    pub side: Side,
    /// Labels to find it by.
    pub tags: Tags,
    /// What travels with it.
    pub metadata: Metadata,
    /// When its capture began, where the client told.
    pub created_at: Option<Timestamp>,
    /// What is asked of the decoder.
    pub options: DecodeOptions,
}

/// What text is to be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// A recording that is kept, or will be soon.
    Kept(RecordingId),
    /// A file of any format, which becomes a recording.
    File(PathBuf),
}

/// Which text is to be made.
#[derive(Debug, Clone)]
pub struct Run {
    /// Of what.
    pub sound: Sound,
    /// Labels, beside those that the recording has.
    pub tags: Tags,
    /// What travels with it.
    pub metadata: Metadata,
    /// When the sound was captured, where the client told.
    pub created_at: Option<Timestamp>,
    /// What is asked of the decoder; as the recording was begun, where absent.
    pub options: Option<DecodeOptions>,
}

/// Counts what the decoder does.
pub trait Meter: Send + Sync {
    /// Text was made of so much sound; in so much time, where the decoder waited for no speaker.
    fn decoded(&self, took: Option<Duration>, sound_ms: u64);
    /// The decoder failed.
    fn decode_failed(&self);
    /// A client that had begun a recording said nothing more.
    fn client_vanished(&self);
}

/// The microphone of this machine.
pub struct Host {
    /// How to get at it.
    pub microphone: Arc<dyn Microphone>,
    /// Which.
    pub device: Device,
}

/// What the use cases are made of.
pub struct Parts {
    /// The store of record.
    pub archive: Arc<dyn Archive>,
    /// Makes text.
    pub transcriber: Transcriber,
    /// Id of the model that it makes it with.
    pub model: String,
    /// Sound that clients send.
    pub sent: Arc<dyn SentSound>,
    /// What is wanted of each recording.
    pub intents: Arc<dyn Intents>,
    /// Who holds which recording.
    pub holders: Arc<dyn Holders>,
    /// Reads files of any format.
    pub decoder: Arc<dyn SoundDecoder>,
    /// The microphone of this machine, where its operator allows recording with it.
    pub host: Option<Host>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counts what is done.
    pub meter: Arc<dyn Meter>,
    /// A client that says nothing for so long has its recording finished.
    pub client_patience: Duration,
    /// Cancelled when the replica is asked to end.
    pub stop: CancellationToken,
    /// Cancelled when it has to end now, whatever is under way.
    pub stop_now: CancellationToken,
}

/// Answers commands.
pub struct Recordings {
    parts: Parts,
}

impl std::fmt::Debug for Recordings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recordings")
            .field("model", &self.parts.model)
            .finish_non_exhaustive()
    }
}

impl Recordings {
    /// Answers commands with `parts`.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Says that a command won't be served, why, and of which kind that is; `id` is the recording whose text somebody
    /// waits for.
    ///
    /// # Errors
    /// [`BusFailure`].
    pub async fn give_up(
        &self,
        asked: &Asked,
        occasion: u64,
        id: RecordingId,
        reason: &str,
        kind: Option<FailureKind>,
    ) -> Result<(), BusFailure> {
        let recording = self.mark_failed(id, reason).await;
        asked
            .announcer
            .failed(occasion, id, recording.as_ref(), reason, kind)
            .await
    }

    /// Writes into the description, where there is one, why there is no text.
    async fn mark_failed(&self, id: RecordingId, reason: &str) -> Option<Recording> {
        let reason = reason.to_owned();
        let failed = move |recording: &mut Recording| {
            // Sound that is still in the bus isn't in the store: its state must say so.
            if !matches!(
                recording.state,
                RecordingState::Capturing | RecordingState::Transcribed
            ) {
                recording.state = RecordingState::Failed;
                recording.error = Some(reason.clone());
            }
        };
        match self.parts.archive.amend(id, Box::new(failed)).await {
            Ok(recording) => Some(recording),
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => None,
            Err(error) => {
                tracing::warn!(error = chain(&error), "can't mark the recording as failed");
                self.parts.archive.recording(id).await.ok()
            }
        }
    }

    /// Whether `id` is to be thrown away. A text that is kept isn't thrown away by a cancel that
    /// came too late.
    async fn is_cancelled(&self, id: RecordingId) -> Result<bool, Trouble> {
        if !self.parts.intents.get(id).await?.cancelled {
            return Ok(false);
        }
        Ok(!self.is_transcribed(id).await?)
    }

    async fn is_transcribed(&self, id: RecordingId) -> Result<bool, Trouble> {
        match self.parts.archive.recording(id).await {
            Ok(recording) => Ok(recording.state == RecordingState::Transcribed),
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses what this engine can't do, before any work.
    fn check_options(&self, recording: &Recording) -> Result<(), Trouble> {
        let mine = &self.parts.model;
        match &recording.options.model {
            Some(wanted) if wanted != mine => Err(Trouble::UnknownModel {
                wanted: wanted.clone(),
                mine: mine.clone(),
            }),
            _ => Ok(self.parts.transcriber.accepts(&recording.options)?),
        }
    }
}

/// The log of a command names the recording that it is about.
fn about(id: RecordingId) {
    tracing::Span::current().record("recording_id", tracing::field::display(id));
}

#[cfg(test)]
mod tests;
