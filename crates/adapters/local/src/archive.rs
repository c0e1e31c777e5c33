//! The archive: one folder per recording.
//!
//! ```text
//! recordings/<uuid>/recording.json   its description
//!                   audio.pcm        sound as it came, until it is compacted
//!                   audio.flac       sound for good
//!                   transcript.json  its text
//!                   change.lock      held by who changes one of the two
//! tombstones/<uuid>                  it was deleted
//! ```

mod description;
mod forgetting;

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::{
        archive::{Archive, ArchiveError, Change, Deleted, SoundFile, SoundWriter},
        sound::{SoundDecoder, SoundEncoder, SoundError, SoundInput, SoundSource},
    },
};

use self::description::to_json;
use crate::{
    Home, atomic, fault,
    fault::blocking,
    kept_file::KeptFile,
    lock::ChangeLock,
    sound::{PcmSource, PcmWriter},
};

const RECORDING: &str = "recording.json";
const TRANSCRIPT: &str = "transcript.json";
const RAW_SOUND: &str = "audio.pcm";
const COMPACT_SOUND: &str = "audio.flac";

/// File systems know times to so much or better: FAT to two seconds.
const COARSEST_TIME: Duration = Duration::from_secs(3);

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
    /// Opens the archive in `home`, which is created where it isn't there yet. Sound is compacted by
    /// `encoder` and read by `decoder`. What a crash broke off is finished by [`Archive::ids`].
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
            if !exists(&folder)? {
                archive.create_folder(&recording)?;
            } else if !exists(&folder.join(RECORDING))? {
                archive.put(id, RECORDING, &recording)?;
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

    async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let read = || archive.mend_recording(id).map(Some);
            let amended = archive.amend_document(id, RECORDING, read, &change)?;
            amended.ok_or(ArchiveError::NotFound(id))
        })
        .await
    }

    async fn amend_transcript(
        &self,
        id: RecordingId,
        change: Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError> {
        let archive = self.clone();
        blocking(move || {
            let read = || archive.read_transcript(id);
            archive.amend_document(id, TRANSCRIPT, read, &change)
        })
        .await
    }

    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError> {
        let (archive, transcript) = (self.clone(), transcript.clone());
        blocking(move || {
            let _lock = archive.lock(transcript.recording_id)?;
            archive.put(transcript.recording_id, TRANSCRIPT, &transcript)
        })
        .await
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
            let (deleted, _) = ids_in(&home.tombstones())?;
            let deleted: HashSet<_> = deleted.into_iter().collect();
            let (present, others) = ids_in(&home.recordings())?;
            let (gone, ids): (Vec<_>, Vec<_>) =
                present.into_iter().partition(|id| deleted.contains(id));
            for id in gone {
                tracing::info!(%id, "finishing a deletion");
                remove_folder(&home.recording(id))?;
            }
            if others {
                atomic::sweep(&home.recordings());
            }
            Ok(ids)
        })
        .await
    }

    async fn ids_mark(&self) -> Result<Option<String>, ArchiveError> {
        let home = self.home.clone();
        blocking(move || mark_of(&[home.recordings(), home.tombstones()])).await
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
            {
                // Who changes it at this moment ends before. What can't be locked (a full disk) goes
                // all the same.
                let _lock = ChangeLock::acquire(&folder);
                atomic::write(&tombstone, b"")?;
            }
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

/// When something came into or left one of `folders` last. `None` where that was a moment ago, or is
/// still to come by our clock: more could come within what the file system takes for one time.
fn mark_of(folders: &[PathBuf]) -> Result<Option<String>, ArchiveError> {
    let mut marks = Vec::with_capacity(folders.len());
    for folder in folders {
        let changed = fs::metadata(folder)
            .and_then(|metadata| metadata.modified())
            .map_err(fault::io("read", folder))?;
        let settled = SystemTime::now()
            .duration_since(changed)
            .is_ok_and(|age| age > COARSEST_TIME);
        if !settled {
            return Ok(None);
        }
        let since = changed.duration_since(SystemTime::UNIX_EPOCH);
        marks.push(since.unwrap_or_default().as_nanos().to_string());
    }
    Ok(Some(marks.join(" ")))
}

/// Ids that are names in `folder`, and whether there are other names, which are none of ours.
fn ids_in(folder: &Path) -> Result<(Vec<RecordingId>, bool), ArchiveError> {
    let (mut ids, mut others) = (Vec::new(), false);
    for entry in fs::read_dir(folder).map_err(fault::io("read", folder))? {
        let entry = entry.map_err(fault::io("read", folder))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse::<RecordingId>().ok()) else {
            tracing::debug!(name = %name.to_string_lossy(), "not an id");
            others = true;
            continue;
        };
        // Only the spelling that we write: else two folders could bear one id.
        if name.to_str() == Some(id.to_string().as_str()) {
            ids.push(id);
        }
    }
    Ok((ids, others))
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
