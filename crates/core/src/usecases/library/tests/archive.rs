//! A store of record in memory.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::{
    ports::{
        archive::{Archive, ArchiveError, Change, Deleted, SoundFile, SoundWriter},
        sound::SoundSource,
    },
    recording::{Recording, RecordingId},
    transcript::Transcript,
};

/// What somebody else does in the middle of something, once.
#[derive(Default)]
pub(super) struct Meanwhile(Mutex<Option<BoxFuture<'static, ()>>>);

impl Meanwhile {
    pub(super) fn set(&self, what: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::pin(what));
    }

    pub(super) async fn happens(&self) {
        let what = self.0.lock().unwrap().take();
        if let Some(what) = what {
            what.await;
        }
    }
}

#[derive(Clone)]
struct Kept {
    recording: Recording,
    samples: u64,
    compacted: bool,
    transcript: Option<Transcript>,
    damaged: bool,
}

type Shelf = Arc<Mutex<BTreeMap<RecordingId, Kept>>>;

#[derive(Default)]
pub(super) struct MemoryArchive {
    kept: Shelf,
    deleted: Mutex<HashSet<RecordingId>>,
    /// What [`Archive::ids_mark`] gives.
    pub(super) mark: Mutex<Option<String>>,
    /// When the list of all is made and not yet handed out.
    pub(super) while_listing: Meanwhile,
    /// When a text is read and not yet handed out.
    pub(super) while_reading: Meanwhile,
}

impl MemoryArchive {
    pub(super) fn damage_text(&self, id: RecordingId) {
        self.kept.lock().unwrap().get_mut(&id).unwrap().damaged = true;
    }

    pub(super) fn is_compacted(&self, id: RecordingId) -> bool {
        self.kept.lock().unwrap()[&id].compacted
    }

    fn change<T>(
        &self,
        id: RecordingId,
        change: impl FnOnce(&mut Kept) -> T,
    ) -> Result<T, ArchiveError> {
        if self.deleted.lock().unwrap().contains(&id) {
            return Err(ArchiveError::Deleted(id));
        }
        let mut kept = self.kept.lock().unwrap();
        let kept = kept.get_mut(&id).ok_or(ArchiveError::NotFound(id))?;
        Ok(change(kept))
    }

    fn writing(&self, id: RecordingId) -> Box<dyn SoundWriter> {
        let kept = Arc::clone(&self.kept);
        Box::new(Writing { kept, id })
    }
}

/// Writes straight into the shelf.
struct Writing {
    kept: Shelf,
    id: RecordingId,
}

#[async_trait]
impl SoundWriter for Writing {
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        let mut kept = self.kept.lock().unwrap();
        let kept = kept
            .get_mut(&self.id)
            .ok_or(ArchiveError::Deleted(self.id))?;
        kept.samples += pcm.len() as u64;
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn samples(&self) -> u64 {
        let kept = self.kept.lock().unwrap();
        kept.get(&self.id).map_or(0, |kept| kept.samples)
    }
}

#[async_trait]
impl Archive for MemoryArchive {
    async fn begin(&self, recording: &Recording) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let id = recording.recording_id;
        if self.is_deleted(id).await? {
            return Err(ArchiveError::Deleted(id));
        }
        self.kept.lock().unwrap().entry(id).or_insert_with(|| Kept {
            recording: recording.clone(),
            samples: 0,
            compacted: false,
            transcript: None,
            damaged: false,
        });
        Ok(self.writing(id))
    }

    async fn resume(&self, id: RecordingId) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        if self.change(id, |kept| kept.compacted)? {
            return Err(ArchiveError::NotFound(id));
        }
        Ok(self.writing(id))
    }

    async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, ArchiveError> {
        self.change(id, |kept| {
            change(&mut kept.recording);
            kept.recording.clone()
        })
    }

    async fn amend_transcript(
        &self,
        id: RecordingId,
        change: Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError> {
        self.change(id, |kept| {
            kept.transcript.as_mut().map(|transcript| {
                change(transcript);
                transcript.clone()
            })
        })
    }

    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError> {
        self.change(transcript.recording_id, |kept| {
            kept.transcript = Some(transcript.clone());
            kept.damaged = false;
        })
    }

    async fn compact_sound(&self, id: RecordingId) -> Result<(), ArchiveError> {
        self.change(id, |kept| kept.compacted = true)
    }

    async fn recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        self.change(id, |kept| kept.recording.clone())
    }

    async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError> {
        let kept = self.change(id, |kept| kept.clone())?;
        self.while_reading.happens().await;
        if kept.damaged {
            return Err(ArchiveError::Damaged {
                place: format!("the text of {id}"),
                reason: "it is empty".to_owned(),
            });
        }
        Ok(kept.transcript)
    }

    // The library plays nothing.
    async fn open_sound(&self, id: RecordingId) -> Result<Box<dyn SoundSource>, ArchiveError> {
        Err(ArchiveError::NotFound(id))
    }

    async fn sound_file(&self, id: RecordingId) -> Result<Box<dyn SoundFile>, ArchiveError> {
        Err(ArchiveError::NotFound(id))
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let ids = self.kept.lock().unwrap().keys().copied().collect();
        self.while_listing.happens().await;
        Ok(ids)
    }

    async fn ids_mark(&self) -> Result<Option<String>, ArchiveError> {
        Ok(self.mark.lock().unwrap().clone())
    }

    async fn delete(&self, id: RecordingId) -> Result<Deleted, ArchiveError> {
        let kept = self.change(id, |kept| kept.clone())?;
        self.deleted.lock().unwrap().insert(id);
        self.kept.lock().unwrap().remove(&id);
        Ok(Deleted {
            sound: kept.samples > 0,
            text: kept.transcript.is_some(),
            bytes: 2 * kept.samples,
        })
    }

    async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        Ok(self.deleted.lock().unwrap().contains(&id))
    }
}
