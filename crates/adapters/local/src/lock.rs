//! Locks between processes. The operating system frees them with the process, however it ends.

use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use speakr_core::{RecordingId, ports::archive::ArchiveError};

use crate::{Home, atomic, fault};

/// Somebody who only looks whether a lock is free holds it for a moment; so a taken lock is tried
/// again this often …
const TRIES: u32 = 5;
/// … with this pause.
const PAUSE: Duration = Duration::from_millis(20);

/// Who changes a description has it for as long as it takes to write a small file; one that holds it
/// for longer than this is stuck.
const CHANGES_WITHIN: Duration = Duration::from_secs(30);
/// Pause before it is looked again whether another has done.
const CHANGE_PAUSE: Duration = Duration::from_millis(3);

/// Who holds the recording lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it records.
    pub recording_id: RecordingId,
}

/// Why a lock wasn't taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process records. Who it is can't be told on every system.
    #[error("another recording is running{}", describe(*holder))]
    Recording {
        /// That process.
        holder: Option<Holder>,
    },
    /// Another process makes the text of this recording.
    #[error("recording {0} is being transcribed by another process")]
    Transcribing(RecordingId),
    /// The lock file can't be made.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn describe(holder: Option<Holder>) -> String {
    holder.map_or_else(String::new, |h| {
        format!(" (process {}, recording {})", h.pid, h.recording_id.short())
    })
}

/// Held while a recording is captured: one at a time per data folder.
#[derive(Debug)]
pub struct RecordingLock {
    file: File,
}

impl RecordingLock {
    /// Takes the lock for `id`.
    ///
    /// # Errors
    /// [`LockError::Recording`] when another process has it; [`LockError::Archive`] when the lock
    /// file can't be made.
    pub fn acquire(home: &Home, id: RecordingId) -> Result<Self, LockError> {
        let path = lock_path(home);
        let mut file = open(&path)?;
        if !lock(&file, &path)? {
            return Err(LockError::Recording {
                holder: read_holder(&mut file),
            });
        }
        let holder = Holder {
            pid: std::process::id(),
            recording_id: id,
        };
        let text = serde_json::to_vec(&holder).map_err(|e| fault::damaged(&path, e.to_string()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&text))
            .map_err(fault::io("write", &path))?;
        Ok(Self { file })
    }

