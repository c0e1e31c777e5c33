//! What describes a recording, and its text: read, mended and changed, one after the other.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::archive::{ArchiveError, Change},
};

use super::{COMPACT_SOUND, FolderArchive, RAW_SOUND, RECORDING, TRANSCRIPT};
use crate::{atomic, fault, lock::ChangeLock, rebuild::rebuild};

impl FolderArchive {
    pub(super) fn put<T: Serialize>(
        &self,
        id: RecordingId,
        name: &str,
        document: &T,
    ) -> Result<(), ArchiveError> {
        let path = self.live_folder(id)?.join(name);
        atomic::write(&path, &to_json(&path, document)?)
    }

    pub(super) fn read_transcript(
        &self,
        id: RecordingId,
    ) -> Result<Option<Transcript>, ArchiveError> {
        let path = self.live_folder(id)?.join(TRANSCRIPT);
        let transcript: Option<Transcript> = read_json(&path)?;
        match transcript {
            Some(t) if t.recording_id != id => Err(fault::damaged(
                &path,
                format!("it belongs to recording {}", t.recording_id),
            )),
            other => Ok(other),
        }
    }

    /// Nobody else changes what describes the recording as long as this is held.
    pub(super) fn lock(&self, id: RecordingId) -> Result<ChangeLock, ArchiveError> {
        let folder = self.live_folder(id)?;
        // The folder may have gone meanwhile.
        ChangeLock::acquire(&folder).map_err(|error| self.live_folder(id).err().unwrap_or(error))
    }

    /// Writes what `change` makes of what `read` gives, while nobody else changes it.
    pub(super) fn amend_document<T: Clone + PartialEq + Serialize>(
        &self,
        id: RecordingId,
        name: &str,
        read: impl FnOnce() -> Result<Option<T>, ArchiveError>,
        change: &Change<T>,
    ) -> Result<Option<T>, ArchiveError> {
        let _lock = self.lock(id)?;
        let Some(found) = read()? else {
            return Ok(None);
        };
        let mut changed = found.clone();
        change(&mut changed);
        if changed != found {
            self.put(id, name, &changed)?;
        }
        Ok(Some(changed))
    }

    pub(super) fn read_recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        match self.look_at_recording(id) {
            Err(ArchiveError::Damaged { .. }) => {
                let _lock = self.lock(id)?;
                self.mend_recording(id)
            }
            read => read,
        }
    }

    fn look_at_recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        let path = self.live_folder(id)?.join(RECORDING);
        match read_json::<Recording>(&path)? {
            Some(recording) if recording.recording_id == id => Ok(recording),
            Some(other) => Err(fault::damaged(
                &path,
                format!("it describes recording {}", other.recording_id),
            )),
            None => Err(fault::damaged(&path, "it is missing")),
        }
    }

    /// The description, made again where it is damaged. Who asks has the lock.
    pub(super) fn mend_recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        let path = self.file(id, RECORDING);
        let damage = match self.look_at_recording(id) {
            Err(damage @ ArchiveError::Damaged { .. }) => damage,
            read => return read,
        };
        // A transcript that is damaged too is no help, and no reason to give up on the sound.
        let transcript = self.read_transcript(id).ok().flatten();
        let Some(recording) = rebuild(
            id,
            transcript.as_ref(),
            &self.file(id, RAW_SOUND),
            &self.file(id, COMPACT_SOUND),
        ) else {
            return Err(damage);
        };
        tracing::warn!(%id, %damage, "made the description again from what lies beside it");
        let aside = self.file(id, "recording.json.damaged");
        if path.exists() && !aside.exists() {
            fs::rename(&path, &aside).map_err(fault::io("set aside", &path))?;
        }
        self.put(id, RECORDING, &recording)?;
        Ok(recording)
    }
}

pub(super) fn to_json<T: Serialize>(path: &Path, document: &T) -> Result<Vec<u8>, ArchiveError> {
    serde_json::to_vec_pretty(document).map_err(|e| fault::damaged(path, e.to_string()))
}

/// The document at `path`; `None` when there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ArchiveError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| fault::damaged(path, e.to_string())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault::io("read", path)(e)),
    }
}
