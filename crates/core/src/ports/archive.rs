//! The store of record: sound and text, from which everything else can be made again.

use std::ops::Range;

use async_trait::async_trait;
use futures::stream::BoxStream;
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
    /// Another writes the same recording, and has come further with it. Who tries again goes on
    /// from there.
    #[error("{place} is there already, from another writer")]
    Taken {
        /// Which file or object.
        place: String,
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
    /// [`ArchiveError::Full`] or [`ArchiveError::Io`]; what was written before is kept. Of these
    /// samples those that [`SoundWriter::samples`] counts go with the next write or sync.
    /// [`ArchiveError::Taken`]: nothing of this writer is taken any more.
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError>;

    /// Makes what was written survive a power cut, and this process.
    ///
    /// # Errors
    /// [`ArchiveError::Io`], [`ArchiveError::Taken`].
    async fn sync(&mut self) -> Result<(), ArchiveError>;

    /// Samples taken so far, written or waiting to be.
    fn samples(&self) -> u64;
}

/// What kept sound is, byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundForm {
    /// A FLAC file.
    Flac,
    /// A WAV file.
    Wav,
    /// Samples alone: 16 bits each, little-endian, mono, 16 kHz.
    Raw,
}

/// Bytes that come in pieces.
pub type Pieces = BoxStream<'static, Result<Vec<u8>, ArchiveError>>;

/// Kept sound as a file, which can be read from anywhere in it.
#[async_trait]
pub trait SoundFile: Send + Sync {
    /// What the bytes are.
    fn form(&self) -> SoundForm;

    /// How many there are.
    fn bytes(&self) -> u64;

    /// Tells it from what was kept before in its place.
    fn version(&self) -> String;

    /// The bytes in `range`, which ends no later than the file does. One range at a time.
    ///
    /// # Errors
    /// [`ArchiveError`], also in the middle.
    async fn read(&self, range: Range<u64>) -> Result<Pieces, ArchiveError>;
}

/// A change of something that is stored. It is made again on what another has written meanwhile, so
/// it says what is to differ, and not what all of it is to be.
pub type Change<T> = Box<dyn Fn(&mut T) + Send + Sync>;

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
    /// Begins `recording`: its description is stored before the first sample comes. One that is
    /// there already stays as it is: it may have been labelled since.
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

    /// Changes the description, and gives what it is then. Of changes that many make at once none is
    /// lost, whichever processes they are.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`], [`ArchiveError::Deleted`] and others.
    async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, ArchiveError>;

    /// Changes what is kept with the text, as [`Archive::amend`] does the description; `None` where
    /// no text has been made. A new text that comes meanwhile stays.
    ///
    /// # Errors
    /// As [`Archive::amend`].
    async fn amend_transcript(
        &self,
        id: RecordingId,
        change: Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError>;

    /// Stores the text, in place of one that there may be.
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

    /// The sound as a file, for a player that seeks.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is none.
    async fn sound_file(&self, id: RecordingId) -> Result<Box<dyn SoundFile>, ArchiveError>;

    /// Ids of all recordings that aren't deleted, in no order. Damaged ones are listed too.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError>;

    /// A mark of what [`Archive::ids`] would give, that costs much less: where it is the same as
    /// before, no recording has come or gone. `None` where there is none, or none yet: what came a
    /// moment ago might be followed by more that leaves the mark as it is.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn ids_mark(&self) -> Result<Option<String>, ArchiveError> {
        Ok(None)
    }

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
