//! A folder for what is worked on, which goes when its process does.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

/// Held by the process that uses the folder: the system lets go of it however the process ends.
const LOCK: &str = "in-use";

/// A folder without a lock is one that is being made, unless it is this old.
const MADE_WITHIN: Duration = Duration::from_secs(3_600);

/// A folder for what is worked on. It goes with this; one that a killed process left goes when the
/// next one starts.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes a folder in `parent` whose name begins with `prefix`, and removes those that nobody uses
    /// any more.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn make(parent: &Path, prefix: &str) -> io::Result<Self> {
        remove_abandoned(parent, prefix);
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn remove_abandoned(parent: &Path, prefix: &str) {
    let folders = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in folders.filter(|e| e.file_name().to_string_lossy().starts_with(prefix)) {
        let folder = entry.path();
        if !is_abandoned(&folder) {
            continue;
        }
        match fs::remove_dir_all(&folder) {
            Ok(()) => {
                tracing::info!(folder = %folder.display(), "removed what a killed process left")
            }
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "can't remove what was left");
            }
        }
    }
}

fn is_abandoned(folder: &PathBuf) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::metadata(folder)
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MADE_WITHIN)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use super::*;

    #[test]
    fn what_a_killed_process_left_goes_and_what_is_in_use_stays() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::make(parent.path(), "speakr-").unwrap();
        fs::write(used.path().join("upload"), "sound").unwrap();
        // A process that is gone has let go of its lock.
        let left = parent.path().join("speakr-left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("upload"), "sound").unwrap();
        let others = parent.path().join("other");
        fs::create_dir(&others).unwrap();
        let being_made = parent.path().join("speakr-made");
        fs::create_dir(&being_made).unwrap();

        let next = Scratch::make(parent.path(), "speakr-").unwrap();
        assert!(!left.exists());
        assert!(used.path().join("upload").exists());
        assert!(others.exists() && being_made.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
