//! Keeping archive and index in agreement, and both as small as was asked for.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Library, LibraryError};
use crate::{
    ports::{archive::ArchiveError, index::Filter},
    recording::{Recording, RecordingId, RecordingState},
    transcript::Transcript,
};

/// Most recordings that are listed at a time to be deleted for their age.
const EXPIRED_AT_ONCE: usize = 100;
/// So many of them that can't be deleted speak of a store that is away: the rest is left for another
/// time. Fewer than are listed, so that there are always others among these.
const MOST_STUCK: usize = 10;

/// What [`Library::reconcile`] mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Put into the index, findable by their words; by their meaning after
    /// [`Library::embed_pending`].
    pub added: Vec<RecordingId>,
    /// Taken out: they are no longer in the archive.
    pub removed: Vec<RecordingId>,
    /// Brought up to date: the archive has come further with them, or has their text.
    pub caught_up: Vec<RecordingId>,
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
    /// Recordings that were in it already as the archive has them; only where that was asked.
    pub unchanged: usize,
    /// Recordings taken out, for they are no longer in the archive.
    pub removed: usize,
    /// Recordings, or texts of them, that can't be read, also not by the embedder. Those are found by
    /// their words.
    pub failed: Vec<(RecordingId, LibraryError)>,
}

/// What [`Library::refresh`] brought into the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// A recording with its text.
    Findable {
        /// Passages that it has.
        passages: usize,
    },
    /// A recording that has no text (yet).
    WithoutText,
    /// It was deleted, or never was: it left the index.
    Gone,
}