    /// Who records now: `None` when nobody does.
    ///
    /// # Errors
    /// [`LockError::Recording`] without a holder when somebody does, but the system doesn't let
    /// the lock file be read meanwhile; [`LockError::Archive`] when it can't be read at all.
    pub fn holder(home: &Home) -> Result<Option<Holder>, LockError> {
        let path = lock_path(home);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fault::io("read", &path)(e).into()),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => read_holder(&mut file)
                .map(Some)
                .ok_or(LockError::Recording { holder: None }),
            Err(TryLockError::Error(e)) => Err(fault::io("lock", &path)(e).into()),
        }
    }

    /// Whether `id` is being captured right now: a recording in state `capturing` for which this
    /// is false was interrupted.
    ///
    /// # Errors
    /// [`LockError::Archive`].
    pub fn is_recording(home: &Home, id: RecordingId) -> Result<bool, LockError> {
        match Self::holder(home) {
            Ok(holder) => Ok(holder.is_some_and(|h| h.recording_id == id)),
            // Held by somebody unknown: it may be this one, and a live recording must be let be.
            Err(LockError::Recording { .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }
}

impl Drop for RecordingLock {
    fn drop(&mut self) {
        // The holder is only for messages; the lock itself goes with the file.
        let _ = self.file.set_len(0);
    }
}

/// Held while the text of one recording is made.
#[derive(Debug)]
pub struct TranscriptionLock {
    _file: File,
}

impl TranscriptionLock {
    /// Takes the lock of recording `id`.
    ///
    /// # Errors
    /// [`LockError::Transcribing`] when another process has it; [`LockError::Archive`] when there
    /// is no such recording or the lock file can't be made.
    pub fn acquire(home: &Home, id: RecordingId) -> Result<Self, LockError> {
        let folder = home.recording(id);
        let path = folder.join("transcribing.lock");
        loop {
            if !folder.is_dir() {
                return Err(ArchiveError::NotFound(id).into());
            }
            let file = match open(&path) {
                Err(_) if !folder.is_dir() => return Err(ArchiveError::NotFound(id).into()),
                opened => opened?,
            };
            if !lock(&file, &path)? {
                return Err(LockError::Transcribing(id));
            }
            // Who had it may have taken the folder away with it, and another begun it anew.
            if is_at(&file, &path)? {
                return Ok(Self { _file: file });
            }
        }
    }

    /// Whether a process makes the text of `id` right now.
    ///
    /// # Errors
    /// [`LockError::Archive`] when the lock file can't be read.
    pub fn is_held(home: &Home, id: RecordingId) -> Result<bool, LockError> {
        let path = home.recording(id).join("transcribing.lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(fault::io("read", &path)(e).into()),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(fault::io("lock", &path)(e).into()),
        }
    }
}

/// Held while what describes a recording is read and written anew.
#[derive(Debug)]
pub(crate) struct ChangeLock {
    _file: File,
}

impl ChangeLock {
    /// Takes the lock of the recording in `folder`, and waits for it where another has it.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] when the lock file can't be made, or another process doesn't let go.
    pub(crate) fn acquire(folder: &Path) -> Result<Self, ArchiveError> {
        let path = folder.join("change.lock");
        let file = open(&path)?;
        let until = Instant::now() + CHANGES_WITHIN;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    thread::sleep(CHANGE_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let stuck = std::io::Error::new(
                        std::io::ErrorKind::TimedOut,
                        format!(
                            "another process has been changing this recording for {} s",
                            CHANGES_WITHIN.as_secs()
                        ),
                    );
                    return Err(fault::io("lock", &path)(stuck));
                }
                Err(TryLockError::Error(e)) => return Err(fault::io("lock", &path)(e)),
            }
        }
    }
}

/// Held while a recording is begun and the lock of its text isn't taken yet, so that nobody takes
/// it for one that was interrupted.
#[derive(Debug)]
pub struct Beginning {
    _file: File,
}

impl Beginning {
    /// A recording begins. Many may at a time.
    ///
    /// # Errors
    /// [`LockError::Archive`] when the lock file can't be made.
    pub fn hold(home: &Home) -> Result<Self, LockError> {
        let (file, path) = Self::open(home)?;
        file.lock_shared().map_err(fault::io("lock", &path))?;
        Ok(Self { _file: file })
    }

    /// Waits until every recording that has begun by now has the lock of its text, or no process
    /// any more. Soon: beginning takes no longer than making a file.
    ///
    /// # Errors
    /// [`LockError::Archive`] when the lock file can't be made.
    pub fn wait(home: &Home) -> Result<(), LockError> {
        let (file, path) = Self::open(home)?;
        file.lock().map_err(fault::io("lock", &path))?;
        Ok(())
    }

    fn open(home: &Home) -> Result<(File, PathBuf), ArchiveError> {
        let path = home.run().join("begin.lock");
        Ok((open(&path)?, path))
    }
}

fn lock_path(home: &Home) -> PathBuf {
    home.run().join("record.lock")
}

fn open(path: &Path) -> Result<File, ArchiveError> {
    atomic::private_file()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(fault::io("open", path))
}

fn lock(file: &File, path: &Path) -> Result<bool, ArchiveError> {
    for attempt in 1..=TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if attempt < TRIES => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(fault::io("lock", path)(e)),
        }
    }
    Ok(false)
}

/// Whether `file` is what lies at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> Result<bool, ArchiveError> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata().map_err(fault::io("read", path))?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(fault::io("read", path)(e)),
    }
}

