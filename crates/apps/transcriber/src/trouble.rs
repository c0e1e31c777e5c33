//! What can come of a command.

use std::time::Duration;

use speakr_core::ports::{archive::ArchiveError, sound::SoundError};
use speakr_nats::BusError;

/// How a command was answered.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done, well or not: events have said which.
    Done,
    /// This replica ends; another goes on.
    HandBack,
    /// There is no room for it now.
    Postpone(Duration),
}

/// Why a command isn't done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The store of record doesn't do its part: it may later.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The bus doesn't do its part: it may later.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The request can't be served, and never will be. Whoever asked is told.
    #[error("{0}")]
    Refused(String),
    /// Something of this machine isn't as it should be: it may be later, or on another.
    #[error("{0}")]
    Later(String),
    /// The scratch folder can't be written: it may be later.
    #[error("can't write a scratch file")]
    Scratch(#[from] std::io::Error),
    /// This replica ends.
    #[error("this replica ends")]
    Ending,
    /// Somebody cancelled.
    #[error("it was cancelled")]
    Cancelled,
}

impl From<SoundError> for Trouble {
    fn from(error: SoundError) -> Self {
        let reason = chain(&error);
        match error {
            // Neither is the fault of the sound.
            SoundError::MissingProgram { .. } | SoundError::Broken { .. } => Self::Later(reason),
            _ => Self::Refused(reason),
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
