//! The index: what makes recordings listable and findable. It can be made again from the archive.

use async_trait::async_trait;
use jiff::Timestamp;

use super::BoxedCause;
use crate::{
    recording::{Recording, RecordingId, RecordingState, Tags},
    transcript::Transcript,
};

/// Why the index gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It was made by a newer speakr than this one.
    #[error("the index {place} was made by a newer speakr (it wants at least {min_version})")]
    TooNew {
        /// Which index.
        place: String,
        /// The version that it wants.
        min_version: String,
    },
    /// It was made by an older speakr and has to be brought up to date first.
    #[error(
        "the index {place} has schema {found} and this speakr needs {wanted}: run its migration first"
    )]
    TooOld {
        /// Which index.
        place: String,
        /// The number of its schema; 0 where there is none yet.
        found: usize,
        /// The number of the schema that is needed.
        wanted: usize,
    },
    /// It is damaged and has to be made again.
    #[error("the index {place} is damaged")]
    Damaged {
        /// Which index.
        place: String,
        /// What the database said.
        #[source]
        cause: BoxedCause,
    },
    /// It has more to do than it can at the moment; later it may answer.
    #[error("the index {place} is too busy to {action}")]
    Busy {
        /// Which index.
        place: String,
        /// What was tried.
        action: &'static str,
        /// What the database said.
        #[source]
        cause: BoxedCause,
    },
    /// It doesn't take what it was given, and won't later.
    #[error("the index {place} doesn't take what it was to {action}")]
    Refused {
        /// Which index.
        place: String,
        /// What was tried.
        action: &'static str,
        /// What the database said.
        #[source]
        cause: BoxedCause,
    },
    /// The database failed.
    #[error("the index {place} failed to {action}")]
    Database {
        /// Which index.
        place: String,
        /// What was tried.
        action: &'static str,
        /// What the database said.
        #[source]
        cause: BoxedCause,
    },
}

/// Some 200 tokens of neighbouring segments: the unit that is embedded and found.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Its place among the recording's passages, from 0.
    pub ordinal: u32,
    /// Where it begins in the sound.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// Its text.
    pub text: String,
}

/// A passage with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedPassage {
    /// The passage.
    pub passage: Passage,
    /// Its vector, of unit length; empty where it waits for one and is found by its words alone.
    pub vector: Vec<f32>,
}

/// Which recordings a search or a listing looks at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// All of these tags.
    pub tags: Tags,
    /// Captured at this time or later.
    pub since: Option<Timestamp>,
    /// Captured before this time.
    pub until: Option<Timestamp>,
    /// In one of these states; in any where empty.
    pub states: Vec<RecordingState>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct PassageHit {
    /// Its recording.
    pub recording_id: RecordingId,
    /// The passage.
    pub passage: Passage,
    /// Cosine of its vector and the query's, −1 to 1, where both are known.
    pub cosine: Option<f32>,
    /// Share of the query's words that it holds, rare words weighing more, 0 to 1; where it was
    /// found by keywords.
    pub coverage: Option<f32>,
}

/// What a listing or a result says of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its description.
    pub recording: Recording,
    /// Its text; empty where it has none yet.
    pub text: String,
}

/// Finds recordings.
#[async_trait]
pub trait Index: Send + Sync {
    /// Puts a recording in, or replaces all that was known of it. `passages` were embedded by
    /// `model`.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn upsert(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
        passages: &[EmbeddedPassage],
        model: &str,
    ) -> Result<(), IndexError>;

    /// Replaces a recording's description (tags, state, …) and leaves text and passages as they
    /// are. A recording that isn't there is put in without text.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn update(&self, recording: &Recording) -> Result<(), IndexError>;

    /// Takes a recording out, with its text and vectors; gives the number of passages removed.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn remove(&self, id: RecordingId) -> Result<u64, IndexError>;

    /// Takes a recording out for good, because it was deleted: where several processes write the
    /// index, what comes late of it is ignored from now on.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn bury(&self, id: RecordingId) -> Result<u64, IndexError> {
        self.remove(id).await
    }

    /// Newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, IndexError>;

    /// Entries of these ids; ids that aren't there are left out.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn entries(&self, ids: &[RecordingId]) -> Result<Vec<Entry>, IndexError>;

    /// Ids of all recordings in it, in no order.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn ids(&self) -> Result<Vec<RecordingId>, IndexError>;

    /// The archive's mark at which the index agreed with it last, where it remembers one.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn agreed_mark(&self) -> Result<Option<String>, IndexError> {
        Ok(None)
    }

    /// Remembers `mark`, where the index does so.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn remember_mark(&self, _mark: &str) -> Result<(), IndexError> {
        Ok(())
    }

    /// Ids that begin with these hexadecimal digits (dashes don't count), at most ten.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RecordingId>, IndexError>;

    /// The best `limit` passages by keywords, best first, and all that rank the same as the last
    /// of them (so the order of storing never shows). With a `vector`, hits bear their cosine.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn keyword_hits(
        &self,
        query: &str,
        vector: Option<(&[f32], &str)>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError>;

    /// The best `limit` passages by cosine among those embedded by `model`, best first, and all
    /// that rank the same as the last of them.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn vector_hits(
        &self,
        vector: &[f32],
        model: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError>;

    /// Where texts have been embedded, and none of them by `model`: by which models. Nothing where one
    /// was embedded by `model`, or none at all.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn other_models(&self, model: &str) -> Result<Vec<String>, IndexError>;

    /// Recordings with a text whose passages were not embedded by `model`, at most `limit`.
    ///
    /// # Errors
    /// [`IndexError`].
    async fn not_embedded_by(
        &self,
        model: &str,
        limit: usize,
    ) -> Result<Vec<RecordingId>, IndexError>;
}
