//! Whole files to text, wherever that is done: by the engine in this process, by the platform
//! behind a bus, or by another's API.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{BoxedCause, speech::DecodeOptions};
use crate::{
    recording::{CorrelationId, Metadata, Tags},
    transcript::Transcript,
    usecases::transcribe::TranscriptionObserver,
};

/// One file to be made into text.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscriptionRequest {
    /// Names the request; the recording's id follows from it.
    pub correlation_id: CorrelationId,
    /// When the sound was captured, as far as the client told.
    pub created_at: Timestamp,
    /// The file, of any format.
    pub file: PathBuf,
    /// What its sender called it; absent where it has no name.
    pub file_name: Option<String>,
    /// What to ask of the decoder.
    pub options: DecodeOptions,
    /// Tags of the recording.
    pub tags: Tags,
    /// What travels with it.
    pub metadata: Metadata,
    /// Whether sound and text stay in the library; else nothing of them does.
    pub keep: bool,
}

/// Why a file has no text.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptionError {
    /// The request can't be served as it is: what is in the file is no sound, the model doesn't
    /// know the language, …
    #[error("{reason}")]
    Refused {
        /// Why, for who asked.
        reason: String,
    },
    /// There is no such model.
    #[error("there is no speech model \"{model}\"")]
    UnknownModel {
        /// What was asked for.
        model: String,
    },
    /// The caller's credentials aren't taken.
    #[error("{service} doesn't take the credentials: {reason}")]
    Unauthorised {
        /// Whose.
        service: String,
        /// What it said.
        reason: String,
    },
    /// Too much is asked at once.
    #[error("{service} has too much to do{}", later(.retry_after_s))]
    Busy {
        /// Who.
        service: String,
        /// When to ask again, in seconds, where it said so.
        retry_after_s: Option<u64>,
    },
    /// No answer came in time.
    #[error("{service} gave no answer within {} s", waited_ms / 1_000)]
    TimedOut {
        /// Who.
        service: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The caller cancelled.
    #[error("transcribing was cancelled")]
    Cancelled,
    /// It failed.
    #[error("{service} failed")]
    Failed {
        /// Who.
        service: String,
        /// Why.
        #[source]
        cause: BoxedCause,
    },
}

fn later(retry_after_s: &Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |s| format!("; it asks to be left for {s} s"))
}

/// Makes text from files.
#[async_trait]
pub trait Transcription: Send + Sync {
    /// Makes the text of one file. Segments are told to `observer` as they come, where the
    /// adapter has them before the end.
    ///
    /// # Errors
    /// [`TranscriptionError`]; soon after `cancel` is cancelled, [`TranscriptionError::Cancelled`].
    async fn transcribe(
        &self,
        request: &TranscriptionRequest,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError>;
}
