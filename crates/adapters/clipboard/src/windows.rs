//! The clipboard of Windows, which keeps what it was given.

use async_trait::async_trait;
use speakr_core::ports::clipboard::{Clipboard, ClipboardError};

/// The clipboard of whoever runs speakr.
#[derive(Debug, Clone, Default)]
pub struct SystemClipboard;

impl SystemClipboard {
    /// The clipboard of this session.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// What speakr would use, without touching what is on the clipboard.
    ///
    /// # Errors
    /// [`ClipboardError::Unavailable`] when there is none.
    pub async fn probe(&self) -> Result<&'static str, ClipboardError> {
        in_thread(|| arboard::Clipboard::new().map(|_| "Windows")).await
    }
}

#[async_trait]
impl Clipboard for SystemClipboard {
    async fn set_text(&self, text: &str) -> Result<(), ClipboardError> {
        let text = text.to_owned();
        in_thread(move || arboard::Clipboard::new()?.set_text(text)).await
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, arboard::Error> + Send + 'static,
) -> Result<T, ClipboardError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(arboard::Error::ClipboardNotSupported)) => Err(ClipboardError::Unavailable {
            reason: "this session has none; speakr must run on a desktop".into(),
        }),
        Ok(Err(cause)) => Err(ClipboardError::Refused(Box::new(cause))),
        Err(cause) => Err(ClipboardError::Refused(Box::new(cause))),
    }
}
