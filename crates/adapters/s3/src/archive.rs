//! The archive port on S3.

mod describing;

use std::collections::HashSet;

use async_trait::async_trait;
use futures::future::{join, try_join, try_join3};
use jiff::Timestamp;
use serde::Serialize;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags, Transcript, audio,
    ports::{
        archive::{Archive, ArchiveError, Change, Deleted, SoundFile, SoundWriter},
        sound::SoundSource,
        speech::DecodeOptions,
    },
};

use crate::{
    config::S3Config,
    file::ObjectFile,
    sound::{ObjectSource, PieceWriter, pieces},
    store::Store,
    wav::{self, HEADER_BYTES, SAMPLE_BYTES},
};

const JSON: &str = "application/json";

/// Most parts of one upload, as S3 has it.
const MOST_PARTS: u64 = 10_000;

/// The objects of one recording.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    id: RecordingId,
}

impl Keys {
    fn folder(&self) -> String {
        format!("recordings/{}/", self.id)
    }
    /// What all of its objects' keys begin with, and no other's: ids are of one length.
    fn everything(&self) -> String {
        format!("recordings/{}", self.id)
    }
    fn recording(&self) -> String {
        format!("{}recording.json", self.folder())
    }
    fn transcript(&self) -> String {
        format!("{}transcript.json", self.folder())
    }
    pub(crate) fn sound(&self) -> String {
        format!("{}audio.wav", self.folder())
    }
    pub(crate) fn raw_sound(&self) -> String {
        format!("{}sound/", self.folder())
    }
    /// Tells that raw sound was begun, before there is any.
    pub(crate) fn raw_begun(&self) -> String {
        format!("{}begun", self.raw_sound())
    }
    /// The piece that begins with sample `first`. Sixteen digits sort as they count.
    pub(crate) fn raw_piece(&self, first: u64) -> String {
        format!("{}{first:016}.pcm", self.raw_sound())
    }
    fn tombstone(&self) -> String {
        format!("tombstones/{}", self.id)
    }

    /// After a write: whether a deletion came meanwhile, which may have missed what was written.
    /// It is deleted then.
    pub(crate) async fn still_there(&self, store: &Store) -> Result<(), ArchiveError> {
        if store.size(&self.tombstone()).await?.is_none() {
            return Ok(());
        }
        store.erase(&self.folder()).await?;
        Err(ArchiveError::Deleted(self.id))
    }
}

/// Recordings as objects of a bucket. Any number of processes can use one bucket; a recording's
/// sound is written by one at a time.
#[derive(Debug, Clone)]
pub struct S3Archive {
    pub(crate) store: Store,
}

impl S3Archive {
    /// The archive in the bucket that `config` names. No request is made yet.
    pub async fn open(config: &S3Config) -> Self {
        Self {
            store: Store::open(config).await,
        }
    }

