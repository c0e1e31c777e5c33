//! The archive: one folder per recording.
//!
//! ```text
//! recordings/<uuid>/recording.json   its description
//!                   audio.pcm        sound as it came, until it is compacted
//!                   audio.flac       sound for good
//!                   transcript.json  its text
//! tombstones/<uuid>                  it was deleted
//! ```

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::{
        archive::{Archive, ArchiveError, Deleted, SoundFile, SoundWriter},
        sound::{SoundDecoder, SoundEncoder, SoundError, SoundInput, SoundSource},
    },
};

use crate::{
    Home, atomic, fault,
    fault::blocking,
    kept_file::KeptFile,
    rebuild::rebuild,
    sound::{PcmSource, PcmWriter},
};

const RECORDING: &str = "recording.json";
const TRANSCRIPT: &str = "transcript.json";
const RAW_SOUND: &str = "audio.pcm";
const COMPACT_SOUND: &str = "audio.flac";

/// Recordings in folders of the file system.
#[derive(Clone)]
pub struct FolderArchive {
    home: Home,
    encoder: Arc<dyn SoundEncoder>,
    decoder: Arc<dyn SoundDecoder>,
}

impl std::fmt::Debug for FolderArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FolderArchive")
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl FolderArchive {
    /// Opens the archive in `home`, which is created where it isn't there yet. Deletions that a
    /// crash broke off are finished first. Sound is compacted by `encoder` and read by `decoder`.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] naming the folder that can't be made or read.
    pub fn open(
        home: impl Into<PathBuf>,
        encoder: Arc<dyn SoundEncoder>,
        decoder: Arc<dyn SoundDecoder>,
    ) -> Result<Self, ArchiveError> {
        let archive = Self {
            home: Home::new(home),
            encoder,
            decoder,
        };
        archive.home.create()?;
        archive.finish_deletions()?;
        atomic::sweep(&archive.home.recordings());
        Ok(archive)
    }

    /// The places of this archive.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// Recordings whose sound is still as it came.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] naming the folder that can't be read.
    pub async fn uncompacted(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let mut ids = self.ids().await?;
        let archive = self.clone();
        blocking(move || {
            ids.retain(|&id| archive.file(id, RAW_SOUND).is_file());
            Ok(ids)
        })
        .await
    }

    fn finish_deletions(&self) -> Result<(), ArchiveError> {
        let deleted = ids_in(&self.home.tombstones())?;
        if deleted.is_empty() {
            return Ok(());
        }
        let present: HashSet<_> = ids_in(&self.home.recordings())?.into_iter().collect();
        for id in deleted {
            if present.contains(&id) {
                tracing::info!(%id, "finishing a deletion");
                remove_folder(&self.home.recording(id))?;
            }
        }
        Ok(())
    }

    /// Makes the folder of `recording` with its description in it: both are there, or neither.
    fn create_folder(&self, recording: &Recording) -> Result<(), ArchiveError> {
        let id = recording.recording_id;
        let recordings = self.home.recordings();
        let staging = recordings.join(atomic::unfinished_name(&id.to_string()));
        atomic::create_private_folder(&staging)?;
        atomic::write(&staging.join(RECORDING), &to_json(&staging, recording)?)?;
        let folder = self.home.recording(id);
        fs::rename(&staging, &folder).map_err(fault::io("create", &folder))?;
        atomic::sync_folder(&recordings)
    }

    fn file(&self, id: RecordingId, name: &str) -> PathBuf {
        self.home.recording(id).join(name)
    }

    /// The folder of a recording that exists and isn't deleted.
    fn live_folder(&self, id: RecordingId) -> Result<PathBuf, ArchiveError> {
        if exists(&self.home.tombstone(id))? {
            return Err(ArchiveError::Deleted(id));
        }
        let folder = self.home.recording(id);
        if exists(&folder)? {
            Ok(folder)
        } else {
            Err(ArchiveError::NotFound(id))
        }
    }

    fn put<T: Serialize>(
        &self,
        id: RecordingId,
        name: &str,
        document: &T,
    ) -> Result<(), ArchiveError> {
        let path = self.live_folder(id)?.join(name);
        atomic::write(&path, &to_json(&path, document)?)
    }

    fn read_transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError> {
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

    fn read_recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        let path = self.live_folder(id)?.join(RECORDING);
        let damage = match read_json::<Recording>(&path) {
            Ok(Some(recording)) if recording.recording_id == id => return Ok(recording),
            Ok(Some(other)) => fault::damaged(
                &path,
                format!("it describes recording {}", other.recording_id),
            ),
            Ok(None) => fault::damaged(&path, "it is missing"),
            Err(damage @ ArchiveError::Damaged { .. }) => damage,
            Err(error) => return Err(error),
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

    /// Where the sound is: a FLAC file, or raw samples as long as it isn't compacted.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    pub fn sound_path(&self, id: RecordingId) -> Result<PathBuf, ArchiveError> {
        let folder = self.live_folder(id)?;
        // The raw form goes only once the compact one is whole, so whichever is there is whole.
        for name in [RAW_SOUND, COMPACT_SOUND] {
            let path = folder.join(name);
            if exists(&path)? {
                return Ok(path);
            }
        }
        Err(ArchiveError::NotFound(id))
    }

    /// Compares what the encoder made with what it was given, sample by sample.
    async fn verify_compaction(&self, raw: &Path, compact: &Path) -> Result<(), ArchiveError> {
        let unreadable = |cause: SoundError| fault::sound("verify", compact, cause);
        let mut original = PcmSource::open(raw)?;
        let input = SoundInput::File(compact.to_owned());
        let mut decoded = self.decoder.open(&input).await.map_err(unreadable)?;
        let mut pending: Vec<i16> = Vec::new();
        loop {
            let ended = match decoded.next().await.map_err(unreadable)? {
                Some(samples) => {
                    pending.extend(samples);
                    false
                }
                None => true,
            };
            // Whole blocks of the original are compared; a rest waits for more.
            while ended || pending.len() >= speakr_core::audio::SAMPLE_RATE_HZ as usize {
                let block = original
                    .next()
                    .await
                    .map_err(unreadable)?
                    .unwrap_or_default();
                if block.is_empty() && pending.is_empty() {
                    return Ok(());
                }
                if block.is_empty() || !pending.starts_with(&block) {
                    return Err(fault::damaged(
                        compact,
                        "it doesn't hold the sound it was made from",
                    ));
                }
                pending.drain(..block.len());
            }
        }
    }
}

#[async_trait]
impl Archive for FolderArchive {
    async fn begin(&self, recording: &Recording) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let (archive, recording) = (self.clone(), recording.clone());
        blocking(move || {
            let id = recording.recording_id;
            if exists(&archive.home.tombstone(id))? {
                return Err(ArchiveError::Deleted(id));
            }
            let folder = archive.home.recording(id);
            let sound = folder.join(RAW_SOUND);
            for present in [&sound, &folder.join(COMPACT_SOUND)] {
                if exists(present)? {
                    let taken = io::Error::from(io::ErrorKind::AlreadyExists);
                    return Err(fault::io("begin", present)(taken));
                }
            }
            if exists(&folder)? {
                archive.put(id, RECORDING, &recording)?;
            } else {
                archive.create_folder(&recording)?;
            }
            // Never over sound that is there: a second `begin` of the same id fails here.
            let file = atomic::private_file()
                .write(true)
                .create_new(true)
                .open(&sound)
                .map_err(fault::io("create", &sound))?;
            atomic::sync_folder(&folder)?;
            Ok(Box::new(PcmWriter::new(file, sound)) as Box<dyn SoundWriter>)
        })
        .await
    }

    async fn resume(&self, id: RecordingId) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let sound = archive.live_folder(id)?.join(RAW_SOUND);
            let file = match atomic::private_file().write(true).open(&sound) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(ArchiveError::NotFound(id));
                }
                Err(e) => return Err(fault::io("open", &sound)(e)),
            };
            Ok(Box::new(PcmWriter::append(file, sound)?) as Box<dyn SoundWriter>)
        })
        .await
    }

    async fn update(&self, recording: &Recording) -> Result<(), ArchiveError> {
        let (archive, recording) = (self.clone(), recording.clone());
        blocking(move || archive.put(recording.recording_id, RECORDING, &recording)).await
    }

    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError> {
        let (archive, transcript) = (self.clone(), transcript.clone());
        blocking(move || archive.put(transcript.recording_id, TRANSCRIPT, &transcript)).await
    }

    async fn compact_sound(&self, id: RecordingId) -> Result<(), ArchiveError> {
        let folder = self.live_folder(id)?;
        let (raw, compact) = (folder.join(RAW_SOUND), folder.join(COMPACT_SOUND));
        if !exists(&raw)? {
            return if exists(&compact)? {
                Ok(())
            } else {
                Err(ArchiveError::NotFound(id))
            };
        }
        if even_out(&raw)? == 0 {
            return Ok(()); // Nothing to compact, and an encoder may refuse it.
        }
        // One that is there already was verified before it got its name; a crash came before the
        // raw form was removed.
        if !exists(&compact)? {
            let unfinished = folder.join(atomic::unfinished_name(COMPACT_SOUND));
            atomic::remove_file(&unfinished)?;
            let made = match self.encoder.pcm_to_flac(&raw, &unfinished).await {
                Ok(()) => self.verify_compaction(&raw, &unfinished).await,
                Err(cause) => Err(fault::sound("compact", &raw, cause)),
            };
            if let Err(error) = made {
                atomic::remove_file(&unfinished)?;
                return Err(error);
            }
            let target = compact.clone();
            blocking(move || finish_file(&unfinished, &target)).await?;
        }
        blocking(move || {
            atomic::remove_file(&raw)?;
            atomic::sync_folder(&folder)?;
            atomic::sweep(&folder);
            Ok(())
        })
        .await
    }

    async fn recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        let archive = self.clone();
        blocking(move || archive.read_recording(id)).await
    }

    async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError> {
        let archive = self.clone();
        blocking(move || archive.read_transcript(id)).await
    }

    async fn open_sound(&self, id: RecordingId) -> Result<Box<dyn SoundSource>, ArchiveError> {
        let path = self.sound_path(id)?;
        if path.ends_with(RAW_SOUND) {
            return Ok(Box::new(PcmSource::open(&path)?));
        }
        self.decoder
            .open(&SoundInput::File(path.clone()))
            .await
            .map_err(|cause| fault::sound("read", &path, cause))
    }

    async fn sound_file(&self, id: RecordingId) -> Result<Box<dyn SoundFile>, ArchiveError> {
        Ok(Box::new(KeptFile::open(self.sound_path(id)?)?))
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let home = self.home.clone();
        blocking(move || {
            // Two listings cost less than a look for each recording's tombstone.
            let mut ids = ids_in(&home.recordings())?;
            let deleted: HashSet<_> = ids_in(&home.tombstones())?.into_iter().collect();
            ids.retain(|id| !deleted.contains(id));
            Ok(ids)
        })
        .await
    }

    async fn delete(&self, id: RecordingId) -> Result<Deleted, ArchiveError> {
        let home = self.home.clone();
        blocking(move || {
            let (folder, tombstone) = (home.recording(id), home.tombstone(id));
            if !exists(&folder)? {
                return if exists(&tombstone)? {
                    Ok(Deleted::default())
                } else {
                    Err(ArchiveError::NotFound(id))
                };
            }
            let deleted = Deleted {
                sound: exists(&folder.join(RAW_SOUND))? || exists(&folder.join(COMPACT_SOUND))?,
                text: exists(&folder.join(TRANSCRIPT))?,
                bytes: folder_bytes(&folder),
            };
            atomic::write(&tombstone, b"")?;
            remove_folder(&folder)?;
            Ok(deleted)
        })
        .await
    }

    async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        exists(&self.home.tombstone(id))
    }
}

