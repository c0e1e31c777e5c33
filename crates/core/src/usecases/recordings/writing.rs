//! Sound into the store of record.

use super::{Recordings, Trouble};
use crate::{
    Recording,
    ports::archive::{ArchiveError, SoundWriter},
};

impl Recordings {
    /// A writer of `recording`'s sound, which goes on where one broke off.
    pub(super) async fn writer(
        &self,
        recording: &Recording,
    ) -> Result<Box<dyn SoundWriter>, Trouble> {
        match self.parts.archive.resume(recording.recording_id).await {
            Ok(writer) => Ok(writer),
            Err(ArchiveError::NotFound(_)) => Ok(self.parts.archive.begin(recording).await?),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes sound that is given from its start, less what was written before.
pub(super) struct Kept<'a> {
    writer: &'a mut dyn SoundWriter,
    skip: u64,
}

impl<'a> Kept<'a> {
    pub(super) fn new(writer: &'a mut dyn SoundWriter) -> Self {
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

    pub(super) async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
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
