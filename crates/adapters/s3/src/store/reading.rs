//! Objects that are read whole, and those that a store has half.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStreamError;
use aws_smithy_checksums::body::validate;
use speakr_core::ports::archive::ArchiveError;

use super::Store;

/// How often an object is read whose content and checksum don't fit, with this pause.
const READ_TRIES: u32 = 10;
const READ_PAUSE: Duration = Duration::from_millis(30);

/// An object that was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// Its content.
    pub(crate) body: Result<Vec<u8>, Torn>,
    /// Its tag, by which it is told from what is written over it.
    pub(crate) tag: String,
}

/// An object's content doesn't fit its checksum, and goes on not to: the store broke off while it
/// wrote it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Torn(String);

impl Torn {
    /// What `error` says of it; `None` where something else went wrong.
    fn of(error: &ByteStreamError) -> Option<Self> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(mismatch) = error.downcast_ref::<validate::Error>() {
                return Some(Self(mismatch.to_string()));
            }
            cause = error.source();
        }
        None
    }

    /// The archive's error for it.
    fn at(self, place: String) -> ArchiveError {
        ArchiveError::Damaged {
            place,
            reason: self.0,
        }
    }
}

impl Store {
    /// The object's content; `None` when there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(read) = self.read(key).await? else {
            return Ok(None);
        };
        read.body.map(Some).map_err(|torn| torn.at(self.place(key)))
    }

    /// The object; `None` when there is none.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Read>, ArchiveError> {
        let mut tries = READ_TRIES;
        loop {
            let Some(object) = self.open_object(key).await? else {
                return Ok(None);
            };
            let tag = object.e_tag.clone().unwrap_or_default();
            tries -= 1;
            let body = match object.body.collect().await {
                Ok(body) => Ok(body.to_vec()),
                Err(error) => match Torn::of(&error) {
                    // A store may give the one version's content with the other's checksum while it
                    // is written over.
                    Some(torn) if tries > 0 => {
                        tracing::debug!(%torn, key, "read again");
                        tokio::time::sleep(READ_PAUSE).await;
                        continue;
                    }
                    Some(torn) => Err(torn),
                    None => {
                        return Err(ArchiveError::Io {
                            action: "read",
                            place: self.place(key),
                            cause: Box::new(error),
                        });
                    }
                },
            };
            return Ok(Some(Read { body, tag }));
        }
    }
}
