//! How a command fails: one clear sentence, what to do next, and an exit code.

use std::{error::Error, fmt};

use speakr_core::ports::{
    archive::ArchiveError, clipboard::ClipboardError, embedding::EmbeddingError, index::IndexError,
    sound::SoundError, speech::SpeechError, voice_activity::VoiceActivityError,
};
use speakr_core::usecases::{library::LibraryError, transcribe::TranscribeError};
use speakr_keychain::KeychainError;
use speakr_local::LockError;
use speakr_models::ModelError;

/// Exit codes, as documented in `speakr --help` and `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Something failed; of several inputs, at least one.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is no such recording or model, or nothing was found.
    NotFound = 3,
    /// Something that speakr needs is missing here (ffmpeg, a microphone, a model, …).
    Missing = 4,
    /// Another speakr is at it.
    Busy = 5,
    /// Somebody cancelled.
    Cancelled = 130,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    code: ExitCode,
}

impl Failure {
    /// A failure that this sentence tells.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code,
        }
    }

    /// A plain failure with the whole chain of causes of `error`.
    pub(crate) fn from_error(code: ExitCode, error: &dyn Error) -> Self {
        Self::new(code, chain(error))
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code.
    pub(crate) const fn code(&self) -> ExitCode {
        self.code
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub(crate) fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error and its causes in one line, without saying the same thing twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

macro_rules! failure_from {
    ($error:ty, |$e:ident| $code:expr) => {
        impl From<$error> for Failure {
            fn from($e: $error) -> Self {
                let code = $code;
                Failure::from_error(code, &$e)
            }
        }
    };
}

failure_from!(ArchiveError, |e| match &e {
    ArchiveError::NotFound(_) | ArchiveError::Deleted(_) => ExitCode::NotFound,
    _ => ExitCode::Failed,
});
failure_from!(ClipboardError, |_e| ExitCode::Failed);
failure_from!(EmbeddingError, |_e| ExitCode::Failed);
failure_from!(VoiceActivityError, |_e| ExitCode::Failed);
failure_from!(SoundError, |e| match &e {
    SoundError::MissingProgram { .. } | SoundError::NoDevice { .. } => ExitCode::Missing,
    _ => ExitCode::Failed,
});
failure_from!(ModelError, |e| match &e {
    ModelError::Unknown { .. } | ModelError::NotInstalled { .. } => ExitCode::Missing,
    ModelError::Cancelled { .. } => ExitCode::Cancelled,
    _ => ExitCode::Failed,
});
failure_from!(SpeechError, |e| match &e {
    SpeechError::Cancelled => ExitCode::Cancelled,
    SpeechError::UnknownLanguage { .. } => ExitCode::Missing,
    SpeechError::Away { .. } | SpeechError::Engine { .. } => ExitCode::Failed,
});

impl From<KeychainError> for Failure {
    fn from(error: KeychainError) -> Self {
        let (code, hint) = match &error {
            KeychainError::Absent(_) => (
                ExitCode::Missing,
                "api_token_file names a file with the token instead; \
                 on Linux, GNOME Keyring or KWallet is a keychain",
            ),
            KeychainError::Failed { .. } => (ExitCode::Failed, "the keychain may be locked"),
        };
        Self::from_error(code, &error).hint(hint)
    }
}

impl From<TranscribeError> for Failure {
    fn from(error: TranscribeError) -> Self {
        match error {
            TranscribeError::Speech(error) => error.into(),
            TranscribeError::VoiceActivity(error) => error.into(),
        }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let failure = Self::from_error(ExitCode::Failed, &error);
        match error {
            IndexError::Damaged { .. } => {
                failure.hint("`speakr reindex` sets it aside and makes it anew from the recordings")
            }
            _ => failure,
        }
    }
}

impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        let list = "`speakr list` shows the ids";
        match error {
            LibraryError::Archive(error) => error.into(),
            LibraryError::Index(error) => error.into(),
            LibraryError::Embedding(error) => error.into(),
            error @ LibraryError::Copies(_) => Self::from_error(ExitCode::Failed, &error),
            error @ LibraryError::OtherModel { .. } => Self::from_error(ExitCode::Failed, &error)
                .hint("`speakr reindex` reads all texts with the model that is set now"),
            error @ LibraryError::NoMatch(_) => {
                Self::from_error(ExitCode::NotFound, &error).hint(list)
            }
            error @ LibraryError::Ambiguous { .. } => {
                Self::from_error(ExitCode::Usage, &error).hint("more digits tell them apart")
            }
            error => Self::from_error(ExitCode::Usage, &error),
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Archive(error) => error.into(),
            error @ LockError::Recording { .. } => Self::from_error(ExitCode::Busy, &error)
                .hint("`speakr stop` ends it and makes its text, `speakr cancel` throws it away"),
            error => Self::from_error(ExitCode::Busy, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_becomes_one_line_without_repeats() {
        let inner = std::io::Error::other("disk on fire");
        let outer = speakr_core::ports::archive::ArchiveError::Io {
            action: "write",
            place: "here".into(),
            cause: Box::new(inner),
        };
        assert_eq!(chain(&outer), "can't write here: disk on fire");
    }
}
