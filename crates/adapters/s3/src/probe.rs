//! Whether the store takes what is written.

use speakr_core::ports::archive::ArchiveError;

use crate::store::Store;

/// Where a write is begun. Whoever may write anything of ours may write here, and no recording is called so.
const PROBE: &str = "recordings/readiness/recording.json";

impl Store {
    /// Begins an upload and gives it up: it takes the right to write, and leaves nothing, not even a
    /// version.
    pub(crate) async fn check_writable(&self) -> Result<(), ArchiveError> {
        self.upload(PROBE, "application/json")
            .await?
            .give_up()
            .await;
        Ok(())
    }
}
