//! Recordings that are to go, remembered until nothing of them is left anywhere: a process that is
//! killed in the middle leaves the rest to another.

use std::time::Duration;

use async_trait::async_trait;

use super::archive::ArchiveError;
use crate::recording::RecordingId;

/// A list, beside the store of record, of recordings that are being deleted, of those that nobody
/// asked to keep, and of those whose sender broke off and may come back.
#[async_trait]
pub trait Condemned: Send + Sync {
    /// Puts `id` on the list; again, to tell that somebody still looks after it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn condemn(&self, id: RecordingId) -> Result<(), ArchiveError>;

    /// Whether `id` is on the list.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn is_condemned(&self, id: RecordingId) -> Result<bool, ArchiveError>;

    /// All on the list that were put there, for the last time, longer ago than `untouched_for`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn condemned(&self, untouched_for: Duration) -> Result<Vec<RecordingId>, ArchiveError>;

    /// Takes `id` off the list: nothing is left of it, or it is to be kept after all.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn release(&self, id: RecordingId) -> Result<(), ArchiveError>;
}
