//! Objects of one bucket.

mod conditions;
mod reading;
mod upload;

use std::{
    collections::HashSet,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_s3::{
    Client,
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, Delete, ObjectIdentifier},
};
use speakr_core::ports::archive::ArchiveError;
use tokio::sync::OnceCell;

pub(crate) use self::{reading::Read, upload::Upload};
use crate::{
    config::{Encryption, S3Config},
    fault::{Fault, S3Error, sort},
};

/// Most objects that one request deletes.
const DELETE_BATCH: usize = 1_000;

/// How often it is looked whether others took away what couldn't be deleted.
const ERASE_ROUNDS: usize = 10;

/// A key and, where the store keeps versions, one of them.
type Version = (String, Option<String>);

/// What the store didn't delete, and why.
struct Refused {
    version: Version,
    error: ArchiveError,
}

impl Refused {
    /// Whether it is there still. Some stores don't tell which version they refuse.
    fn is_among(&self, versions: &[Version]) -> bool {
        let (key, version) = &self.version;
        versions
            .iter()
            .any(|(k, v)| k == key && (version.is_none() || v == version))
    }
}

/// What has to hold for a write.
#[derive(Debug, Clone, Copy)]
enum If<'a> {
    Always,
    /// No such object is there.
    New,
    /// It is the one with this tag.
    Tagged(&'a str),
}

/// One bucket.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    client: Client,
    bucket: String,
    encryption: Encryption,
    /// Filled once it has shown that it keeps conditions.
    keeps_conditions: Arc<OnceCell<()>>,
    pub(crate) part_bytes: usize,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) modified: Option<SystemTime>,
}

impl Store {
    pub(crate) async fn open(config: &S3Config) -> Self {
        Self {
            client: config.client().await,
            bucket: config.bucket.clone(),
            encryption: config.encryption.clone(),
            keeps_conditions: Arc::default(),
            // What S3 takes as a part that isn't the last.
            part_bytes: config.part_bytes.max(5 * 1_024 * 1_024),
        }
    }

