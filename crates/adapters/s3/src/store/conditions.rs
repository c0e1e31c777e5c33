//! Writes that depend on what is there already: how several who write one object at once lose nothing.

use std::time::Duration;

use speakr_core::ports::archive::ArchiveError;

use super::{If, Store};
use crate::fault::{Fault, S3Error};

/// Where nothing is, and nothing is written by a store that keeps conditions. (No recording has such
/// an id; every service may write an object of this name.)
const PROBE: &str = "recordings/condition/recording.json";

/// How often something that is neither there nor lets itself be written is tried, with this pause,
/// before it is taken for half an object.
const HALF_TRIES: u32 = 10;
const HALF_PAUSE: Duration = Duration::from_millis(100);

/// No object has this tag.
const NO_TAG: &str = "\"00000000000000000000000000000000\"";

impl Store {
    /// Makes sure that the store keeps conditions: there are some that take no notice of them, and
    /// write.
    pub(super) async fn needs_conditions(&self) -> Result<(), Fault> {
        let probe = || async {
            let condition = If::Tagged(NO_TAG);
            match self
                .try_put(PROBE, b"-".to_vec(), "text/plain", condition)
                .await
            {
                Err(Fault::Precondition | Fault::Missing | Fault::Conflict) => Ok(()),
                Ok(()) => {
                    if let Err(error) = self.erase(PROBE).await {
                        tracing::warn!(%error, "what was written for a try stays");
                    }
                    Err(self.without_conditions())
                }
                Err(Fault::Unknown) => Err(self.without_conditions()),
                Err(fault) => Err(fault),
            }
        };
        self.keeps_conditions
            .get_or_try_init(probe)
            .await
            .map(|_| ())
    }

    fn without_conditions(&self) -> Fault {
        Fault::Other(S3Error::NoConditions {
            bucket: self.bucket.clone(),
        })
    }

    /// Writes an object, if the one there bears `tag`, or, without a tag, if none is there; whether
    /// it did.
    pub(crate) async fn put_over(
        &self,
        key: &str,
        tag: Option<&str>,
        body: Vec<u8>,
        content_type: &str,
    ) -> Result<bool, ArchiveError> {
        let put = async {
            self.needs_conditions().await?;
            let condition = match tag {
                Some("") => return Err(self.without_conditions()),
                Some(tag) => If::Tagged(tag),
                None => If::New,
            };
            self.try_put(key, body, content_type, condition).await
        };
        match put.await {
            Ok(()) => Ok(true),
            Err(Fault::Precondition | Fault::Conflict) => Ok(false),
            Err(Fault::Missing) if tag.is_some() => Ok(false),
            Err(Fault::Unknown) => Err(self.without_conditions().at("write", &self.place(key))),
            Err(fault) => Err(fault.at("write", &self.place(key))),
        }
    }

    /// Writes an object that isn't there yet. One with the same content that is there already is
    /// an earlier try of this whose answer was lost. What the store takes for there and doesn't give
    /// is what it was writing when it broke off: that is written over.
    pub(crate) async fn put_new(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
    ) -> Result<(), ArchiveError> {
        let failed = |fault: Fault| fault.at("write", &self.place(key));
        for _ in 0..HALF_TRIES {
            match self.try_put(key, body.clone(), content_type, If::New).await {
                Err(Fault::Precondition) => {}
                other => return other.map_err(failed),
            }
            match self.read(key).await?.map(|read| read.body) {
                Some(Ok(there)) if there == body => return Ok(()),
                Some(Ok(_)) => return Err(failed(Fault::Precondition)),
                // Another may be about to write it.
                Some(Err(_)) | None => tokio::time::sleep(HALF_PAUSE).await,
            }
        }
        tracing::warn!(key, "written over half an object");
        self.put(key, body, content_type).await
    }
}
