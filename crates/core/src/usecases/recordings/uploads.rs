//! Uploads that broke off: half of one is stored, and may be gone on with.

use std::time::Duration;

use super::chain;
use crate::{
    RecordingId, RecordingState,
    ports::{
        archive::{Archive, ArchiveError},
        condemned::{Condemned, Uploads},
    },
};

/// Puts `id` on the list of what is to go where some of its sound is stored, or is about to be, and
/// not all; whether it did. It goes unless it is sent again in time.
///
/// # Errors
/// [`ArchiveError`].
pub async fn condemn_half(
    archive: &dyn Archive,
    condemned: &dyn Condemned,
    id: RecordingId,
) -> Result<bool, ArchiveError> {
    if !is_half(archive, id).await? {
        return Ok(false);
    }
    condemned.condemn(id).await?;
    // Who makes it whole takes it off the list after that: one of the two sees the other.
    if is_half(archive, id).await? {
        return Ok(true);
    }
    condemned.release(id).await?;
    Ok(false)
}

/// Puts on the list of what is to go the uploads that nobody has been at for as long as
/// `untouched_for`, as far as half of them is all there is; gives how many. The others are
/// recordings, or nothing.
///
/// # Errors
/// [`ArchiveError`] when the uploads can't be listed; else that of the first that can't be told.
pub async fn give_up_uploads(
    archive: &dyn Archive,
    condemned: &dyn Condemned,
    uploads: &dyn Uploads,
    untouched_for: Duration,
) -> Result<usize, ArchiveError> {
    let mut given_up = 0;
    let mut first_error = None;
    for id in uploads.uploads(untouched_for).await? {
        let done = async {
            let is_to_go = condemn_half(archive, condemned, id).await?;
            uploads.upload_ended(id).await?;
            Ok::<_, ArchiveError>(is_to_go)
        };
        match done.await {
            Ok(is_to_go) => given_up += usize::from(is_to_go),
            Err(error) => {
                tracing::warn!(
                    recording_id = %id, error = chain(&error),
                    "can't tell whether all of an upload is there"
                );
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(given_up), Err)
}

async fn is_half(archive: &dyn Archive, id: RecordingId) -> Result<bool, ArchiveError> {
    match archive.recording(id).await {
        Ok(recording) => Ok(recording.state == RecordingState::Capturing),
        Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
