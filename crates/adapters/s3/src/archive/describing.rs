//! What describes a recording, and its text: read, mended, and changed on the condition that nobody
//! else has changed it since it was read.

use std::time::Duration;

use futures::future::join;
use serde::{Serialize, de::DeserializeOwned};
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::archive::{Archive, ArchiveError, Change},
};

use super::{JSON, Keys, S3Archive};
use crate::{fault::S3Error, store::Read};

/// Of those who write at once one comes through at each try, so this is for as many of them.
const MOST_TRIES: u32 = 60;
/// The pause before another try is up to this long, and up to twice as long each time …
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// … but no longer.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How often the same damage, which nobody else mends, is tried to be mended on the condition that it is
/// still there. A store that broke off in the middle of a write may take no such condition for true
/// ever again: it is written over without one then.
const HALF_TRIES: u32 = 10;

/// A document and the tag of what it was read from.
type Tagged<T> = (T, String);

/// Tries of one change.
#[derive(Debug, Default)]
struct Tries(u32);

impl Tries {
    /// Waits before another try; `false` where there is to be none.
    async fn again(&mut self) -> bool {
        self.0 += 1;
        if self.0 >= MOST_TRIES {
            return false;
        }
        let longest = FIRST_PAUSE
            .saturating_mul(1 << self.0.min(10))
            .min(LONGEST_PAUSE);
        // By chance: those who met would meet again.
        let part = uuid::Uuid::new_v4().as_u128() % 1_024;
        let share = u32::try_from(part).unwrap_or_default();
        tokio::time::sleep(longest * share / 1_024).await;
        true
    }
}

impl S3Archive {
    async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<Tagged<T>>, ArchiveError> {
        let Some(Read { body, tag }) = self.store.read(key).await? else {
            return Ok(None);
        };
        let body = body.map_err(|torn| self.damaged(key, torn))?;
        match serde_json::from_slice(&body) {
            Ok(document) => Ok(Some((document, tag))),
            Err(error) => Err(self.damaged(key, error)),
        }
    }

    /// Writes `document` if the object is still the one with `tag`, or, without one, if there is none;
    /// whether it did.
    pub(super) async fn write_over<T: Serialize>(
        &self,
        key: &str,
        tag: Option<&str>,
        document: &T,
    ) -> Result<bool, ArchiveError> {
        let body = self.to_json(key, document)?;
        self.store.put_over(key, tag, body, JSON).await
    }

    async fn tagged_transcript(
        &self,
        keys: &Keys,
    ) -> Result<Option<Tagged<Transcript>>, ArchiveError> {
        let key = keys.transcript();
        match self.read::<Transcript>(&key).await? {
            Some((t, _)) if t.recording_id != keys.id => {
                let reason = format!("it belongs to recording {}", t.recording_id);
                Err(self.damaged(&key, reason))
            }
            other => Ok(other),
        }
    }

    pub(super) async fn read_transcript(
        &self,
        keys: &Keys,
    ) -> Result<Option<Transcript>, ArchiveError> {
        let read = self.tagged_transcript(keys).await?;
        Ok(read.map(|(transcript, _)| transcript))
    }

    /// The description with its tag; made again where it is damaged.
    pub(super) async fn described(
        &self,
        id: RecordingId,
    ) -> Result<Tagged<Recording>, ArchiveError> {
        let keys = Keys { id };
        let mut tries = Tries::default();
        let mut refused: Option<Refused> = None;
        loop {
            let (deleted, read) = join(self.is_deleted(id), self.look_at_recording(&keys)).await;
            if deleted? {
                return Err(ArchiveError::Deleted(id));
            }
            let damage = match read? {
                Ok(found) => return Ok(found),
                Err(damage) => damage,
            };
            let Some(recording) = self.rebuild(&keys).await? else {
                return Err(damage.error);
            };
            let key = keys.recording();
            let times = match &refused {
                Some(before) if before.tag == damage.tag => before.times,
                _ => 0,
            };
            let written = if times >= HALF_TRIES {
                let body = self.to_json(&key, &recording)?;
                self.store.put(&key, body, JSON).await?;
                true
            } else if damage.tag.as_deref() == Some("") {
                // There is nothing to name it by.
                false
            } else {
                let tag = damage.tag.as_deref();
                self.write_over(&key, tag, &recording).await?
            };
            if written {
                keys.still_there(&self.store).await?;
                let damage = damage.error;
                tracing::warn!(%id, %damage, "made the description again from what lies beside it");
                continue;
            }
            refused = Some(Refused {
                tag: damage.tag,
                times: times + 1,
            });
            if !tries.again().await {
                return Err(self.contended(&key));
            }
        }
    }

