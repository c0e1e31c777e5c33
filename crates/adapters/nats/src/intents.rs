//! What is wanted of a recording: written down before the command is answered, so that any replica
//! can go on where another ended.

use std::time::Duration;

use async_nats::jetstream::kv;
use async_trait::async_trait;
pub use speakr_core::ports::platform::{Intent, Stop};
use speakr_core::{RecordingId, ports::platform};
use uuid::Uuid;

use crate::{
    bus::Bus,
    error::{BusError, Cause},
    streams::RECORDINGS,
};

/// How often two that write at once try again.
const TRIES: usize = 5;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(20);

/// The intents of all recordings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intents(kv::Store);

impl Intents {
    /// Opens the bucket.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn open(bus: &Bus) -> Result<Self, BusError> {
        bus.jetstream()
            .get_key_value(RECORDINGS)
            .await
            .map(Self)
            .map_err(BusError::server("open the bucket", RECORDINGS))
    }

    /// What is wanted of `recording_id`; nothing, where nobody said.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn get(&self, recording_id: Uuid) -> Result<Intent, BusError> {
        Ok(self.read(recording_id).await?.0)
    }

    /// It is to be ended. The first stop holds.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn stop(&self, recording_id: Uuid, stop: Stop) -> Result<(), BusError> {
        self.change(recording_id, |intent| {
            intent.stop.get_or_insert_with(|| stop.clone());
        })
        .await
    }

    /// It is to be thrown away.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn cancel(&self, recording_id: Uuid) -> Result<(), BusError> {
        self.change(recording_id, |intent| intent.cancelled = true)
            .await
    }

    /// Takes away what a stop said of a recording that is deleted. That it was cancelled stays: a
    /// command may still be on its way.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn forget(&self, recording_id: Uuid) -> Result<bool, BusError> {
        let (intent, revision) = self.read(recording_id).await?;
        if revision.is_none() || intent.stop.is_none() {
            return Ok(false);
        }
        // A bucket lets nobody overwrite a single message, so the bytes stay in the server's file,
        // where nobody can ask for them, until it tidies.
        if intent.cancelled {
            self.change(recording_id, |intent| intent.stop = None)
                .await?;
        } else {
            self.0
                .purge(recording_id.to_string())
                .await
                .map_err(BusError::server("forget", place(recording_id)))?;
        }
        Ok(true)
    }

    async fn read(&self, id: Uuid) -> Result<(Intent, Option<u64>), BusError> {
        let entry = self
            .0
            .entry(id.to_string())
            .await
            .map_err(BusError::server("read", place(id)))?;
        let Some(entry) = entry.filter(|e| e.operation == kv::Operation::Put) else {
            return Ok((Intent::default(), None));
        };
        let intent =
            serde_json::from_slice(&entry.value).map_err(BusError::server("read", place(id)))?;
        Ok((intent, Some(entry.revision)))
    }

    async fn change(&self, id: Uuid, change: impl Fn(&mut Intent)) -> Result<(), BusError> {
        let key = id.to_string();
        let mut last: Cause = "others write at the same time".into();
        for _ in 0..TRIES {
            let (was, revision) = self.read(id).await?;
            let mut intent = was.clone();
            change(&mut intent);
            if intent == was {
                return Ok(());
            }
            let value = serde_json::to_vec(&intent)
                .map_err(BusError::server("write", place(id)))?
                .into();
            let written = match revision {
                Some(revision) => self
                    .0
                    .update(&key, value, revision)
                    .await
                    .map_err(Cause::from),
                None => self.0.create(&key, value).await.map_err(Cause::from),
            };
            match written {
                Ok(_) => return Ok(()),
                Err(cause) => last = cause,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(BusError::server("write", place(id))(last))
    }
}

#[async_trait]
impl platform::Intents for Intents {
    async fn get(&self, id: RecordingId) -> Result<Intent, platform::BusFailure> {
        Ok(Self::get(self, *id.as_uuid()).await?)
    }

    async fn stop(&self, id: RecordingId, stop: Stop) -> Result<(), platform::BusFailure> {
        Ok(Self::stop(self, *id.as_uuid(), stop).await?)
    }

    async fn cancel(&self, id: RecordingId) -> Result<(), platform::BusFailure> {
        Ok(Self::cancel(self, *id.as_uuid()).await?)
    }
}

fn place(id: Uuid) -> String {
    format!("{RECORDINGS}/{id}")
}