    /// Whether the bucket is there and can be read, and whether its store writes on a condition:
    /// without that, of two changes at once one could be lost.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] that names the bucket.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        self.store.check().await
    }

    /// Whether it can be written to. Nothing is left of the try.
    ///
    /// # Errors
    /// [`ArchiveError::Io`] that names the bucket and what it said.
    pub async fn check_writable(&self) -> Result<(), ArchiveError> {
        self.store.check_writable().await
    }

    /// Deletes what deletions that a crash broke off have left; gives how many there were.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn finish_deletions(&self) -> Result<usize, ArchiveError> {
        let present: HashSet<_> = self.stored_ids().await?.into_iter().collect();
        let mut finished = 0;
        for id in self.tombstones().await? {
            if present.contains(&id) {
                self.store.erase(&Keys { id }.folder()).await?;
                finished += 1;
            }
        }
        Ok(finished)
    }

    async fn stored_ids(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let folders = self.store.folders("recordings/").await?;
        Ok(folders.iter().filter_map(|name| id_of(name)).collect())
    }

    async fn tombstones(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let listed = self.store.list("tombstones/").await?;
        Ok(listed
            .iter()
            .filter_map(|o| id_of(o.key.strip_prefix("tombstones/")?))
            .collect())
    }

    /// The keys of a recording that exists and isn't deleted.
    async fn live(&self, id: RecordingId) -> Result<Keys, ArchiveError> {
        let keys = Keys { id };
        let description = keys.recording();
        let (deleted, size) = join(self.is_deleted(id), self.store.size(&description)).await;
        if deleted? {
            return Err(ArchiveError::Deleted(id));
        }
        if size?.is_some() || self.has_anything(&keys).await? {
            return Ok(keys);
        }
        Err(ArchiveError::NotFound(id))
    }

    /// Whether anything lies in the recording's folder.
    async fn has_anything(&self, keys: &Keys) -> Result<bool, ArchiveError> {
        self.store.has_any(&keys.everything()).await
    }

    fn to_json<T: Serialize>(&self, key: &str, document: &T) -> Result<Vec<u8>, ArchiveError> {
        serde_json::to_vec_pretty(document).map_err(|e| self.damaged(key, e))
    }

    fn damaged(&self, key: &str, reason: impl std::fmt::Display) -> ArchiveError {
        ArchiveError::Damaged {
            place: self.store.place(key),
            reason: reason.to_string(),
        }
    }

    /// A description that is damaged or missing, made again from what lies beside it; `None` when
    /// nothing does. What can't be known is filled in so that nothing more is lost.
    async fn rebuild(&self, keys: &Keys) -> Result<Option<Recording>, ArchiveError> {
        let transcript = self.read_transcript(keys).await.ok().flatten();
        let lasting = self.store.list(&keys.sound()).await?.into_iter().next();
        let raw = pieces(&self.store, keys).await.ok().flatten();
        if transcript.is_none() && lasting.is_none() && raw.is_none() {
            return Ok(None);
        }
        let sound_bytes = lasting
            .as_ref()
            .map(|o| o.bytes.saturating_sub(HEADER_BYTES))
            .or_else(|| raw.map(|pieces| pieces.iter().map(|p| p.bytes).sum()));
        let has_lasting = lasting.is_some();
        let kept_at = lasting
            .and_then(|o| o.modified)
            .and_then(|at| Timestamp::try_from(at).ok());
        let of_text = transcript.as_ref();
        Ok(Some(Recording {
            recording_id: keys.id,
            correlation_id: CorrelationId::from(*keys.id.as_uuid()),
            created_at: of_text
                .map(|t| t.created_at)
                .or(kept_at)
                .unwrap_or(Timestamp::UNIX_EPOCH),
            duration_ms: of_text
                .map(|t| t.duration_ms)
                .or_else(|| sound_bytes.map(|b| audio::samples_to_ms(b / SAMPLE_BYTES))),
            tags: of_text.map_or_else(Tags::default, |t| t.tags.clone()),
            metadata: of_text.map_or_else(Default::default, |t| t.metadata.clone()),
            state: if of_text.is_some() {
                RecordingState::Transcribed
            } else if has_lasting {
                RecordingState::Captured
            } else {
                // Pieces may be all there is of it or its beginning: more may wait in the bus, and
                // is taken for superfluous once it is said to be captured.
                RecordingState::Capturing
            },
            error: None,
            options: DecodeOptions::default(),
            without_text: false,
        }))
    }

    /// Puts raw pieces together to one file.
    async fn join(&self, keys: &Keys, pieces: &[crate::sound::Piece]) -> Result<(), ArchiveError> {
        let total: u64 = pieces.iter().map(|p| p.bytes).sum();
        // However long the sound: few enough parts.
        let least =
            usize::try_from((total + HEADER_BYTES) / (MOST_PARTS - 1)).unwrap_or(usize::MAX);
        let part_bytes = self.store.part_bytes.max(least.saturating_add(1));
        let mut upload = self.store.upload(&keys.sound(), "audio/wav").await?;
        let sent = async {
            let mut part = wav::header(total);
            for piece in pieces {
                let body = self.store.get(&piece.key).await?;
                let body = body.filter(|b| b.len() as u64 == piece.bytes);
                part.extend(body.ok_or_else(|| self.damaged(&piece.key, "it has changed"))?);
                while part.len() >= part_bytes {
                    let later = part.split_off(part_bytes);
                    upload.part(std::mem::replace(&mut part, later)).await?;
                }
            }
            if part.is_empty() {
                Ok(())
            } else {
                upload.part(part).await
            }
        };
        if let Err(error) = sent.await {
            upload.give_up().await;
            return Err(error);
        }
        // The answer can be lost though the upload is done: what counts is the object.
        let finished = upload.finish().await;
        if self.store.size(&keys.sound()).await? == Some(total + HEADER_BYTES) {
            return Ok(());
        }
        finished?;
        Err(self.damaged(&keys.sound(), "it doesn't hold all of the sound"))
    }
}

/// The id that is spelt so; other names are none of ours.
pub(crate) fn id_of(name: &str) -> Option<RecordingId> {
    let id: RecordingId = name.parse().ok()?;
    (id.to_string() == name).then_some(id)
}

