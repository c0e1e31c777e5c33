//! What can come of a command.

use std::time::Duration;

use crate::ports::{
    archive::ArchiveError,
    platform::{AnnounceError, BusFailure, FailureKind},
    sound::SoundError,
};

/// How a command was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, well or not: events have said which.
    Done,
    /// This replica ends; another goes on.
    HandBack,
    /// It can't be done yet; nothing is wrong with it.
    Postpone(Duration),
}

/// Why a command isn't done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store of record doesn't do its part: it may later.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The bus doesn't do its part: it may later.
    #[error(transparent)]
    Bus(#[from] BusFailure),
    /// The request can't be served, and never will be. Whoever asked is told.
    #[error("{0}")]
    Refused(String),
    /// The same: the speech model that was asked for isn't here.
    #[error("the model \"{wanted}\" isn't here; this service has \"{mine}\"")]
    UnknownModel {
        /// What was asked for.
        wanted: String,
        /// What there is.
        mine: String,
    },
    /// The speech engine is elsewhere and gives no answer for now.
    #[error("{reason}")]
    Away {
        /// What was met instead.
        reason: String,
        /// When to ask again, where it said so.
        after: Option<Duration>,
    },
    /// Something of this machine isn't as it should be: it may be later, or on another.
    #[error("{0}")]
    Later(String),
    /// This replica ends.
    #[error("this replica ends")]
    Ending,
    /// Somebody cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// What it needs isn't there yet.
    #[error("what it needs isn't there yet")]
    NotYet(Duration),
}

impl Trouble {
    /// What programs know it as.
    #[must_use]
    pub const fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::UnknownModel { .. } => Some(FailureKind::UnknownModel),
            _ => None,
        }
    }
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

impl From<AnnounceError> for Trouble {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::TooLarge { .. } => Self::Refused(error.to_string()),
            AnnounceError::Bus(failure) => failure.into(),
        }
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