    /// The description as it lies there, with its tag; or what is wrong with it.
    async fn look_at_recording(
        &self,
        keys: &Keys,
    ) -> Result<Result<Tagged<Recording>, Damage>, ArchiveError> {
        let key = keys.recording();
        let mut got = self.store.read(&key).await?;
        if got.is_none() {
            if !self.has_anything(keys).await? {
                return Err(ArchiveError::NotFound(keys.id));
            }
            // A recording that began between the two questions isn't one that lost its description:
            // that is the first thing written.
            got = self.store.read(&key).await?;
        }
        let Some(Read { body, tag }) = got else {
            return Ok(Err(Damage {
                error: self.damaged(&key, "it is missing"),
                tag: None,
            }));
        };
        let read = body.map(|body| serde_json::from_slice::<Recording>(&body));
        let error = match read {
            Ok(Ok(recording)) if recording.recording_id == keys.id => {
                return Ok(Ok((recording, tag)));
            }
            Ok(Ok(other)) => {
                let reason = format!("it describes recording {}", other.recording_id);
                self.damaged(&key, reason)
            }
            Ok(Err(error)) => self.damaged(&key, error),
            Err(torn) => self.damaged(&key, torn),
        };
        Ok(Err(Damage {
            error,
            tag: Some(tag),
        }))
    }

    pub(super) async fn amend_recording(
        &self,
        id: RecordingId,
        change: &Change<Recording>,
    ) -> Result<Recording, ArchiveError> {
        let keys = Keys { id };
        let key = keys.recording();
        let mut tries = Tries::default();
        loop {
            let found = self.described(id).await?;
            if let Some(recording) = self.try_change(&keys, &key, found, change).await? {
                return Ok(recording);
            }
            if !tries.again().await {
                return Err(self.contended(&key));
            }
        }
    }

    pub(super) async fn amend_text(
        &self,
        id: RecordingId,
        change: &Change<Transcript>,
    ) -> Result<Option<Transcript>, ArchiveError> {
        let keys = self.live(id).await?;
        let key = keys.transcript();
        let mut tries = Tries::default();
        loop {
            let Some(found) = self.tagged_transcript(&keys).await? else {
                return Ok(None);
            };
            if let Some(transcript) = self.try_change(&keys, &key, found, change).await? {
                return Ok(Some(transcript));
            }
            if !tries.again().await {
                return Err(self.contended(&key));
            }
        }
    }

    /// Changes what was found; `None` where another changed it meanwhile.
    async fn try_change<T: Clone + PartialEq + Serialize>(
        &self,
        keys: &Keys,
        key: &str,
        (found, tag): Tagged<T>,
        change: &Change<T>,
    ) -> Result<Option<T>, ArchiveError> {
        let mut changed = found.clone();
        change(&mut changed);
        if changed == found {
            return Ok(Some(found));
        }
        if !self.write_over(key, Some(&tag), &changed).await? {
            return Ok(None);
        }
        keys.still_there(&self.store).await?;
        Ok(Some(changed))
    }

    fn contended(&self, key: &str) -> ArchiveError {
        ArchiveError::Io {
            action: "change",
            place: self.store.place(key),
            cause: S3Error::Contended.into(),
        }
    }
}

/// A description that can't be used.
struct Damage {
    error: ArchiveError,
    /// Of what lies there; `None` where nothing does.
    tag: Option<String>,
}

/// A mended description that the store didn't take, because its condition didn't hold.
struct Refused {
    /// Of what lay there.
    tag: Option<String>,
    /// How often, with this tag.
    times: u32,
}