#[async_trait]
impl Archive for S3Archive {
    async fn begin(&self, recording: &Recording) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let keys = Keys {
            id: recording.recording_id,
        };
        let (sound, raw_begun) = (keys.sound(), keys.raw_begun());
        let (deleted, lasting, raw) = try_join3(
            self.is_deleted(keys.id),
            self.store.size(&sound),
            self.store.size(&raw_begun),
        )
        .await?;
        if deleted {
            return Err(ArchiveError::Deleted(keys.id));
        }
        if lasting.is_some() || raw.is_some() {
            return Err(ArchiveError::Taken {
                place: self.store.place(&keys.folder()),
            });
        }
        // First what describes it: sound without is found by nobody. What is there stays: somebody
        // may have labelled it since it was begun before.
        self.write_over(&keys.recording(), None, recording).await?;
        // Never over sound that is there: the second of two `begin`s fails here. The words tell
        // one from the other.
        let begun = uuid::Uuid::new_v4().to_string();
        self.store
            .put_new(&raw_begun, begun.into_bytes(), "text/plain")
            .await?;
        keys.still_there(&self.store).await?;
        Ok(Box::new(PieceWriter::new(self.store.clone(), keys, 0)))
    }

    async fn resume(&self, id: RecordingId) -> Result<Box<dyn SoundWriter>, ArchiveError> {
        let keys = self.live(id).await?;
        let sound = keys.sound();
        let (lasting, pieces) =
            try_join(self.store.size(&sound), pieces(&self.store, &keys)).await?;
        let lasting = lasting.is_some();
        let Some(pieces) = pieces.filter(|_| !lasting) else {
            return Err(ArchiveError::NotFound(id));
        };
        let kept = pieces.iter().map(|p| p.bytes / SAMPLE_BYTES).sum();
        Ok(Box::new(PieceWriter::new(self.store.clone(), keys, kept)))
    }

    async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, ArchiveError> {
        self.amend_recording(id, &change).await
    }

    async fn amend_transcript(
        &self,
        id: RecordingId,
        change: Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError> {
        self.amend_text(id, &change).await
    }

    async fn put_transcript(&self, transcript: &Transcript) -> Result<(), ArchiveError> {
        let keys = self.live(transcript.recording_id).await?;
        let key = keys.transcript();
        let body = self.to_json(&key, transcript)?;
        self.store.put(&key, body, JSON).await?;
        keys.still_there(&self.store).await
    }

    async fn compact_sound(&self, id: RecordingId) -> Result<(), ArchiveError> {
        let keys = self.live(id).await?;
        let lasting = self.store.size(&keys.sound()).await?.is_some();
        if !lasting {
            match pieces(&self.store, &keys).await? {
                None => return Err(ArchiveError::NotFound(id)),
                Some(pieces) if pieces.is_empty() => return Ok(()),
                Some(pieces) => self.join(&keys, &pieces).await?,
            }
        }
        // The file is whole: it got its name at once.
        self.store.erase(&keys.raw_sound()).await?;
        keys.still_there(&self.store).await
    }

    async fn recording(&self, id: RecordingId) -> Result<Recording, ArchiveError> {
        let (recording, _) = self.described(id).await?;
        Ok(recording)
    }

    async fn transcript(&self, id: RecordingId) -> Result<Option<Transcript>, ArchiveError> {
        let keys = self.live(id).await?;
        self.read_transcript(&keys).await
    }

    async fn open_sound(&self, id: RecordingId) -> Result<Box<dyn SoundSource>, ArchiveError> {
        let keys = self.live(id).await?;
        let store = self.store.clone();
        if store.size(&keys.sound()).await?.is_some() {
            let skip = HEADER_BYTES as usize;
            return Ok(Box::new(ObjectSource::new(store, vec![keys.sound()], skip)));
        }
        match pieces(&store, &keys).await? {
            None => Err(ArchiveError::NotFound(id)),
            Some(pieces) => {
                let keys = pieces.into_iter().map(|p| p.key).collect();
                Ok(Box::new(ObjectSource::new(store, keys, 0)))
            }
        }
    }

    async fn sound_file(&self, id: RecordingId) -> Result<Box<dyn SoundFile>, ArchiveError> {
        let keys = self.live(id).await?;
        let file = ObjectFile::open(self.store.clone(), &keys).await?;
        Ok(Box::new(file.ok_or(ArchiveError::NotFound(id))?))
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        let mut ids = self.stored_ids().await?;
        let deleted: HashSet<_> = self.tombstones().await?.into_iter().collect();
        ids.retain(|id| !deleted.contains(id));
        Ok(ids)
    }

    async fn delete(&self, id: RecordingId) -> Result<Deleted, ArchiveError> {
        let keys = Keys { id };
        let (folder, raw_sound) = (keys.folder(), keys.raw_sound());
        let (mut objects, raw) =
            try_join(self.store.list(&folder), self.store.list(&raw_sound)).await?;
        objects.extend(raw);
        if objects.is_empty() {
            if !self.is_deleted(id).await? {
                return Err(ArchiveError::NotFound(id));
            }
            // Old versions may be left of a deletion that was broken off.
            self.store.erase(&keys.folder()).await?;
            return Ok(Deleted::default());
        }
        let deleted = Deleted {
            sound: objects
                .iter()
                .any(|o| o.key == keys.sound() || o.key.starts_with(&keys.raw_sound())),
            text: objects.iter().any(|o| o.key == keys.transcript()),
            bytes: objects.iter().map(|o| o.bytes).sum(),
        };
        self.store
            .put(
                &keys.tombstone(),
                Timestamp::now().to_string().into_bytes(),
                "text/plain",
            )
            .await?;
        self.store.erase(&keys.folder()).await?;
        Ok(deleted)
    }

    async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        let found = self.store.size(&Keys { id }.tombstone()).await?;
        Ok(found.is_some())
    }
}
