//! The sound that lies in the bus, as the core asks for it.

use async_trait::async_trait;
use futures::StreamExt;
use jiff::Timestamp;
use speakr_contract::subjects;
use speakr_core::{
    RecordingId,
    ports::platform::{BusFailure, HearError, Heard, Rest, SentSound, SoundListener, Waiting},
};

use crate::{
    audio::{self, AudioListener},
    bus::Bus,
    error::BusError,
    streams::{self, AUDIO},
};

/// The sound that clients send.
#[derive(Debug, Clone)]
pub struct Sent(Bus);

impl Sent {
    /// The sound that comes over `bus`.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self(bus.clone())
    }
}

#[async_trait]
impl SentSound for Sent {
    fn listen(&self, id: RecordingId) -> Box<dyn SoundListener> {
        Box::new(AudioListener::new(&self.0, *id.as_uuid()))
    }

    async fn purge(&self, id: RecordingId) -> Result<(), BusFailure> {
        Ok(audio::purge(&self.0, *id.as_uuid()).await?)
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, BusFailure> {
        let stream = streams::stream(&self.0, AUDIO).await?;
        let mut subjects = stream
            .info_with_subjects(subjects::AUDIO)
            .await
            .map_err(BusError::server("list the sound in", AUDIO))?;
        let mut waiting = Vec::new();
        while let Some(subject) = subjects.next().await {
            let (subject, _) = subject.map_err(BusError::server("list the sound in", AUDIO))?;
            let Some(id) = subjects::recording_of_audio(&subject) else {
                tracing::debug!(subject, "no recording has such a subject");
                continue;
            };
            if let Some(last_at_ms) = audio::last_at_ms(&self.0, id).await? {
                waiting.push(Waiting {
                    id: RecordingId::from(id),
                    last_at: Timestamp::from_millisecond(last_at_ms).unwrap_or(Timestamp::MAX),
                });
            }
        }
        Ok(waiting)
    }

    async fn is_full(&self) -> Result<bool, BusFailure> {
        Ok(streams::level(&self.0, AUDIO).await?.is_full())
    }
}

#[async_trait]
impl SoundListener for AudioListener {
    async fn next(&mut self) -> Result<Heard, HearError> {
        Self::next(self).await.map_err(|error| match error {
            BusError::Sound { .. } => HearError::Broken(error.into()),
            other => HearError::Bus(other.into()),
        })
    }

    fn give_up_on_gaps(&mut self) -> Rest {
        Self::give_up_on_gaps(self)
    }
}