/// Whether there is a file at `path`: whether it is this one, only Unix tells.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> Result<bool, ArchiveError> {
    path.try_exists().map_err(fault::io("read", path))
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use speakr_core::CorrelationId;

    use super::*;

    fn id() -> RecordingId {
        RecordingId::from_correlation(CorrelationId::random())
    }

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        home.create().unwrap();
        (folder, home)
    }

    #[test]
    fn a_second_recording_is_told_who_records() {
        let (_folder, home) = home();
        let (first, second) = (id(), id());
        let lock = RecordingLock::acquire(&home, first).unwrap();
        let error = RecordingLock::acquire(&home, second).unwrap_err();
        let holder = Holder {
            pid: std::process::id(),
            recording_id: first,
        };
        assert!(
            matches!(error, LockError::Recording { holder: Some(h) } if h == holder),
            "{error:?}"
        );
        assert!(error.to_string().contains(&first.short()));
        assert!(RecordingLock::is_recording(&home, first).unwrap());
        assert!(!RecordingLock::is_recording(&home, second).unwrap());
        drop(lock);
        assert_eq!(RecordingLock::holder(&home).unwrap(), None);
        RecordingLock::acquire(&home, second).unwrap();
    }

    #[test]
    fn looking_at_the_lock_does_not_keep_others_from_taking_it() {
        let (_folder, home) = home();
        let wanted = id();
        drop(RecordingLock::acquire(&home, wanted).unwrap());
        let probe = File::open(lock_path(&home)).unwrap();
        probe.try_lock_shared().unwrap();
        let looker = thread::spawn(move || {
            thread::sleep(PAUSE);
            drop(probe);
        });
        RecordingLock::acquire(&home, wanted).unwrap();
        looker.join().unwrap();
    }

    #[test]
    fn who_waits_for_beginnings_goes_on_when_the_last_of_them_is_done() {
        let (_folder, home) = home();
        let (one, other) = (
            Beginning::hold(&home).unwrap(),
            Beginning::hold(&home).unwrap(),
        );
        let (sender, done) = std::sync::mpsc::channel();
        let place = home.clone();
        let waits = thread::spawn(move || {
            Beginning::wait(&place).unwrap();
            sender.send(()).unwrap();
        });
        drop(one);
        done.recv_timeout(PAUSE * 5).unwrap_err();
        drop(other);
        waits.join().unwrap();
        done.recv().unwrap();
    }

    #[test]
    fn one_recording_is_transcribed_once_at_a_time_and_others_beside_it() {
        let (_folder, home) = home();
        let (first, second) = (id(), id());
        for each in [first, second] {
            atomic::create_private_folder(&home.recording(each)).unwrap();
        }
        assert!(!TranscriptionLock::is_held(&home, first).unwrap());
        let lock = TranscriptionLock::acquire(&home, first).unwrap();
        assert!(TranscriptionLock::is_held(&home, first).unwrap());
        assert!(matches!(
            TranscriptionLock::acquire(&home, first),
            Err(LockError::Transcribing(of)) if of == first
        ));
        TranscriptionLock::acquire(&home, second).unwrap();
        drop(lock);
        assert!(!TranscriptionLock::is_held(&home, first).unwrap());
        TranscriptionLock::acquire(&home, first).unwrap();
        assert!(matches!(
            TranscriptionLock::acquire(&home, id()),
            Err(LockError::Archive(ArchiveError::NotFound(_)))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn who_waited_for_a_lock_that_went_with_its_folder_has_not_that_of_the_next() {
        let (_folder, home) = home();
        let wanted = id();
        let folder = home.recording(wanted);
        atomic::create_private_folder(&folder).unwrap();
        let gone = TranscriptionLock::acquire(&home, wanted).unwrap();
        let place = home.clone();
        let waits = thread::spawn(move || TranscriptionLock::acquire(&place, wanted));
        thread::sleep(PAUSE);
        std::fs::remove_dir_all(&folder).unwrap();
        atomic::create_private_folder(&folder).unwrap();
        let next = TranscriptionLock::acquire(&home, wanted).unwrap();
        drop(gone);
        let late = waits.join().unwrap();
        assert!(
            matches!(late, Err(LockError::Transcribing(of)) if of == wanted),
            "{late:?}"
        );
        drop(next);
        TranscriptionLock::acquire(&home, wanted).unwrap();
    }
}
