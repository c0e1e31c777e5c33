//! Recordings that are to go, remembered until nothing of them is left anywhere, and uploads that
//! aren't whole yet: a process that is killed in the middle leaves the rest to another.

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

/// A list of uploads that are to be kept and aren't stored whole. Half of one whose process was
/// killed looks like a recording that goes on: only this tells the one from the other.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Puts `id` on the list, before anything of it is stored; again, to tell that somebody is at it
    /// still.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn upload_begun(&self, id: RecordingId) -> Result<(), ArchiveError>;

    /// All on the list that were put there, for the last time, longer ago than `untouched_for`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn uploads(&self, untouched_for: Duration) -> Result<Vec<RecordingId>, ArchiveError>;

    /// Takes `id` off the list: it is whole, or is looked after otherwise.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn upload_ended(&self, id: RecordingId) -> Result<(), ArchiveError>;
}
