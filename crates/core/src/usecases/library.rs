//! The library: everything that was spoken, kept, listed, found, labelled, deleted.
//!
//! The archive is the store of record; the index follows it and can be made again from it. So
//! every change reaches the archive first, and [`Library::reconcile`] mends an index that a crash
//! left behind.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    passages,
    ports::{
        archive::{Archive, ArchiveError, Deleted},
        embedding::{Embedder, EmbeddingError},
        index::{EmbeddedPassage, Entry, Filter, Index, IndexError, Passage, PassageHit},
    },
    recording::{Recording, RecordingId, RecordingState, Tags},
    search::{self, SearchMode, SearchRequest, SearchResponse, SearchResult},
    transcript::{Segment, Transcript},
};

/// Fewest passages asked of the index, so that fusion has something to choose from.
const MIN_CANDIDATES: usize = 50;

/// Passages asked of the index per result wanted.
const CANDIDATES_PER_RESULT: usize = 5;

/// How much wider the next look is when too few recordings came of it.
const WIDENING: usize = 8;

/// Why the library didn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The store of record failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The embedder failed.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// Nothing to search for.
    #[error("the query is empty")]
    EmptyQuery,
    /// Not the beginning of an id.
    #[error("\"{0}\" is no recording id (hexadecimal digits, as `list` shows them)")]
    NoId(String),
    /// No recording's id begins so.
    #[error("no recording's id begins with \"{0}\"")]
    NoMatch(String),
    /// Several recordings' ids begin so.
    #[error(
        "\"{prefix}\" is the beginning of several recordings' ids: {}",
        short(candidates)
    )]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// Some of them, at most ten.
        candidates: Vec<RecordingId>,
    },
}

fn short(candidates: &[RecordingId]) -> String {
    let names: Vec<_> = candidates.iter().map(ToString::to_string).collect();
    names.join(", ")
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
}

/// What [`Library::reconcile`] mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Put into the index; those with a text still need [`Library::embed_pending`].
    pub added: Vec<RecordingId>,
    /// Taken out: they are no longer in the archive.
    pub removed: Vec<RecordingId>,
}

/// How far a long task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Recordings done.
    pub done: usize,
    /// Recordings in all.
    pub total: usize,
}

/// What [`Library::reindex`] did.
#[derive(Debug, Default)]
pub struct Reindexed {
    /// Recordings in the index now.
    pub recordings: usize,
    /// Passages in the index now.
    pub passages: usize,
    /// Recordings taken out, for they are no longer in the archive.
    pub removed: usize,
    /// Recordings, or texts of them, that can't be read.
    pub failed: Vec<(RecordingId, ArchiveError)>,
}

/// A recording as `show` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its description.
    pub recording: Recording,
    /// Its text, where there is one.
    pub transcript: Option<Transcript>,
}

