//! The library: everything that was spoken, kept, listed, found, labelled, deleted.
//!
//! The archive is the store of record; the index follows it and can be made again from it. So
//! every change reaches the archive first, and [`Library::reconcile`] mends an index that a crash
//! left behind.

mod error;
mod indexing;
mod search;
mod upkeep;

use std::sync::Arc;

pub use error::LibraryError;
pub use upkeep::{Progress, Reconciled, Refreshed, Reindexed};

use crate::{
    ports::{
        archive::{Archive, ArchiveError, Change, Deleted},
        condemned::Condemned,
        copies::Copies,
        embedding::Embedder,
        index::{Entry, Filter, Index},
    },
    recording::{Recording, RecordingId, RecordingState, Tags},
    transcript::Transcript,
};

/// The one recording among `candidates`, which are all whose id begins with `prefix`.
///
/// # Errors
/// [`LibraryError::NoMatch`], [`LibraryError::Ambiguous`].
pub fn one_of(prefix: &str, candidates: Vec<RecordingId>) -> Result<RecordingId, LibraryError> {
    match candidates.as_slice() {
        [] => Err(LibraryError::NoMatch(prefix.to_owned())),
        [id] => Ok(*id),
        _ => Err(LibraryError::Ambiguous {
            prefix: prefix.to_owned(),
            candidates,
        }),
    }
}

/// What [`Library::file`] did.
#[derive(Debug)]
pub struct Filed {
    /// Passages that can be found.
    pub passages: usize,
    /// Why the sound stays in its raw form, where compacting failed. Nothing is lost then.
    pub kept_raw: Option<ArchiveError>,
}

/// What [`Library::delete`] removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// From the archive.
    pub deleted: Deleted,
    /// Passages with their vectors, from the index.
    pub passages: u64,
    /// Copies elsewhere: messages in the streams of a bus.
    pub copies: u64,
}

/// A recording as `show` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its description.
    pub recording: Recording,
    /// Its text, where there is one.
    pub transcript: Option<Transcript>,
}

/// Keeps a text in the archive. After this it is safe: it needs no index and no model, which may
/// fail when the archive doesn't.
///
/// # Errors
/// [`ArchiveError`].
pub async fn keep(
    archive: &dyn Archive,
    transcript: &Transcript,
) -> Result<Recording, ArchiveError> {
    let id = transcript.recording_id;
    let duration_ms = transcript.duration_ms;
    archive.put_transcript(transcript).await?;
    let transcribed = move |recording: &mut Recording| {
        recording.state = RecordingState::Transcribed;
        recording.error = None;
        recording.duration_ms = Some(duration_ms);
    };
    let recording = archive.amend(id, Box::new(transcribed)).await?;
    if recording.tags == transcript.tags {
        return Ok(recording);
    }
    // It was labelled between our look at its labels and this.
    agree(archive, id).await
}

/// Brings the labels that are kept with the text into agreement with the description, which leads.
/// Several who change both at once may come to the one in another order than to the other; each
/// looks at both when it has written, so the last of them sees what the last wrote.
async fn agree(archive: &dyn Archive, id: RecordingId) -> Result<Recording, ArchiveError> {
    loop {
        let recording = archive.recording(id).await?;
        match archive.transcript(id).await? {
            Some(transcript) if transcript.tags != recording.tags => {
                let tags = recording.tags;
                let label = move |text: &mut Transcript| text.tags = tags.clone();
                archive.amend_transcript(id, Box::new(label)).await?;
            }
            _ => return Ok(recording),
        }
    }
}

/// All recordings of one person (or one deployment).
#[derive(Clone)]
pub struct Library {
    archive: Arc<dyn Archive>,
    index: Arc<dyn Index>,
    embedder: Arc<dyn Embedder>,
    copies: Option<Arc<dyn Copies>>,
    condemned: Option<Arc<dyn Condemned>>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").finish_non_exhaustive()
    }
}

impl Library {
    /// The library kept in `archive` and found through `index`. The embedder is used by `file`,
    /// `reindex`, `embed_pending` and searches by meaning alone; one that loads its model on
    /// first use costs the rest nothing.
    #[must_use]
    pub fn new(
        archive: Arc<dyn Archive>,
        index: Arc<dyn Index>,
        embedder: Arc<dyn Embedder>,
    ) -> Self {
        Self {
            archive,
            index,
            embedder,
            copies: None,
            condemned: None,
        }
    }

