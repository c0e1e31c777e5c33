//! Sound into the store of record.

use super::{Recordings, Trouble};
use crate::{
    Recording,
    ports::archive::{Archive, ArchiveError, SoundWriter},
};

/// A writer of `recording`'s sound in `archive`, which goes on where one broke off.
///
/// # Errors
/// [`ArchiveError`].
pub async fn begin_or_resume(
    archive: &dyn Archive,
    recording: &Recording,
) -> Result<Box<dyn SoundWriter>, ArchiveError> {
    match archive.resume(recording.recording_id).await {
        Err(ArchiveError::NotFound(_)) => archive.begin(recording).await,
        resumed => resumed,
    }
}

impl Recordings {
    /// A writer of `recording`'s sound, which goes on where one broke off.
    pub(super) async fn writer(
        &self,
        recording: &Recording,
    ) -> Result<Box<dyn SoundWriter>, Trouble> {
        Ok(begin_or_resume(self.parts.archive.as_ref(), recording).await?)
    }
}

/// Writes sound that is given from its start, less what was written before.
pub struct Kept<'a> {
    writer: &'a mut dyn SoundWriter,
    skip: u64,
}

impl std::fmt::Debug for Kept<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("skip", &self.skip)
            .finish_non_exhaustive()
    }
}

impl<'a> Kept<'a> {
    /// What `writer` has by now is skipped.
    #[must_use]
    pub fn new(writer: &'a mut dyn SoundWriter) -> Self {
        let skip = writer.samples();
        Self { writer, skip }
    }

    /// The sound that comes is new: it goes on after what was written before.
    pub(super) const fn append(&mut self) {
        self.skip = 0;
    }

    /// Samples that the writer has, kept or waiting to be.
    pub(super) fn samples(&self) -> u64 {
        self.writer.samples()
    }

    /// Makes what was written survive a crash.
    pub(super) async fn sync(&mut self) -> Result<(), ArchiveError> {
        self.writer.sync().await
    }

    /// The next samples.
    ///
    /// # Errors
    /// As [`SoundWriter::write`].
    pub async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        let known = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(pcm.len());
        self.skip -= known as u64;
        match &pcm[known..] {
            [] => Ok(()),
            new => self.writer.write(new).await,
        }
    }
}
