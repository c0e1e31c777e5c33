//! The store of record: sound and text, from which everything else can be made again.

use std::{
    any::Any,
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::Serialize;

use super::{BoxedCause, sound::SoundSource};
use crate::{
    recording::{Recording, RecordingId},
    transcript::Transcript,
};

/// Why something isn't stored, or isn't found.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No such recording.
    #[error("no recording {0}")]
    NotFound(RecordingId),
    /// It was deleted; a tombstone says so.
    #[error("recording {0} was deleted")]
    Deleted(RecordingId),
    /// The place is full.
    #[error("no space left in {place}")]
    Full {
        /// Which folder or bucket.
        place: String,
    },
    /// The place can't be written or read.
    #[error("can't {action} {place}")]
    Io {
        /// What was tried ("write", "read", …).
        action: &'static str,
        /// Which file, folder or object.
        place: String,
        /// Why it failed.
        #[source]
        cause: BoxedCause,
    },
    /// Something stored there isn't what it should be.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// Which file or object.
        place: String,
        /// How.
        reason: String,
    },
}

/// Takes the sound of one recording as it comes.
#[async_trait]
pub trait SoundWriter: Send {
    /// Hands the samples on. On one machine they survive this process at once; a remote store may
    /// gather a few seconds of them, which are kept once [`SoundWriter::sync`] has returned.
    ///
    /// # Errors
    /// [`ArchiveError::Full`] or [`ArchiveError::Io`]; what was written before is kept.
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError>;

    /// Makes what was written survive a power cut, and this process.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    async fn sync(&mut self) -> Result<(), ArchiveError>;

    /// Samples written so far.
    fn samples(&self) -> u64;
}

/// A file with sound to read. Where the sound is kept elsewhere it is a copy, which goes with this.
pub struct SoundFile {
    path: PathBuf,
    _copy: Option<Box<dyn Any + Send + Sync>>,
}

impl SoundFile {
    /// The kept file itself.
    #[must_use]
    pub fn kept(path: PathBuf) -> Self {
        Self { path, _copy: None }
    }

    /// A copy at `path` that is removed when `guard` is dropped.
    #[must_use]
    pub fn copy(path: PathBuf, guard: impl Any + Send + Sync) -> Self {
        Self {
            path,
            _copy: Some(Box::new(guard)),
        }
    }
}

impl Deref for SoundFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for SoundFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for SoundFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SoundFile").field(&self.path).finish()
    }
}

/// What a deletion removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Whether there was sound.
    pub sound: bool,
    /// Whether there was text.
    pub text: bool,
    /// Bytes freed.
    pub bytes: u64,
}

/// Keeps recordings. Every write is atomic: after a crash there is the old or the new, whole.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Begins `recording`: its description is stored before the first sample comes.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn begin(&self, recording: &Recording) -> Result<Box<dyn SoundWriter>, ArchiveError>;

    /// Goes on where the raw sound of a broken-off recording ends: the writer's `samples` tells
    /// how many are kept already.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no raw sound of it; others.
    async fn resume(&self, id: RecordingId) -> Result<Box<dyn SoundWriter>, ArchiveError>;

    /// Stores a changed description.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`], [`ArchiveError::Deleted`] and others.
    async fn update(&self, recording: &Recording) -> Result<(), ArchiveError>;

    /// Stores the text.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError>;

    /// Brings the sound into its lasting form, one file. The raw form is kept until the new one is
    /// whole and on disk.
    ///
    /// # Errors
    /// [`ArchiveError`]; the raw sound is kept then.
    async fn compact_sound(&self, id: RecordingId) -> Result<(), ArchiveError>;

    /// The description.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] and others.
    async fn recording(&self, id: RecordingId) -> Result<Recording, ArchiveError>;

    /// The text, where it has been made.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError>;

    /// The sound from its start, raw or compacted.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    async fn open_sound(&self, id: RecordingId) -> Result<Box<dyn SoundSource>, ArchiveError>;

    /// A file with the sound, for a player or an export.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    async fn sound_file(&self, id: RecordingId) -> Result<SoundFile, ArchiveError>;

    /// Ids of all recordings that aren't deleted, in no order. Damaged ones are listed too.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError>;

    /// Deletes sound and text for good: a tombstone first, so that nothing brings it back.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there never was one.
    async fn delete(&self, id: RecordingId) -> Result<Deleted, ArchiveError>;

    /// Whether there is a tombstone.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError>;
}