    /// The same library, whose deletions also reach `copies`.
    #[must_use]
    pub fn with_copies(mut self, copies: Arc<dyn Copies>) -> Self {
        self.copies = Some(copies);
        self
    }

    /// The same library, which remembers in `condemned` what it is deleting, and makes nothing
    /// findable that is on that list.
    #[must_use]
    pub fn with_condemned(mut self, condemned: Arc<dyn Condemned>) -> Self {
        self.condemned = Some(condemned);
        self
    }

    /// The store of record.
    #[must_use]
    pub fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// Changes the description and lets the index know.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] before, [`LibraryError::Index`] after the archive has it.
    pub async fn amend(
        &self,
        id: RecordingId,
        change: Change<Recording>,
    ) -> Result<Recording, LibraryError> {
        let recording = self.archive.amend(id, change).await?;
        self.index.update(&recording).await?;
        self.follow(&recording).await?;
        Ok(recording)
    }

    /// Lets the index know of a recording that the archive has already begun.
    ///
    /// # Errors
    /// [`LibraryError::Index`]; [`Library::reconcile`] makes it good later.
    pub async fn announce(&self, recording: &Recording) -> Result<(), LibraryError> {
        Ok(self.index.update(recording).await?)
    }

    /// [`keep`], in this library's archive.
    ///
    /// # Errors
    /// [`LibraryError::Archive`].
    pub async fn keep(&self, transcript: &Transcript) -> Result<Recording, LibraryError> {
        Ok(keep(self.archive.as_ref(), transcript).await?)
    }

    /// [`Library::keep`], in place of a text that the index may know. It is told first that there is
    /// none: should this process end before the index has the new text, [`Library::reconcile`] looks
    /// for it.
    ///
    /// # Errors
    /// [`LibraryError::Archive`]; [`LibraryError::Index`], and the old text stays then.
    pub async fn replace(&self, transcript: &Transcript) -> Result<Recording, LibraryError> {
        let mut waiting = self.archive.recording(transcript.recording_id).await?;
        waiting.state = RecordingState::Captured;
        self.announce(&waiting).await?;
        self.keep(transcript).await
    }

    /// Keeps a text, makes it findable, and brings its sound into its lasting form.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the text couldn't be kept. With any other error it is kept
    /// and found by its words, and by its meaning after [`Library::embed_pending`].
    pub async fn file(&self, transcript: &Transcript) -> Result<Filed, LibraryError> {
        let recording = self.keep(transcript).await?;
        self.settle(&recording, transcript).await
    }

    /// What is left to do once a text is kept: makes it findable, and brings its sound into its
    /// lasting form. Apart from [`Library::keep`], so that who waits for a text has it before.
    ///
    /// # Errors
    /// As [`Library::file`] after the text is kept.
    pub async fn settle(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<Filed, LibraryError> {
        let passages = self.index_text(recording, transcript).await?;
        let kept_raw = match self.archive.compact_sound(recording.recording_id).await {
            Ok(()) | Err(ArchiveError::NotFound(_)) => None,
            Err(error) => {
                tracing::warn!(id = %recording.recording_id, %error, "the sound stays raw");
                Some(error)
            }
        };
        Ok(Filed { passages, kept_raw })
    }

    /// Recordings that pass `filter`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, LibraryError> {
        Ok(self.index.list(filter, limit).await?)
    }

