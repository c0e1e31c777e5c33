//! The operating system's errors as the archive's, with the place named.

use std::{
    io::{Error, ErrorKind},
    path::Path,
};

use speakr_core::ports::{archive::ArchiveError, sound::SoundError};

/// Turns an I/O error at `place`, met while trying to `action` it, into an archive error.
pub(crate) fn io(action: &'static str, place: &Path) -> impl FnOnce(Error) -> ArchiveError {
    let place = place.display().to_string();
    move |cause| match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ArchiveError::Full { place },
        _ => ArchiveError::Io {
            action,
            place,
            cause: Box::new(cause),
        },
    }
}

/// Turns a codec's error at `place`, met while trying to `action` it, into an archive error.
pub(crate) fn sound(action: &'static str, place: &Path, cause: SoundError) -> ArchiveError {
    if let SoundError::Broken { cause: inner, .. } = &cause
        && let Some(inner) = inner.downcast_ref::<Error>()
        && matches!(
            inner.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded
        )
    {
        return ArchiveError::Full {
            place: place.display().to_string(),
        };
    }
    ArchiveError::Io {
        action,
        place: place.display().to_string(),
        cause: Box::new(cause),
    }
}

/// Something at `place` that isn't what it should be.
pub(crate) fn damaged(place: &Path, reason: impl Into<String>) -> ArchiveError {
    ArchiveError::Damaged {
        place: place.display().to_string(),
        reason: reason.into(),
    }
}

/// Runs `work`, which blocks on the disk, away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|cause| {
            Err(ArchiveError::Io {
                action: "finish work on",
                place: "the archive".to_owned(),
                cause: Box::new(cause),
            })
        })
}
