//! The clipboard of whoever speaks.

use async_trait::async_trait;

use super::BoxedCause;

/// Why a text is not on the clipboard. Never a reason to lose the text.
#[derive(Debug, thiserror::Error)]
pub enum ClipboardError {
    /// No clipboard can be reached; the text says which program or display is missing and what
    /// to do.
    #[error("no clipboard here: {reason}")]
    Unavailable {
        /// What is missing, and its mend.
        reason: String,
    },
    /// There is one, and it refused.
    #[error("the clipboard refused the text")]
    Refused(#[source] BoxedCause),
}

/// Puts text where the next paste finds it.
#[async_trait]
pub trait Clipboard: Send + Sync {
    /// Places `text` so that it stays there when this process has ended.
    ///
    /// # Errors
    /// [`ClipboardError`] when there is no clipboard, or it refuses.
    async fn set_text(&self, text: &str) -> Result<(), ClipboardError>;
}