fn exists(path: &Path) -> Result<bool, ArchiveError> {
    path.try_exists().map_err(fault::io("read", path))
}

fn to_json<T: Serialize>(path: &Path, document: &T) -> Result<Vec<u8>, ArchiveError> {
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

/// Cuts off the half of a sample that a crash may have left, which encoders stumble over; gives
/// the length in bytes.
fn even_out(raw: &Path) -> Result<u64, ArchiveError> {
    let length = fs::metadata(raw).map_err(fault::io("read", raw))?.len();
    if length % 2 == 1 {
        fs::File::options()
            .write(true)
            .open(raw)
            .and_then(|file| file.set_len(length - 1))
            .map_err(fault::io("write", raw))?;
    }
    Ok(length - length % 2)
}

/// Gives a file that is whole its name for good.
fn finish_file(unfinished: &Path, target: &Path) -> Result<(), ArchiveError> {
    let file = fs::File::options()
        .write(true)
        .open(unfinished)
        .map_err(fault::io("read", unfinished))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(fault::io("protect", unfinished))?;
    }
    file.sync_all().map_err(fault::io("sync", unfinished))?;
    drop(file);
    fs::rename(unfinished, target).map_err(fault::io("write", target))?;
    atomic::sync_folder(target.parent().unwrap_or(Path::new(".")))
}

/// Ids that are names in `folder`; other names are none of ours.
fn ids_in(folder: &Path) -> Result<Vec<RecordingId>, ArchiveError> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault::io("read", folder))? {
        let entry = entry.map_err(fault::io("read", folder))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse::<RecordingId>().ok()) else {
            tracing::debug!(name = %name.to_string_lossy(), "not an id");
            continue;
        };
        // Only the spelling that we write: else two folders could bear one id.
        if name.to_str() == Some(id.to_string().as_str()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn folder_bytes(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| entry.metadata().ok())
                .map(|m| m.len())
                .sum()
        })
        .unwrap_or(0)
}

fn remove_folder(folder: &Path) -> Result<(), ArchiveError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(fault::io("delete", folder)(e)),
    }
    atomic::sync_folder(folder.parent().unwrap_or(Path::new(".")))
}
