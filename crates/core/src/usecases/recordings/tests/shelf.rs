//! The store of record in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    super::*,
    microphones::Playing,
    world::{Kept, Shared, World},
};
use crate::{
    Transcript,
    ports::{
        archive::{Change, Deleted, SoundFile, SoundWriter},
        sound::SoundSource,
    },
};

/// Gathers five seconds before they go into the store.
struct Writing {
    world: Arc<World>,
    id: RecordingId,
    /// Samples in the store, by what this writer knows.
    kept: usize,
    pending: Vec<i16>,
}

impl Writing {
    fn new(world: &Arc<World>, id: RecordingId, kept: usize) -> Self {
        Self {
            world: Arc::clone(world),
            id,
            kept,
            pending: Vec::new(),
        }
    }
}

#[async_trait]
impl SoundWriter for Writing {
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        let takes = *self.world.store_takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.pending.extend(pcm);
        if self.pending.len() < 5 * 16_000 {
            return Ok(());
        }
        self.sync().await
    }

    async fn sync(&mut self) -> Result<(), ArchiveError> {
        self.world.store()?;
        let mut kept = self.world.kept.lock().unwrap();
        let kept = kept
            .get_mut(&self.id)
            .ok_or(ArchiveError::Deleted(self.id))?;
        // Another has written on from where this one would.
        if !kept.compacted && !self.pending.is_empty() && self.kept != kept.pcm.len() {
            return Err(ArchiveError::Taken {
                place: "the store".to_owned(),
            });
        }
        let mut written = std::mem::take(&mut self.pending);
        self.kept += written.len();
        // Beside a file that is whole, raw pieces count for nothing.
        if !kept.compacted {
            kept.pcm.append(&mut written);
        }
        Ok(())
    }

    fn samples(&self) -> u64 {
        (self.kept + self.pending.len()) as u64
    }
}

impl Shared {
    fn entry(&self, id: RecordingId) -> Result<Kept, ArchiveError> {
        if self.0.deleted.lock().unwrap().contains(&id) {
            return Err(ArchiveError::Deleted(id));
        }
        let kept = self.0.kept.lock().unwrap();
        kept.get(&id).cloned().ok_or(ArchiveError::NotFound(id))
    }

    fn change(&self, id: RecordingId, change: impl FnOnce(&mut Kept)) -> Result<(), ArchiveError> {
        self.entry(id)?;
        change(self.0.kept.lock().unwrap().get_mut(&id).unwrap());
        Ok(())
    }
}

#[async_trait]
impl Archive for Shared {
    async fn begin(&self, recording: &Recording) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let id = recording.recording_id;
        assert!(self.entry(id).is_err(), "it is begun once");
        let kept = Kept {
            recording: Some(recording.clone()),
            ..Kept::default()
        };
        self.0.kept.lock().unwrap().insert(id, kept);
        Ok(Box::new(Writing::new(&self.0, id, 0)))
    }

    async fn resume(&self, id: RecordingId) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let entry = self.entry(id)?;
        if entry.compacted {
            return Err(ArchiveError::NotFound(id));
        }
        Ok(Box::new(Writing::new(&self.0, id, entry.pcm.len())))
    }

    async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, ArchiveError> {
        self.change(id, |kept| {
            if let Some(recording) = &mut kept.recording {
                change(recording);
            }
        })?;
        self.recording(id).await
    }

    async fn amend_transcript(
        &self,
        id: RecordingId,
        change: Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError> {
        self.change(id, |kept| {
            if let Some(transcript) = &mut kept.transcript {
                change(transcript);
            }
        })?;
        self.transcript(id).await
    }

    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError> {
        self.change(transcript.recording_id, |kept| {
            kept.transcript = Some(transcript.clone());
        })
    }

    async fn compact_sound(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.change(id, |kept| kept.compacted = true)
    }

    async fn recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        self.entry(id)?.recording.ok_or(ArchiveError::NotFound(id))
    }

    async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError> {
        Ok(self.entry(id)?.transcript)
    }

    async fn open_sound(&self, id: RecordingId) -> Result<Box<dyn SoundSource>, ArchiveError> {
        Ok(Box::new(Playing(self.entry(id)?.pcm)))
    }

    async fn sound_file(&self, id: RecordingId) -> Result<Box<dyn SoundFile>, ArchiveError> {
        Err(ArchiveError::NotFound(id))
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        Ok(self.0.kept.lock().unwrap().keys().copied().collect())
    }

    async fn delete(&self, id: RecordingId) -> Result<Deleted, ArchiveError> {
        self.entry(id)?;
        self.0.kept.lock().unwrap().remove(&id);
        self.0.deleted.lock().unwrap().insert(id);
        Ok(Deleted::default())
    }

    async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        Ok(self.0.deleted.lock().unwrap().contains(&id))
    }
}
