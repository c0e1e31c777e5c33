//! The list of what is to go, as one small object each.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use speakr_core::{
    RecordingId,
    ports::{archive::ArchiveError, condemned::Condemned},
};

use crate::archive::{S3Archive, id_of};

const PREFIX: &str = "condemned/";

fn key(id: RecordingId) -> String {
    format!("{PREFIX}{id}")
}

#[async_trait]
impl Condemned for S3Archive {
    async fn condemn(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.store.put(&key(id), Vec::new(), "text/plain").await
    }

    async fn is_condemned(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        Ok(self.store.size(&key(id)).await?.is_some())
    }

    async fn condemned(&self, untouched_for: Duration) -> Result<Vec<RecordingId>, ArchiveError> {
        let Some(until) = SystemTime::now().checked_sub(untouched_for) else {
            return Ok(Vec::new()); // Longer ago than time is told.
        };
        let listed = self.store.list(PREFIX).await?;
        Ok(listed
            .iter()
            // Of what the store tells no time somebody may still look after.
            .filter(|object| object.modified.is_some_and(|at| at <= until))
            .filter_map(|object| id_of(object.key.strip_prefix(PREFIX)?))
            .collect())
    }

    async fn release(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.store.erase(&key(id)).await
    }
}