    /// How errors name `key`.
    pub(crate) fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// Asks for one key, which needs the bucket and the right to read it; and, until it has shown it
    /// once, whether the store keeps conditions.
    pub(crate) async fn check(&self) -> Result<(), ArchiveError> {
        self.list_page("recordings/", None, Some(1)).await?;
        match self.needs_conditions().await {
            Err(fault @ Fault::Other(S3Error::NoConditions { .. })) => {
                Err(fault.at("use", &self.place("")))
            }
            // A store that is full, say, is for those to tell who write.
            Err(fault) => {
                tracing::debug!(?fault, "can't tell whether the store keeps conditions");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    pub(crate) async fn put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
    ) -> Result<(), ArchiveError> {
        self.try_put(key, body, content_type, If::Always)
            .await
            .map_err(|fault| fault.at("write", &self.place(key)))
    }

    async fn try_put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
        condition: If<'_>,
    ) -> Result<(), Fault> {
        let (encryption, kms_key) = self.encryption.header();
        let (if_match, if_none_match) = match condition {
            If::Always => (None, None),
            If::New => (None, Some("*".to_owned())),
            If::Tagged(tag) => (Some(tag.to_owned()), None),
        };
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .body(ByteStream::from(body))
            .send()
            .await
            .map(drop)
            .map_err(sort(&self.bucket))
    }

    /// The object, as a stream with its size; `None` when there is none.
    pub(crate) async fn open_object(
        &self,
        key: &str,
    ) -> Result<Option<GetObjectOutput>, ArchiveError> {
        self.open_range(key, None).await
    }

    /// The bytes of the object in `range`, which isn't empty; `None` when there is no such object.
    pub(crate) async fn open_part(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<GetObjectOutput>, ArchiveError> {
        let last = range.end.saturating_sub(1);
        self.open_range(key, Some(format!("bytes={}-{last}", range.start)))
            .await
    }

    async fn open_range(
        &self,
        key: &str,
        range: Option<String>,
    ) -> Result<Option<GetObjectOutput>, ArchiveError> {
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_range(range)
            .send()
            .await
            .map_err(sort(&self.bucket));
        match got {
            Ok(object) => Ok(Some(object)),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(fault.at("read", &self.place(key))),
        }
    }

    /// The object's size; `None` when there is none. (A HEAD that fails says little of why, so the
    /// bucket is asked then.)
    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>, ArchiveError> {
        let listed = self.list_page(key, None, Some(1)).await?.0;
        Ok(listed.first().filter(|o| o.key == key).map(|o| o.bytes))
    }

    /// Whether there is any object whose key begins so; it doesn't end with a slash.
    pub(crate) async fn has_any(&self, prefix: &str) -> Result<bool, ArchiveError> {
        Ok(!self.list_page(prefix, None, Some(1)).await?.0.is_empty())
    }

    /// All objects whose keys begin so, in the order of their keys.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Listed>, ArchiveError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let (page, _, next) = self.list_page(prefix, from, None).await?;
            all.extend(page);
            match next {
                Some(next) => from = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Names right below `prefix` that have objects under them.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, ArchiveError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let (_, folders, next) = self.list_page(prefix, from, None).await?;
            all.extend(folders);
            match next {
                Some(next) => from = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn list_page(
        &self,
        prefix: &str,
        from: Option<String>,
        most: Option<i32>,
    ) -> Result<(Vec<Listed>, Vec<String>, Option<String>), ArchiveError> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_delimiter(prefix.ends_with('/').then(|| "/".to_owned()))
            .set_continuation_token(from)
            .set_max_keys(most)
            .send()
            .await
            .map_err(sort(&self.bucket))
            .map_err(|fault| fault.at("list", &self.place(prefix)))?;
        let folders = page
            .common_prefixes()
            .iter()
            .filter_map(|folder| {
                let name = folder.prefix()?.strip_prefix(prefix)?;
                Some(name.trim_end_matches('/').to_owned())
            })
            .collect();
        let next = page.next_continuation_token().map(ToOwned::to_owned);
        let listed = page
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                Some(Listed {
                    key: object.key?,
                    bytes: u64::try_from(object.size.unwrap_or(0)).unwrap_or(0),
                    modified: object.last_modified.and_then(|at| {
                        let since = Duration::from_secs(u64::try_from(at.secs()).ok()?);
                        SystemTime::UNIX_EPOCH.checked_add(since)
                    }),
                })
            })
            .collect();
        Ok((listed, folders, next))
    }

    /// Deletes every version of all objects whose keys begin so, and uploads that aren't finished.
    /// Others may be at it too (whoever finds that a recording is deleted): what they take away
    /// first is gone all the same.
    pub(crate) async fn erase(&self, prefix: &str) -> Result<(), ArchiveError> {
        self.abort_uploads(prefix)
            .await
            .map_err(|fault| fault.at("delete", &self.place(prefix)))?;
        let mut rounds = 0;
        loop {
            let mut refused = None;
            for batch in self.doomed(prefix).await?.chunks(DELETE_BATCH) {
                refused = self.delete_batch(batch, prefix).await?.or(refused);
            }
            let Some(refused) = refused else {
                return Ok(());
            };
            rounds += 1;
            if rounds == ERASE_ROUNDS || refused.is_among(&self.doomed(prefix).await?) {
                return Err(refused.error);
            }
        }
    }

    /// Every version of all objects whose keys begin so.
    async fn doomed(&self, prefix: &str) -> Result<Vec<Version>, ArchiveError> {
        match self.versions(prefix).await {
            // A store without versions: what is listed is all there is.
            Err(Fault::Unknown) => Ok(self
                .list_all_below(prefix)
                .await?
                .into_iter()
                .map(|key| (key, None))
                .collect()),
            versions => versions.map_err(|fault| fault.at("delete", &self.place(prefix))),
        }
    }

    async fn list_all_below(&self, prefix: &str) -> Result<Vec<String>, ArchiveError> {
        let mut keys = Vec::new();
        let mut folders = vec![prefix.to_owned()];
        while let Some(folder) = folders.pop() {
            keys.extend(self.list(&folder).await?.into_iter().map(|o| o.key));
            let below = self.folders(&folder).await?;
            folders.extend(below.into_iter().map(|name| format!("{folder}{name}/")));
        }
        Ok(keys)
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, Fault> {
        let mut found = Vec::new();
        let (mut key, mut version) = (None, None);
        loop {
            let page = self
                .client
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_key_marker(key.take())
                .set_version_id_marker(version.take())
                .send()
                .await
                .map_err(sort(&self.bucket))?;
            for object in page.versions() {
                found.extend(
                    object
                        .key()
                        .map(|k| (k.to_owned(), owned(object.version_id()))),
                );
            }
            for marker in page.delete_markers() {
                found.extend(
                    marker
                        .key()
                        .map(|k| (k.to_owned(), owned(marker.version_id()))),
                );
            }
            if page.is_truncated() != Some(true) {
                return Ok(found);
            }
            key = owned(page.next_key_marker());
            version = owned(page.next_version_id_marker());
            if key.is_none() {
                return Ok(found);
            }
        }
    }

    async fn delete_batch(
        &self,
        batch: &[Version],
        prefix: &str,
    ) -> Result<Option<Refused>, ArchiveError> {
        let failed = |cause: String| ArchiveError::Io {
            action: "delete",
            place: self.place(prefix),
            cause: cause.into(),
        };
        let mut doomed = Delete::builder().quiet(true);
        for (key, version) in batch {
            let object = ObjectIdentifier::builder()
                .key(key)
                .set_version_id(version.clone())
                .build()
                .map_err(|e| failed(e.to_string()))?;
            doomed = doomed.objects(object);
        }
        let doomed = doomed.build().map_err(|e| failed(e.to_string()))?;
        let answer = self
            .client
            .delete_objects()
            .bucket(&self.bucket)
            .delete(doomed)
            .send()
            .await
            .map_err(sort(&self.bucket))
            .map_err(|fault| fault.at("delete", &self.place(prefix)))?;
        let refused = answer.errors().first().map(|error| Refused {
            version: (
                error.key().unwrap_or_default().to_owned(),
                owned(error.version_id()),
            ),
            error: failed(format!(
                "{}: {}",
                error.key().unwrap_or_default(),
                error.message().or(error.code()).unwrap_or("refused")
            )),
        });
        Ok(refused)
    }

    async fn abort_uploads(&self, prefix: &str) -> Result<(), Fault> {
        let mut seen = HashSet::new();
        // The first page again and again: a page that begins behind an upload wants it to be there.
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(prefix)
                .send()
                .await
                .map_err(sort(&self.bucket))?;
            let mut news = false;
            for upload in page.uploads() {
                let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else {
                    continue;
                };
                news |= seen.insert(id.to_owned());
                match self.abort(key, id).await {
                    Ok(()) | Err(Fault::Missing) => {}
                    Err(fault) => return Err(fault),
                }
            }
            if page.is_truncated() != Some(true) || !news {
                return Ok(());
            }
        }
    }

    async fn abort(&self, key: &str, upload: &str) -> Result<(), Fault> {
        self.client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .send()
            .await
            .map(drop)
            .map_err(sort(&self.bucket))
    }

    /// Begins an object that is written in parts. It is there once [`Upload::finish`] is done.
    pub(crate) async fn upload(
        &self,
        key: &str,
        content_type: &str,
    ) -> Result<Upload<'_>, ArchiveError> {
        let failed = |fault: Fault| fault.at("write", &self.place(key));
        let (encryption, kms_key) = self.encryption.header();
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(kms_key)
            .send()
            .await
            .map_err(sort(&self.bucket))
            .map_err(failed)?;
        let id = owned(upload.upload_id()).ok_or_else(|| failed(Fault::Unknown))?;
        Ok(Upload {
            store: self,
            key: key.to_owned(),
            id,
            parts: Vec::new(),
        })
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(ToOwned::to_owned)
}
