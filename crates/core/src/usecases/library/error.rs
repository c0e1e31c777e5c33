//! What can go wrong, and what is to blame.

use super::Library;
use crate::{
    ports::{
        archive::ArchiveError, copies::CopiesError, embedding::EmbeddingError, index::IndexError,
    },
    recording::RecordingId,
};

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
    /// Copies of a deleted recording are still there.
    #[error(transparent)]
    Copies(#[from] CopiesError),
    /// Nothing in the index can be compared with what is searched for.
    #[error(
        "the texts were embedded by {}, and queries are embedded by \"{mine}\" here: they can't be \
         compared",
        named(theirs)
    )]
    OtherModel {
        /// The model that embeds queries.
        mine: String,
        /// Those that the index knows.
        theirs: Vec<String>,
    },
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

fn named(models: &[String]) -> String {
    let names: Vec<_> = models.iter().map(|model| format!("\"{model}\"")).collect();
    names.join(" and ")
}

fn short(candidates: &[RecordingId]) -> String {
    let names: Vec<_> = candidates.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl Library {
    /// Whether `error` came of a recording itself, and would come again: of nothing that is away or
    /// has too much to do just now.
    pub async fn is_of_the_recording(&self, error: &LibraryError) -> bool {
        match error {
            LibraryError::Archive(ArchiveError::Damaged { .. })
            | LibraryError::Index(IndexError::Refused { .. }) => true,
            // An embedder that reads another text can't read this one. (It has to be asked: a server
            // may stumble over a text, or say nothing to it, as one does that isn't well.)
            LibraryError::Embedding(error) => {
                !error.away && self.embed_texts(&["speech".to_owned()]).await.is_ok()
            }
            _ => false,
        }
    }
}
