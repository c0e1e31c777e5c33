//! Files that are either the old or the new, whole, whatever happens in between.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use speakr_core::ports::archive::ArchiveError;

use crate::fault;

/// How the names of unfinished files begin.
const UNFINISHED_PREFIX: &str = ".unfinished-";

/// An unfinished file older than this has nobody who will finish it.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// Creates `folder` and its parents, readable by their owner alone; one that exists stays as it
/// is.
pub(crate) fn create_private_folder(folder: &Path) -> Result<(), ArchiveError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(fault::io("create", folder))
}

/// Options for a file that only its owner reads.
pub(crate) fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Puts `bytes` at `path`: written beside it, synced, renamed over it, the folder synced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED_PREFIX)
        .tempfile_in(folder)
        .map_err(fault::io("write", path))?;
    unfinished
        .write_all(bytes)
        .and_then(|()| unfinished.as_file().sync_all())
        .map_err(fault::io("write", path))?;
    unfinished
        .persist(path)
        .map_err(|e| fault::io("write", path)(e.error))?;
    sync_folder(folder)
}

/// Makes renames, creations and removals in `folder` survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ArchiveError> {
    #[cfg(unix)]
    fs::File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(fault::io("sync", folder))?;
    #[cfg(not(unix))]
    let _ = folder; // NTFS journals its directories; a folder can't be opened for syncing.
    Ok(())
}

/// Removes `path` if it is there; says whether it was.
pub(crate) fn remove_file(path: &Path) -> Result<bool, ArchiveError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(fault::io("remove", path)(e)),
    }
}

/// Removes what crashed processes left unfinished in `folder`. Best effort: it only frees space.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let unfinished = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(UNFINISHED_PREFIX));
        // The name first: to look at every recording would take longer than a search.
        if !unfinished {
            continue;
        }
        let abandoned = entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age > ABANDONED_AFTER)
        });
        if abandoned {
            let path = entry.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            tracing::debug!(path = %path.display(), ?removed, "abandoned by a crash");
        }
    }
}

/// The name of an unfinished file that becomes `name`; encoders tell formats by the extension.
pub(crate) fn unfinished_name(name: &str) -> String {
    format!("{UNFINISHED_PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        write(&path, b"a long first version").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_place_and_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/x.json");
        let error = write(&missing, b"text").unwrap_err();
        assert!(error.to_string().contains("x.json"), "{error}");
    }

    #[test]
    fn only_abandoned_unfinished_files_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join(unfinished_name("old"));
        let fresh = folder.path().join(unfinished_name("fresh"));
        let kept = folder.path().join("audio.pcm");
        let long_ago = SystemTime::now() - 2 * ABANDONED_AFTER;
        for path in [&old, &fresh, &kept] {
            fs::write(path, b"x").unwrap();
        }
        for path in [&old, &kept] {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        sweep(folder.path());
        assert!(!old.exists());
        assert!(fresh.exists() && kept.exists());
    }
}
