//! Digests of files, and a memory of them so that a start doesn't hash gigabytes.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::registry::FileEntry;

/// Length and digests of some bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileDigest {
    pub(crate) size_bytes: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    /// Lower-case hexadecimal.
    pub(crate) sha1: String,
}

impl FileDigest {
    /// Whether these are the bytes that the registry names. An unpinned entry matches nothing.
    pub(crate) fn matches(&self, entry: &FileEntry) -> bool {
        let same = |pinned: &str, found: &str| pinned.is_empty() || pinned == found;
        entry.is_pinned()
            && self.size_bytes == entry.size_bytes
            && same(&entry.sha256, &self.sha256)
            && same(&entry.sha1, &self.sha1)
    }
}

pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<FileDigest> {
    let (mut sha256, mut sha1) = (Sha256::new(), Sha1::new());
    let mut size_bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sha256.update(&buffer[..read]);
        sha1.update(&buffer[..read]);
        size_bytes += read as u64;
    }
    Ok(FileDigest {
        size_bytes,
        sha256: hex(&sha256.finalize()),
        sha1: hex(&sha1.finalize()),
    })
}

pub(crate) fn of_file(path: &Path) -> io::Result<FileDigest> {
    of_reader(File::open(path)?)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// What a file was when it was hashed. Whoever changes a file changes at least one of these,
/// short of forging its time: the digest guards against damage and mix-ups, and who can forge
/// files in the user's folder needs no forged model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    size_bytes: u64,
    modified_ns: u128,
    digest: FileDigest,
}

/// Digests by path, kept in a file of the data folder.
#[derive(Debug)]
pub(crate) struct DigestMemory {
    file: PathBuf,
}

impl DigestMemory {
    pub(crate) fn new(models_dir: &Path) -> Self {
        Self {
            file: models_dir.join(".digests.json"),
        }
    }

    /// The digest of `path`, from memory where the file hasn't changed since.
    pub(crate) fn digest(&self, path: &Path) -> io::Result<FileDigest> {
        // The same file is remembered once, by whatever way it is reached.
        let path = fs::canonicalize(path)?;
        let before = stamp(&fs::metadata(&path)?);
        let key = path.to_string_lossy().into_owned();
        let known = self.read();
        if let (Some(remembered), Some((size_bytes, modified_ns))) = (known.get(&key), before)
            && (remembered.size_bytes, remembered.modified_ns) == (size_bytes, modified_ns)
        {
            return Ok(remembered.digest.clone());
        }
        self.digest_afresh(&path)
    }

    /// The digest of `path`, from its bytes.
    pub(crate) fn digest_afresh(&self, path: &Path) -> io::Result<FileDigest> {
        let path = fs::canonicalize(path)?;
        let before = stamp(&fs::metadata(&path)?);
        let digest = of_file(&path)?;
        // Remembered only where nobody wrote meanwhile.
        if let (Some((size_bytes, modified_ns)), true) =
            (before, before == stamp(&fs::metadata(&path)?))
        {
            let key = path.to_string_lossy().into_owned();
            let remembered = Remembered {
                size_bytes,
                modified_ns,
                digest: digest.clone(),
            };
            if let Err(error) = self.remember(key, remembered) {
                // A read-only data folder costs time at the next start, nothing else.
                tracing::debug!(%error, file = %self.file.display(), "digests aren't kept");
            }
        }
        Ok(digest)
    }

    /// Keeps the digest of a file that was hashed under another name.
    pub(crate) fn note(&self, path: &Path, digest: &FileDigest) -> io::Result<()> {
        let path = fs::canonicalize(path)?;
        let Some((size_bytes, modified_ns)) = stamp(&fs::metadata(&path)?) else {
            return Ok(());
        };
        let key = path.to_string_lossy().into_owned();
        self.remember(
            key,
            Remembered {
                size_bytes,
                modified_ns,
                digest: digest.clone(),
            },
        )
    }

    fn read(&self) -> BTreeMap<String, Remembered> {
        fs::read(&self.file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn remember(&self, key: String, remembered: Remembered) -> io::Result<()> {
        let mut known = self.read();
        known.retain(|path, _| Path::new(path).exists());
        known.insert(key, remembered);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = self
            .file
            .with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&temporary, serde_json::to_vec(&known)?)?;
        fs::rename(&temporary, &self.file).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }
}

fn stamp(metadata: &Metadata) -> Option<(u64, u128)> {
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        // FIPS 180-2, appendix B.1 and A.1.
        let digest = of_reader(&b"abc"[..]).unwrap();
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest.size_bytes, 3);
    }

    #[test]
    fn a_changed_file_is_hashed_again() {
        let folder = tempfile::tempdir().unwrap();
        let memory = DigestMemory::new(&folder.path().join("models"));
        let path = folder.path().join("model.bin");
        fs::write(&path, "one").unwrap();
        let first = memory.digest(&path).unwrap();
        assert_eq!(memory.digest(&path).unwrap(), first);
        fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(SystemTime::now() + Duration::from_secs(5))
            .unwrap();
        assert_ne!(memory.digest(&path).unwrap(), first);
    }

    #[test]
    fn an_unchanged_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let memory = DigestMemory::new(folder.path());
        let path = folder.path().join("model.bin");
        fs::write(&path, "one").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let first = memory.digest(&path).unwrap();
        // Other bytes of the same length under the same time: only memory can answer "one".
        fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert_eq!(memory.digest(&path).unwrap(), first);
        assert_ne!(memory.digest_afresh(&path).unwrap(), first);
    }

    #[test]
    fn a_damaged_memory_is_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".digests.json"), "{nonsense").unwrap();
        let path = folder.path().join("model.bin");
        fs::write(&path, "abc").unwrap();
        let memory = DigestMemory::new(folder.path());
        assert!(memory.digest(&path).unwrap().sha256.starts_with("ba7816bf"));
    }

    #[test]
    fn without_a_place_to_remember_the_digest_is_still_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        fs::write(&path, "abc").unwrap();
        // A file where the folder should be.
        let memory = DigestMemory::new(&path);
        assert!(memory.digest(&path).unwrap().sha256.starts_with("ba7816bf"));
    }
}
