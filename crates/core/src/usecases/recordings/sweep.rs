//! Sound that nobody needs any more, or that nobody will ask for: out of the bus with it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Recordings, Trouble, chain};
use crate::{
    RecordingState,
    ports::{archive::ArchiveError, platform::Waiting},
};

/// How long sound is kept of which no recording was begun: as long as a start that couldn't be
/// served may be sent again.
const ORPHANS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl Recordings {
    /// Removes sound that came after its recording was kept or thrown away, and sound that no
    /// recording was begun for in a month. Gives the number of recordings that it was of. Any
    /// replica may do this at any time.
    ///
    /// # Errors
    /// When the bus can't say what lies there.
    pub async fn sweep(&self) -> Result<usize, Trouble> {
        let mut swept = 0;
        for waiting in self.parts.sent.waiting().await? {
            let id = waiting.id;
            match self.is_superfluous(&waiting).await {
                Ok(true) => {
                    self.parts.sent.purge(id).await?;
                    swept += 1;
                    tracing::info!(recording_id = %id, "removed sound that nobody needs");
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    recording_id = %id, error = chain(&error),
                    "can't tell whether its sound is needed"
                ),
            }
        }
        Ok(swept)
    }

    async fn is_superfluous(&self, waiting: &Waiting) -> Result<bool, Trouble> {
        match self.parts.archive.recording(waiting.id).await {
            Ok(recording) => Ok(recording.state != RecordingState::Capturing),
            Err(ArchiveError::Deleted(_)) => Ok(true),
            Err(ArchiveError::NotFound(_)) => {
                let oldest = self.parts.clock.now().as_second()
                    - i64::try_from(ORPHANS_KEPT.as_secs()).unwrap_or(i64::MAX);
                let old = Timestamp::from_second(oldest).is_ok_and(|at| waiting.last_at < at);
                Ok(old || self.parts.intents.get(waiting.id).await?.cancelled)
            }
            Err(error) => Err(error.into()),
        }
    }
}
