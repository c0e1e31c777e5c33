//! Where everything lies inside the data folder.

use std::path::{Path, PathBuf};

use speakr_core::{RecordingId, ports::archive::ArchiveError};

use crate::atomic;
#[cfg(unix)]
use crate::fault;

/// The data folder of one user and the places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The data folder at `path`; nothing is created yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Recordings, one folder each.
    #[must_use]
    pub fn recordings(&self) -> PathBuf {
        self.0.join("recordings")
    }

    /// One empty file per deleted recording, so that nothing brings it back.
    #[must_use]
    pub fn tombstones(&self) -> PathBuf {
        self.0.join("tombstones")
    }

    /// The index; it can be made again from the recordings.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.0.join("index.sqlite3")
    }

    /// Copies of the index from before a migration or a repair.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.0.join("backups")
    }

    /// Models that were downloaded.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.0.join("models")
    }

    /// Locks and sockets of running processes.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The tokens of `speakr serve`, as hashes.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.0.join("tokens.json")
    }

    /// The folder of one recording. Ids are UUIDs, so no name can lead out of `recordings`.
    #[must_use]
    pub fn recording(&self, id: RecordingId) -> PathBuf {
        self.recordings().join(id.to_string())
    }

    pub(crate) fn tombstone(&self, id: RecordingId) -> PathBuf {
        self.tombstones().join(id.to_string())
    }

    /// Creates the folder and those inside it, readable by their owner alone.
    ///
    /// A home that lies in a folder with other things in it keeps that folder's mode: only what
    /// speakr made is speakr's to close.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] or [`ArchiveError::Full`] naming the folder.
    pub fn create(&self) -> Result<(), ArchiveError> {
        let ours = !self.0.exists() || self.recordings().is_dir() || is_empty(&self.0);
        atomic::create_private_folder(&self.0)?;
        for folder in [
            self.recordings(),
            self.tombstones(),
            self.backups(),
            self.run(),
        ] {
            atomic::create_private_folder(&folder)?;
        }
        if ours {
            close_to_others(&self.0)?;
        }
        Ok(())
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(unix)]
fn close_to_others(folder: &Path) -> Result<(), ArchiveError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder)
        .map_err(fault::io("read", folder))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .map_err(fault::io("protect", folder))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_to_others(_folder: &Path) -> Result<(), ArchiveError> {
    // A profile's folders are closed to other users by their inherited access lists.
    Ok(())
}