    /// Recordings whose text isn't made: interrupted, waiting or failed, newest first. What is
    /// being captured at this moment is among them.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub async fn unfinished(&self) -> Result<Vec<Entry>, LibraryError> {
        let filter = Filter {
            states: vec![
                RecordingState::Capturing,
                RecordingState::Captured,
                RecordingState::Failed,
            ],
            ..Filter::default()
        };
        self.list(&filter, usize::MAX).await
    }

    /// One recording with its text, as the archive has it.
    ///
    /// # Errors
    /// [`LibraryError::Archive`].
    pub async fn show(&self, id: RecordingId) -> Result<Shown, LibraryError> {
        Ok(Shown {
            recording: self.archive.recording(id).await?,
            transcript: self.archive.transcript(id).await?,
        })
    }

    /// The one recording whose id begins with `prefix` (hexadecimal digits; dashes don't count).
    ///
    /// # Errors
    /// [`LibraryError::NoId`], [`LibraryError::NoMatch`], [`LibraryError::Ambiguous`].
    pub async fn resolve(&self, prefix: &str) -> Result<RecordingId, LibraryError> {
        let candidates = self.ids_with_prefix(prefix).await?;
        one_of(prefix, candidates)
    }

    /// Recordings whose id begins with `prefix`, a few at most.
    ///
    /// # Errors
    /// [`LibraryError::NoId`] and others.
    pub async fn with_prefix(&self, prefix: &str) -> Result<Vec<Entry>, LibraryError> {
        let ids = self.ids_with_prefix(prefix).await?;
        Ok(self.index.entries(&ids).await?)
    }

    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RecordingId>, LibraryError> {
        let digits: String = prefix
            .trim()
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if digits.is_empty() || digits.len() > 32 || !digits.chars().all(|c| c.is_ascii_hexdigit())
        {
            return Err(LibraryError::NoId(prefix.to_owned()));
        }
        let mut candidates = self.index.ids_with_prefix(&digits).await?;
        if candidates.is_empty() {
            // An index that a crash left behind must not hide what the archive has.
            let begins = |id: &RecordingId| id.as_uuid().simple().to_string().starts_with(&digits);
            candidates = self.archive.ids().await?;
            candidates.retain(begins);
            candidates.truncate(10);
        }
        Ok(candidates)
    }

    /// Adds and removes tags. The transcript has them first, then the description, then the
    /// index: what is made again from the archive has the newest. Of what many change at once none
    /// is lost.
    ///
    /// # Errors
    /// [`LibraryError::Archive`], [`LibraryError::Index`].
    pub async fn tag(
        &self,
        id: RecordingId,
        add: &Tags,
        remove: &Tags,
    ) -> Result<Recording, LibraryError> {
        let (add, remove) = (add.clone(), remove.clone());
        let label = move |tags: &mut Tags| {
            tags.remove_all(&remove);
            tags.extend(&add);
        };
        let label_text = label.clone();
        self.archive
            .amend_transcript(id, Box::new(move |text| label_text(&mut text.tags)))
            .await?;
        self.archive
            .amend(id, Box::new(move |recording| label(&mut recording.tags)))
            .await?;
        let recording = agree(self.archive.as_ref(), id).await?;
        self.index.update(&recording).await?;
        self.follow(&recording).await?;
        Ok(recording)
    }

    /// Deletes sound, text, vectors and copies for good. The archive's tombstone comes first: what
    /// arrives late is refused from then on.
    ///
    /// # Errors
    /// [`LibraryError::Archive`]; [`LibraryError::Copies`] or [`LibraryError::Index`] when the
    /// rest is deleted already (doing it again finishes it, [`Library::reconcile`] the index).
    pub async fn delete(&self, id: RecordingId) -> Result<Removed, LibraryError> {
        if let Some(condemned) = &self.condemned {
            condemned.condemn(id).await?;
        }
        let deleted = match self.archive.delete(id).await {
            Ok(deleted) => Ok(deleted),
            // Perhaps the index still knows of it, or a stream.
            Err(error @ (ArchiveError::NotFound(_) | ArchiveError::Deleted(_))) => Err(error),
            Err(error) => {
                // Once the tombstone is there it is found no more, though more of it is to go.
                if matches!(self.archive.is_deleted(id).await, Ok(true)) {
                    self.index.bury(id).await?;
                }
                return Err(error.into());
            }
        };
        // What can be found goes before what lies in streams for a while, where looking takes long.
        let passages = match &deleted {
            // It may never have been: nothing is to be remembered of it.
            Err(ArchiveError::NotFound(_)) => self.index.remove(id).await?,
            _ => self.index.bury(id).await?,
        };
        let copies = match &self.copies {
            Some(copies) => copies.forget(id).await?,
            None => 0,
        };
        if let Some(condemned) = &self.condemned {
            condemned.release(id).await?;
        }
        match deleted {
            Err(error) if passages == 0 && copies == 0 => Err(error.into()),
            deleted => Ok(Removed {
                deleted: deleted.unwrap_or_default(),
                passages,
                copies,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