/// All recordings of one person (or one deployment).
#[derive(Clone)]
pub struct Library {
    archive: Arc<dyn Archive>,
    index: Arc<dyn Index>,
    embedder: Arc<dyn Embedder>,
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
        }
    }

    /// The store of record.
    #[must_use]
    pub fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// Stores a changed description and lets the index know.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] before, [`LibraryError::Index`] after the archive has it.
    pub async fn update(&self, recording: &Recording) -> Result<(), LibraryError> {
        self.archive.update(recording).await?;
        self.index.update(recording).await?;
        Ok(())
    }

    /// Lets the index know of a recording that the archive has already begun.
    ///
    /// # Errors
    /// [`LibraryError::Index`]; [`Library::reconcile`] makes it good later.
    pub async fn announce(&self, recording: &Recording) -> Result<(), LibraryError> {
        Ok(self.index.update(recording).await?)
    }

    /// Keeps a text: in the archive, where nothing but the disk can fail. After this it is safe.
    ///
    /// # Errors
    /// [`LibraryError::Archive`].
    pub async fn keep(&self, transcript: &Transcript) -> Result<Recording, LibraryError> {
        self.archive.put_transcript(transcript).await?;
        let mut recording = self.archive.recording(transcript.recording_id).await?;
        recording.state = RecordingState::Transcribed;
        recording.error = None;
        recording.duration_ms = Some(transcript.duration_ms);
        self.archive.update(&recording).await?;
        Ok(recording)
    }

    /// Keeps a text, makes it findable, and brings its sound into its lasting form.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the text couldn't be kept. With any other error it is kept
    /// and listed, and [`Library::embed_pending`] makes it findable.
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

    /// Cuts, embeds and indexes the text of `recording`; gives the number of passages.
    async fn index_text(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<usize, LibraryError> {
        let embedder = &self.embedder;
        let passages = if transcript.text.trim().is_empty() {
            Vec::new() // Silence needs no model.
        } else {
            let whole = [Segment {
                start_ms: 0,
                end_ms: transcript.duration_ms,
                text: transcript.text.clone(),
                words: None,
            }];
            let segments = if transcript.segments.is_empty() {
                &whole[..]
            } else {
                &transcript.segments
            };
            passages::cut(segments, embedder.max_tokens(), &|text| {
                embedder.count_tokens(text)
            })
        };
        let embedded = match self.embed(passages).await {
            Ok(embedded) => embedded,
            Err(error) => {
                // Listed at least, and known as not embedded.
                self.index
                    .upsert(recording, Some(transcript), &[], "")
                    .await?;
                return Err(error);
            }
        };
        let model = if embedded.is_empty() {
            ""
        } else {
            embedder.model_id()
        };
        self.index
            .upsert(recording, Some(transcript), &embedded, model)
            .await?;
        Ok(embedded.len())
    }

    /// All passages of one recording in one batch: a vector may depend, by a hair, on its company
    /// in the batch, and a rebuilt index is to answer the same.
    async fn embed(&self, passages: Vec<Passage>) -> Result<Vec<EmbeddedPassage>, LibraryError> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<String> = passages.iter().map(|p| p.text.clone()).collect();
        let vectors = self.embed_texts(&texts).await?;
        Ok(passages
            .into_iter()
            .zip(vectors)
            .map(|(passage, vector)| EmbeddedPassage { passage, vector })
            .collect())
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, LibraryError> {
        let vectors = self.embedder.embed(texts).await?;
        if vectors.len() == texts.len() {
            return Ok(vectors);
        }
        Err(LibraryError::Embedding(EmbeddingError {
            model: self.embedder.model_id().to_owned(),
            cause: format!(
                "it gave {} vectors for {} texts",
                vectors.len(),
                texts.len()
            )
            .into(),
        }))
    }

    /// Searches.
    ///
    /// # Errors
    /// [`LibraryError::EmptyQuery`]; [`LibraryError::Embedding`] (not in keyword mode);
    /// [`LibraryError::Index`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, LibraryError> {
        let query = request.query.trim();
        if query.is_empty() {
            return Err(LibraryError::EmptyQuery);
        }
        let vector = match request.mode {
            SearchMode::Keyword => None,
            SearchMode::Hybrid | SearchMode::Semantic => {
                self.embed_texts(&[query.to_owned()]).await?.pop()
            }
        };
        let mut candidates = (request.limit * CANDIDATES_PER_RESULT).max(MIN_CANDIDATES);
        let found = loop {
            let (keyword, semantic) = self
                .candidates(request, query, vector.as_deref(), candidates)
                .await?;
            let more = keyword.len() >= candidates || semantic.len() >= candidates;
            let found = search::fuse(request.mode, keyword, semantic);
            // A few long recordings can take up all candidates: look further then.
            if found.len() >= request.limit || !more {
                break found;
            }
            candidates *= WIDENING;
        };
        self.answer(found, request.limit).await
    }

    async fn candidates(
        &self,
        request: &SearchRequest,
        query: &str,
        vector: Option<&[f32]>,
        limit: usize,
    ) -> Result<(Vec<PassageHit>, Vec<PassageHit>), LibraryError> {
        let filter = &request.filter;
        let with_model = vector.map(|v| (v, self.embedder.model_id()));
        let keyword = async {
            match request.mode {
                SearchMode::Semantic => Ok(Vec::new()),
                _ => {
                    self.index
                        .keyword_hits(query, with_model, filter, limit)
                        .await
                }
            }
        };
        let semantic = async {
            match with_model {
                None => Ok(Vec::new()),
                Some((vector, model)) => self.index.vector_hits(vector, model, filter, limit).await,
            }
        };
        Ok(futures::try_join!(keyword, semantic)?)
    }

    async fn answer(
        &self,
        mut found: Vec<search::RecordingHit>,
        limit: usize,
    ) -> Result<SearchResponse, LibraryError> {
        found.truncate(limit);
        let ids: Vec<_> = found.iter().map(|hit| hit.recording_id).collect();
        let mut entries: HashMap<_, _> = self
            .index
            .entries(&ids)
            .await?
            .into_iter()
            .map(|entry| (entry.recording.recording_id, entry))
            .collect();
        let results: Vec<_> = found
            .into_iter()
            // One that another process deleted meanwhile has no entry any more.
            .filter_map(|hit| entries.remove(&hit.recording_id).map(|entry| (hit, entry)))
            .map(|(hit, entry)| SearchResult {
                recording_id: hit.recording_id,
                similarity: hit.similarity,
                created_at: entry.recording.created_at,
                tags: entry.recording.tags,
                text: entry.text,
                passages: hit.passages,
            })
            .collect();
        Ok(SearchResponse {
            count: results.len(),
            results,
        })
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
        match candidates.as_slice() {
            [] => Err(LibraryError::NoMatch(prefix.to_owned())),
            [id] => Ok(*id),
            _ => Err(LibraryError::Ambiguous {
                prefix: prefix.to_owned(),
                candidates,
            }),
        }
    }

    /// Adds and removes tags. The transcript has them first, then the description, then the
    /// index: what is made again from the archive has the newest.
    ///
    /// # Errors
    /// [`LibraryError::Archive`], [`LibraryError::Index`].
    pub async fn tag(
        &self,
        id: RecordingId,
        add: &Tags,
        remove: &Tags,
    ) -> Result<Recording, LibraryError> {
        let mut recording = self.archive.recording(id).await?;
        recording.tags.remove_all(remove);
        recording.tags.extend(add);
        if let Some(mut transcript) = self.archive.transcript(id).await? {
            transcript.tags = recording.tags.clone();
            self.archive.put_transcript(&transcript).await?;
        }
        self.update(&recording).await?;
        Ok(recording)
    }

    /// Deletes sound, text and vectors for good.
    ///
    /// # Errors
    /// [`LibraryError::Archive`]; [`LibraryError::Index`] when the rest is deleted already
    /// ([`Library::reconcile`] finishes it).
    pub async fn delete(&self, id: RecordingId) -> Result<Removed, LibraryError> {
        let deleted = match self.archive.delete(id).await {
            Ok(deleted) => deleted,
            Err(ArchiveError::NotFound(_)) => {
                // Only the index still knows of it.
                let passages = self.index.remove(id).await?;
                return if passages > 0 {
                    Ok(Removed {
                        deleted: Deleted::default(),
                        passages,
                    })
                } else {
                    Err(ArchiveError::NotFound(id).into())
                };
            }
            Err(error) => return Err(error.into()),
        };
        let passages = self.index.remove(id).await?;
        Ok(Removed { deleted, passages })
    }

    /// Deletes what was captured more than `retention_days` before `now`; gives what it deleted.
    /// What is still being captured stays, and so does what bears a time to come (a clock that
    /// was wrong).
    ///
    /// # Errors
    /// [`LibraryError`] of the first that can't be deleted.
    pub async fn expire(
        &self,
        retention_days: u32,
        now: Timestamp,
    ) -> Result<Vec<RecordingId>, LibraryError> {
        let age = SignedDuration::from_hours(i64::from(retention_days) * 24);
        let Ok(until) = now.checked_sub(age) else {
            return Ok(Vec::new()); // Longer ago than time is told.
        };
        let filter = Filter {
            until: Some(until),
            states: vec![
                RecordingState::Captured,
                RecordingState::Transcribed,
                RecordingState::Failed,
            ],
            ..Filter::default()
        };
        let mut expired = Vec::new();
        for entry in self.index.list(&filter, usize::MAX).await? {
            self.delete(entry.recording.recording_id).await?;
            expired.push(entry.recording.recording_id);
        }
        Ok(expired)
    }

    /// Mends what a crash between archive and index left: recordings that only one of them knows.
    /// Compares ids alone, so it costs little where nothing is amiss; the embedder isn't used.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the archive can't be listed; [`LibraryError::Index`].
    pub async fn reconcile(&self) -> Result<Reconciled, LibraryError> {
        let archived: HashSet<_> = self.archive.ids().await?.into_iter().collect();
        let indexed: HashSet<_> = self.index.ids().await?.into_iter().collect();
        let mut mended = Reconciled::default();
        for &id in indexed.difference(&archived) {
            self.index.remove(id).await?;
            mended.removed.push(id);
        }
        for &id in archived.difference(&indexed) {
            let (recording, transcript) = match self.read(id).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(%id, %error, "can't be indexed");
                    continue;
                }
            };
            self.index
                .upsert(&recording, transcript.as_ref(), &[], "")
                .await?;
            mended.added.push(id);
        }
        Ok(mended)
    }

    /// Makes findable, with the embedder at hand, what isn't yet: at most `limit` recordings.
    /// Gives how many it did.
    ///
    /// # Errors
    /// [`LibraryError::Embedding`], [`LibraryError::Index`].
    pub async fn embed_pending(
        &self,
        limit: usize,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<usize, LibraryError> {
        let pending = self
            .index
            .not_embedded_by(self.embedder.model_id(), limit)
            .await?;
        let total = pending.len();
        let mut embedded = 0;
        for (done, id) in pending.into_iter().enumerate() {
            progress(Progress { done, total });
            match self.read(id).await {
                Ok((recording, Some(transcript))) => {
                    self.index_text(&recording, &transcript).await?;
                    embedded += 1;
                }
                Ok((recording, None)) => self.index.upsert(&recording, None, &[], "").await?,
                Err(error) => tracing::warn!(%id, %error, "can't be indexed"),
            }
        }
        progress(Progress { done: total, total });
        Ok(embedded)
    }

    /// Makes the index again from the archive, to the same search results. Recordings that aren't
    /// in the archive any more leave the index; damaged ones are told, and don't stop the rest.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the archive can't be listed; [`LibraryError::Embedding`];
    /// [`LibraryError::Index`].
    pub async fn reindex(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Reindexed, LibraryError> {
        let mut ids = self.archive.ids().await?;
        ids.sort_unstable();
        let archived: HashSet<_> = ids.iter().copied().collect();
        let total = ids.len();
        let mut report = Reindexed::default();
        for id in self.index.ids().await? {
            if !archived.contains(&id) {
                self.index.remove(id).await?;
                report.removed += 1;
            }
        }
        for (done, id) in ids.into_iter().enumerate() {
            progress(Progress { done, total });
            match self.read(id).await {
                Ok((recording, Some(transcript))) => {
                    report.passages += self.index_text(&recording, &transcript).await?;
                }
                Ok((recording, None)) => self.index.upsert(&recording, None, &[], "").await?,
                // Deleted by another process meanwhile.
                Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {
                    self.index.remove(id).await?;
                    continue;
                }
                Err(error) => {
                    report.failed.push((id, error));
                    continue;
                }
            }
            report.recordings += 1;
        }
        progress(Progress { done: total, total });
        Ok(report)
    }

    /// A recording and its text from the archive, brought into agreement: a text that is there
    /// makes it transcribed (a crash came before that was written), and one that is damaged makes
    /// it failed, so that `retry` makes the text again from the sound.
    async fn read(&self, id: RecordingId) -> Result<(Recording, Option<Transcript>), ArchiveError> {
        let mut recording = self.archive.recording(id).await?;
        let (transcript, state, error) = match self.archive.transcript(id).await {
            Ok(Some(transcript)) => (Some(transcript), RecordingState::Transcribed, None),
            Ok(None) if recording.state == RecordingState::Transcribed => (
                None,
                RecordingState::Failed,
                Some("its text is missing".to_owned()),
            ),
            Ok(None) => (None, recording.state, recording.error.clone()),
            Err(damage @ ArchiveError::Damaged { .. }) => {
                (None, RecordingState::Failed, Some(damage.to_string()))
            }
            Err(error) => return Err(error),
        };
        if recording.state != state || recording.error != error {
            recording.state = state;
            recording.error = error;
            self.archive.update(&recording).await?;
        }
        Ok((recording, transcript))
    }
}
