//! Where recordings can be reached: an entry in `run` for each, and a socket beside it.

use std::{
    io,
    path::{Path, PathBuf},
};

use interprocess::local_socket::{GenericFilePath, Name, ToFsName};
use speakr_core::RecordingId;
use speakr_local::Home;

/// How entries' names end.
const ENTRY_SUFFIX: &str = ".session";
/// The longest path that a socket may have is some 100 bytes (`sun_path`).
const LONGEST_SOCKET_PATH: usize = 100;

/// One recording that can be reached, or could until its process was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The recording.
    pub(super) id: RecordingId,
    /// Later recordings have greater numbers. Times of day wouldn't do: clocks jump.
    number: u64,
    /// The entry that tells of it.
    entry: PathBuf,
    /// Its socket or pipe.
    pub(super) socket: PathBuf,
}

impl Place {
    /// The place of a recording that begins now. The caller holds the recording lock, so no other
    /// begins meanwhile.
    pub(super) fn next(home: &Home, id: RecordingId) -> io::Result<Self> {
        let number = all(home)?.first().map_or(1, |newest| newest.number + 1);
        Ok(Self::of(home, id, number))
    }

    fn of(home: &Home, id: RecordingId, number: u64) -> Self {
        Self {
            id,
            number,
            entry: home.run().join(format!("{number}.{id}{ENTRY_SUFFIX}")),
            socket: socket_path(home, id),
        }
    }

    /// What the system calls the socket.
    pub(super) fn name(&self) -> io::Result<Name<'_>> {
        self.socket.as_path().to_fs_name::<GenericFilePath>()
    }

    /// Lets others find it. Its socket listens already: one that doesn't is left behind.
    pub(super) fn announce(&self) -> io::Result<()> {
        std::fs::write(&self.entry, b"")
    }

    /// Takes it away.
    pub(super) fn remove(&self) {
        std::fs::remove_file(&self.entry).ok();
        // Pipes go by themselves.
        if cfg!(unix) {
            std::fs::remove_file(&self.socket).ok();
        }
    }
}

/// All places over `home`, the newest first.
pub(super) fn all(home: &Home) -> io::Result<Vec<Place>> {
    let entries = match std::fs::read_dir(home.run()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut places: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let (number, id) = name.to_str()?.strip_suffix(ENTRY_SUFFIX)?.split_once('.')?;
            Some(Place::of(home, id.parse().ok()?, number.parse().ok()?))
        })
        .collect();
    places.sort_unstable_by_key(|place| std::cmp::Reverse(place.number));
    Ok(places)
}

/// A data folder that lies too deep for a socket gets its sockets under the system's folder for
/// temporary files, named after folder and recording.
fn socket_path(home: &Home, id: RecordingId) -> PathBuf {
    if cfg!(windows) {
        return PathBuf::from(format!(r"\\.\pipe\speakr-{}", fingerprint(home.path(), id)));
    }
    let path = home.run().join(format!("{id}.sock"));
    if path.as_os_str().len() < LONGEST_SOCKET_PATH {
        return path;
    }
    std::env::temp_dir().join(format!("speakr-{}.sock", fingerprint(home.path(), id)))
}

fn fingerprint(home: &Path, id: RecordingId) -> String {
    let whole = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    uuid::Uuid::new_v5(id.as_uuid(), whole.as_os_str().as_encoded_bytes())
        .simple()
        .to_string()
}