impl Library {
    /// Brings what the index knows of `id` into agreement with the archive. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when it can't be read; [`LibraryError::Embedding`] (it is found
    /// by its words then); [`LibraryError::Index`].
    pub async fn refresh(&self, id: RecordingId) -> Result<Refreshed, LibraryError> {
        if self.is_condemned(id).await? {
            self.index.remove(id).await?;
            return Ok(Refreshed::Gone);
        }
        match self.read(id).await {
            Ok((recording, Some(transcript))) => {
                let passages = self.index_text(&recording, &transcript).await?;
                Ok(Refreshed::Findable { passages })
            }
            Ok((recording, None)) => {
                self.index.upsert(&recording, None, &[], "").await?;
                self.follow(&recording).await?;
                Ok(Refreshed::WithoutText)
            }
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {
                self.index.remove(id).await?;
                Ok(Refreshed::Gone)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Brings what the index knows of `id` beside its text (tags, state) into agreement with the
    /// archive: for what happens to a recording before its text, or without one.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when it can't be read; [`LibraryError::Index`].
    pub async fn refresh_description(&self, id: RecordingId) -> Result<(), LibraryError> {
        if self.is_condemned(id).await? {
            self.index.remove(id).await?;
            return Ok(());
        }
        match self.archive.recording(id).await {
            Ok(recording) => {
                self.announce(&recording).await?;
                self.follow(&recording).await
            }
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {
                self.index.remove(id).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn is_condemned(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        match &self.condemned {
            Some(condemned) => condemned.is_condemned(id).await,
            None => Ok(false),
        }
    }

    /// Deletes what is condemned and was left by whoever was at it for as long as `untouched_for`;
    /// gives how many there were. One that can't be deleted doesn't keep the rest.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the list can't be read; else that of the first that stays.
    pub async fn finish_deletions(&self, untouched_for: Duration) -> Result<usize, LibraryError> {
        let Some(condemned) = &self.condemned else {
            return Ok(0);
        };
        let mut finished = 0;
        let mut first_error = None;
        for id in condemned.condemned(untouched_for).await? {
            let done = match condemned.is_condemned(id).await {
                // Since the list was read it was wanted after all, or another has deleted it.
                Ok(false) => continue,
                Ok(true) => self.delete(id).await.map(drop),
                Err(error) => Err(error.into()),
            };
            match done {
                Ok(())
                | Err(LibraryError::Archive(
                    ArchiveError::NotFound(_) | ArchiveError::Deleted(_),
                )) => finished += 1,
                Err(error) => {
                    tracing::warn!(recording_id = %id, %error, "something of it is left");
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(finished), Err)
    }

    /// Deletes what was captured more than `retention_days` before `now`; gives what it deleted.
    /// What is still being captured stays, and so does what bears a time to come (a clock that
    /// was wrong). One that can't be deleted doesn't keep the rest; several do.
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
        let (mut expired, mut tried) = (Vec::new(), HashSet::new());
        let (mut stuck, mut first_error) = (0, None);
        // What is deleted leaves the index, so that each listing begins with what is left. Entries bear
        // their whole texts: of all that grew too old they could be more than memory holds.
        while stuck < MOST_STUCK {
            let entries = self.index.list(&filter, EXPIRED_AT_ONCE).await?;
            let ids = entries
                .into_iter()
                .map(|entry| entry.recording.recording_id);
            let untried: Vec<_> = ids.filter(|id| tried.insert(*id)).collect();
            if untried.is_empty() {
                break;
            }
            for id in untried {
                match self.delete(id).await {
                    Ok(_) => expired.push(id),
                    // Only the index still knew of it.
                    Err(LibraryError::Archive(
                        ArchiveError::NotFound(_) | ArchiveError::Deleted(_),
                    )) => {}
                    Err(error) => {
                        tracing::warn!(recording_id = %id, %error, "it is too old and still there");
                        first_error.get_or_insert(error);
                        stuck += 1;
                        if stuck == MOST_STUCK {
                            break;
                        }
                    }
                }
            }
        }
        first_error.map_or(Ok(expired), Err)
    }

    /// Mends what a crash between archive and index left: recordings that only one of them knows,
    /// and those that the archive has come further with. Of what has its text by the index, ids
    /// alone are compared, so it costs little where nothing is amiss; the embedder isn't used.
    ///
    /// # Errors
    /// [`LibraryError::Archive`] when the archive can't be listed; [`LibraryError::Index`].
    pub async fn reconcile(&self) -> Result<Reconciled, LibraryError> {
        let mut mended = Reconciled::default();
        // Before the listing: what comes after it has another mark.
        let mark = self.archive.ids_mark().await?;
        if mark.is_none() || mark != self.index.agreed_mark().await? {
            let agrees = self.agree_on_ids(&mut mended).await?;
            if let Some(mark) = mark.filter(|_| agrees)
                && let Err(error) = self.index.remember_mark(&mark).await
            {
                // Only a comparison more next time.
                tracing::debug!(%error, "that archive and index agree isn't remembered");
            }
        }
        for entry in self.unfinished().await? {
            let id = entry.recording.recording_id;
            if !mended.added.contains(&id) && self.catch_up(entry.recording).await? {
                mended.caught_up.push(id);
            }
        }
        Ok(mended)
    }

    /// Brings into the index what the archive has, and takes out what it hasn't; whether all that is
    /// there could be read.
    async fn agree_on_ids(&self, mended: &mut Reconciled) -> Result<bool, LibraryError> {
        // The archive comes second: what is kept meanwhile is in both, or in the archive alone.
        let indexed: HashSet<_> = self.index.ids().await?.into_iter().collect();
        let archived: HashSet<_> = self.archive.ids().await?.into_iter().collect();
        for &id in indexed.difference(&archived) {
            self.index.remove(id).await?;
            mended.removed.push(id);
        }
        let mut agrees = true;
        for &id in archived.difference(&indexed) {
            let (recording, transcript) = match self.read(id).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(%id, %error, "can't be indexed");
                    agrees = false;
                    continue;
                }
            };
            self.index_words(&recording, transcript.as_ref()).await?;
            self.follow(&recording).await?;
            mended.added.push(id);
        }
        Ok(agrees)
    }

    /// Tells the index how far a recording has come that has no text by what it knows; whether
    /// there was anything to tell. The archive is only read: another process may be at work on it.
    async fn catch_up(&self, mut known: Recording) -> Result<bool, LibraryError> {
        let mut told = false;
        loop {
            let id = known.recording_id;
            let (recording, transcript) = match self.glance(id).await {
                Ok(seen) => seen,
                // Whoever deleted it may have taken it out before we told of it.
                Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) if told => {
                    self.index.remove(id).await?;
                    return Ok(false);
                }
                // Deleted meanwhile, or damaged: not for the index to mend.
                Err(error) => {
                    tracing::debug!(%id, %error, "stays in the index as it was");
                    return Ok(told);
                }
            };
            if recording == known {
                return Ok(told);
            }
            match &transcript {
                Some(transcript) => self.index_words(&recording, Some(transcript)).await?,
                None => self.index.update(&recording).await?,
            }
            // Who is at work on it changes the archive first and the index then. Where that came
            // between our look and our telling, the archive says something else by now.
            known = recording;
            told = true;
        }
    }

    /// A recording as [`Library::read`] gives it, where it has a text; the archive is left as it
    /// is.
    async fn glance(
        &self,
        id: RecordingId,
    ) -> Result<(Recording, Option<Transcript>), ArchiveError> {
        let mut recording = self.archive.recording(id).await?;
        let transcript = self.archive.transcript(id).await?;
        if let Some(transcript) = &transcript {
            recording.state = RecordingState::Transcribed;
            recording.error = None;
            recording.duration_ms = recording.duration_ms.or(Some(transcript.duration_ms));
        }
        Ok((recording, transcript))
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
                    match self.index_text(&recording, &transcript).await {
                        Ok(_) => embedded += 1,
                        // One text that can't be read doesn't keep the rest from being found.
                        Err(error) if self.is_of_the_recording(&error).await => {
                            tracing::warn!(%id, %error, "is found by its words alone");
                        }
                        Err(error) => return Err(error),
                    }
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
    /// [`LibraryError::Archive`] when the archive can't be listed; [`LibraryError::Embedding`] when the
    /// embedder can't read any text; [`LibraryError::Index`].
    pub async fn reindex(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Reindexed, LibraryError> {
        self.reindex_but(&|_| false, progress).await
    }

    /// As [`Library::reindex`], but leaves alone what the index has already as the archive has it,
    /// embedded by this library's model. So what was broken off goes on where it was.
    ///
    /// # Errors
    /// As [`Library::reindex`].
    pub async fn resume_reindex(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Reindexed, LibraryError> {
        let model = self.embedder.model_id();
        let stale = self.index.not_embedded_by(model, usize::MAX).await?;
        let stale: HashSet<_> = stale.into_iter().collect();
        self.reindex_but(&|id| !stale.contains(&id), progress).await
    }

    async fn reindex_but(
        &self,
        may_be_left: &(dyn Fn(RecordingId) -> bool + Send + Sync),
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Reindexed, LibraryError> {
        // The archive comes second, and may take long: what is kept and indexed meanwhile isn't missing in it.
        let indexed = self.index.ids().await?;
        let mut ids = self.archive.ids().await?;
        ids.sort_unstable();
        let archived: HashSet<_> = ids.iter().copied().collect();
        let total = ids.len();
        let mut report = Reindexed::default();
        for id in indexed {
            if !archived.contains(&id) {
                self.index.remove(id).await?;
                report.removed += 1;
            }
        }
        for (done, id) in ids.into_iter().enumerate() {
            progress(Progress { done, total });
            let refreshed = match self.agrees(id, may_be_left).await {
                Ok(true) => {
                    report.unchanged += 1;
                    report.recordings += 1;
                    continue;
                }
                Ok(false) => self.refresh(id).await,
                Err(error) => Err(error),
            };
            match refreshed {
                Ok(Refreshed::Findable { passages }) => report.passages += passages,
                Ok(Refreshed::WithoutText) => {}
                // Deleted by another process meanwhile.
                Ok(Refreshed::Gone) => continue,
                Err(error @ LibraryError::Archive(_)) => {
                    report.failed.push((id, error));
                    continue;
                }
                Err(error) if self.is_of_the_recording(&error).await => {
                    report.failed.push((id, error));
                }
                Err(error) => return Err(error),
            }
            report.recordings += 1;
        }
        progress(Progress { done: total, total });
        Ok(report)
    }

    /// Whether the index has `id` as the archive has it, where it may be left at all.
    async fn agrees(
        &self,
        id: RecordingId,
        may_be_left: &(dyn Fn(RecordingId) -> bool + Send + Sync),
    ) -> Result<bool, LibraryError> {
        if !may_be_left(id) {
            return Ok(false);
        }
        let Some(entry) = self.index.entries(&[id]).await?.pop() else {
            return Ok(false);
        };
        let (recording, transcript) = match self.read(id).await {
            Ok(read) => read,
            // Told by who refreshes it.
            Err(_) => return Ok(false),
        };
        let text = transcript.map(|t| t.text).unwrap_or_default();
        Ok(entry.recording == recording && entry.text == text)
    }

    /// A recording and its text from the archive, brought into agreement: a text that is there
    /// makes it transcribed (a crash came before that was written), and one that is damaged makes
    /// it failed, so that `retry` makes the text again from the sound.
    async fn read(&self, id: RecordingId) -> Result<(Recording, Option<Transcript>), ArchiveError> {
        loop {
            let recording = self.archive.recording(id).await?;
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
            let seen = (recording.state, recording.error.clone());
            let wanted = (state, error);
            if seen == wanted {
                return Ok((recording, transcript));
            }
            let mended = wanted.clone();
            let mend = move |recording: &mut Recording| {
                // Who has come further with it meanwhile knows better.
                if (recording.state, &recording.error) == (seen.0, &seen.1) {
                    (recording.state, recording.error) = mended.clone();
                }
            };
            let recording = self.archive.amend(id, Box::new(mend)).await?;
            if (recording.state, &recording.error) == (wanted.0, &wanted.1) {
                return Ok((recording, transcript));
            }
        }
    }
}
