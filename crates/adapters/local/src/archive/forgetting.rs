//! Taking away what is no recording yet, without a trace.

use std::fs;

use speakr_core::{RecordingId, ports::archive::ArchiveError};

use super::{FolderArchive, remove_folder};
use crate::{atomic, fault::blocking};

impl FolderArchive {
    /// Removes all that is kept of `id`, as if it had never been begun: without a tombstone, so that
    /// it can be begun again. For sound that whoever sent it still has. Who calls this holds the lock
    /// of its text, so that nobody else is at it.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] naming the folder that can't be removed.
    pub async fn forget(&self, id: RecordingId) -> Result<(), ArchiveError> {
        let home = self.home.clone();
        blocking(move || {
            let folder = home.recording(id);
            let name = atomic::unfinished_name(&format!("{id}-forgotten"));
            let aside = home.recordings().join(name);
            // Perhaps a crash came between the two steps below.
            remove_folder(&aside)?;
            // In one step, so that a crash leaves all of it or nothing. Not every system moves a
            // folder of which a file is open.
            let left = if fs::rename(&folder, &aside).is_ok() {
                aside
            } else {
                folder
            };
            remove_folder(&left)
        })
        .await
    }
}
