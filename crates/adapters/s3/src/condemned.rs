//! The lists of what is to go and of uploads under way, as one small object for each entry. Its key
//! says all: who keeps the lists needn't read any.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use speakr_core::{
    RecordingId,
    ports::{
        archive::ArchiveError,
        condemned::{Condemned, Uploads},
    },
};

use crate::archive::{S3Archive, id_of};

const PREFIX: &str = "condemned/";

/// Below the other, where the same rights allow the same; what lists that one doesn't see it.
const UPLOADS: &str = "condemned/half/";

fn key(id: RecordingId) -> String {
    format!("{PREFIX}{id}")
}

fn upload_key(id: RecordingId) -> String {
    format!("{UPLOADS}{id}")
}

impl S3Archive {
    async fn note(&self, key: &str) -> Result<(), ArchiveError> {
        self.store.put(key, Vec::new(), "text/plain").await
    }

    /// What is right below `prefix` and was written longer ago than `untouched_for`.
    async fn noted(
        &self,
        prefix: &str,
        untouched_for: Duration,
    ) -> Result<Vec<RecordingId>, ArchiveError> {
        let Some(until) = SystemTime::now().checked_sub(untouched_for) else {
            return Ok(Vec::new()); // Longer ago than time is told.
        };
        let listed = self.store.list(prefix).await?;
        Ok(listed
            .iter()
            // Of what the store tells no time somebody may still look after.
            .filter(|object| object.modified.is_some_and(|at| at <= until))
            .filter_map(|object| id_of(object.key.strip_prefix(prefix)?))
            .collect())
    }
}

#[async_trait]
impl Condemned for S3Archive {
    async fn condemn(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.note(&key(id)).await
    }

    async fn is_condemned(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        Ok(self.store.size(&key(id)).await?.is_some())
    }

    async fn condemned(&self, untouched_for: Duration) -> Result<Vec<RecordingId>, ArchiveError> {
        self.noted(PREFIX, untouched_for).await
    }

    async fn release(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.store.erase(&key(id)).await
    }
}

#[async_trait]
impl Uploads for S3Archive {
    async fn upload_begun(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.note(&upload_key(id)).await
    }

    async fn uploads(&self, untouched_for: Duration) -> Result<Vec<RecordingId>, ArchiveError> {
        self.noted(UPLOADS, untouched_for).await
    }

    async fn upload_ended(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.store.erase(&upload_key(id)).await
    }
}
