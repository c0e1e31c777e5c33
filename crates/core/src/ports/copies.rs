//! What was said also lies elsewhere for a while: in the streams of a bus. Deleting reaches there.

use async_trait::async_trait;

use super::BoxedCause;
use crate::recording::RecordingId;

/// Why copies are still there.
#[derive(Debug, thiserror::Error)]
#[error("can't take recording {recording_id} out of {place}")]
pub struct CopiesError {
    /// Whose copies.
    pub recording_id: RecordingId,
    /// Where they lie.
    pub place: String,
    /// Why they couldn't be taken away.
    #[source]
    pub cause: BoxedCause,
}

/// Copies of what was said, beside the store of record and the index.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Takes away all that is of the recording `id`; gives how many there were. Doing it again
    /// finds none.
    ///
    /// # Errors
    /// [`CopiesError`]; what was taken away until then stays away.
    async fn forget(&self, id: RecordingId) -> Result<u64, CopiesError>;
}
