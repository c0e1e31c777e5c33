//! The store of record: a bucket.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use speakr_core::ports::archive::ArchiveError;
use speakr_s3::{Authorities, Credentials, Encryption, S3Archive, S3Config};
use speakr_service::{
    config::{Config, Kind, Setting, SettingError},
    health::Check,
};
use tokio::sync::Mutex;

use crate::Failure;

const S3_BUCKET: Setting = Setting::new(
    "S3_BUCKET",
    Kind::Text,
    "The bucket with sound and text. It has to be there, with versions switched on.",
)
.default("speakr");
const S3_ENDPOINT: Setting = Setting::new(
    "S3_ENDPOINT",
    Kind::Url,
    "The store, where it isn't AWS's own. It has to write on a condition (`If-Match`, `If-None-Match`).",
);
const S3_REGION: Setting = Setting::new(
    "S3_REGION",
    Kind::Text,
    "Its region, where `AWS_REGION` or a profile doesn't say it.",
);
const S3_PATH_STYLE: Setting = Setting::new(
    "S3_PATH_STYLE",
    Kind::Flag,
    "Whether the bucket goes into the path instead of the host name. On where S3_ENDPOINT is set and this isn't.",
);
const S3_ACCESS_KEY_ID: Setting = Setting::new(
    "S3_ACCESS_KEY_ID",
    Kind::Text,
    "The access key, for a store that hands out nothing better; AWS's own ways (environment, profile, web identity, container, instance) where it isn't set.",
);
const S3_SECRET_ACCESS_KEY: Setting = Setting::new(
    "S3_SECRET_ACCESS_KEY",
    Kind::Text,
    "Secret of `S3_ACCESS_KEY_ID`; read again every minute.",
)
.secret();
const S3_CA: Setting = Setting::new(
    "S3_CA",
    Kind::Path,
    "PEM file of who vouches for the store's certificate, beside those whom the system trusts.",
);
const S3_ENCRYPTION: Setting = Setting::new(
    "S3_ENCRYPTION",
    Kind::Text,
    "How the store encrypts what it keeps: `bucket` (as the bucket is set up), `store` (SSE-S3), or `kms:KEY` with the id, ARN or alias of a key (SSE-KMS).",
)
.default("bucket");

/// The settings of the store.
pub const SETTINGS: &[Setting] = &[
    S3_BUCKET,
    S3_ENDPOINT,
    S3_REGION,
    S3_PATH_STYLE,
    S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY,
    S3_CA,
    S3_ENCRYPTION,
];

/// Which bucket, where, and how.
///
/// # Errors
/// What is wrong with the settings.
pub fn config(config: &Config) -> Result<S3Config, Failure> {
    let mut s3 = S3Config::new(config.text(&S3_BUCKET)?);
    s3.endpoint = config.optional_text(&S3_ENDPOINT);
    s3.region = config.optional_text(&S3_REGION);
    s3.path_style = if config.is_set(&S3_PATH_STYLE) {
        config.flag(&S3_PATH_STYLE)?
    } else {
        s3.endpoint.is_some()
    };
    if let Some(access_key_id) = config.optional_text(&S3_ACCESS_KEY_ID) {
        let secret = config
            .secret(&S3_SECRET_ACCESS_KEY)
            .ok_or_else(|| S3_SECRET_ACCESS_KEY.missing())?;
        s3.credentials = Some(Credentials {
            access_key_id,
            secret_access_key: Arc::new(secret.reader()),
        });
    }
    s3.authorities = config
        .path(&S3_CA)
        .map(|file| Authorities::read(&file))
        .transpose()
        .map_err(Failure::part)?;
    let encryption = config.text(&S3_ENCRYPTION)?;
    s3.encryption = match (encryption.as_str(), encryption.strip_prefix("kms:")) {
        ("bucket", _) => Encryption::Bucket,
        ("store", _) => Encryption::Store,
        (_, Some(key)) if !key.is_empty() => Encryption::Kms {
            key: key.to_owned(),
        },
        _ => {
            return Err(SettingError::Invalid {
                name: S3_ENCRYPTION.name.to_owned(),
                found: format!("\"{encryption}\""),
                wanted: "bucket, store or kms:KEY".to_owned(),
            }
            .into());
        }
    };
    Ok(s3)
}

/// How long it is taken for granted that a bucket that could be written to still can.
const WRITABLE_FOR: Duration = Duration::from_secs(30);

/// What a service has to be able to do with the bucket, to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Read it.
    Read,
    /// Read it, and have been able to write to it once: a service that was put in place with too few
    /// rights is noticed, and one that answers on while nothing can be written isn't taken away.
    WriteOnce,
    /// Write to it.
    Write,
}

/// Whether the bucket is there, can be used as it has to be, and its store writes on a condition.
#[derive(Debug)]
pub struct StoreCheck {
    archive: Arc<S3Archive>,
    needs: Needs,
    /// When it could last be written to.
    written: Mutex<Option<Instant>>,
}

impl StoreCheck {
    /// Checks that what a service `needs` can be done.
    #[must_use]
    pub fn new(archive: Arc<S3Archive>, needs: Needs) -> Self {
        Self {
            archive,
            needs,
            written: Mutex::default(),
        }
    }

    async fn write(&self) -> Result<(), ArchiveError> {
        let mut written = self.written.lock().await;
        let known = match (self.needs, *written) {
            (Needs::Read, _) | (Needs::WriteOnce, Some(_)) => true,
            (Needs::Write, Some(at)) => at.elapsed() < WRITABLE_FOR,
            (_, None) => false,
        };
        if known {
            return Ok(());
        }
        match self.archive.check_writable().await {
            // Who may write is told of that when there is something to write.
            Ok(()) | Err(ArchiveError::Full { .. }) => {
                *written = Some(Instant::now());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn both(&self) -> Result<(), ArchiveError> {
        self.archive.check().await?;
        self.write().await
    }
}

/// With what the bucket said.
fn told(error: &ArchiveError) -> String {
    std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[async_trait]
impl Check for StoreCheck {
    fn name(&self) -> &'static str {
        "s3"
    }

    async fn check(&self) -> Result<(), String> {
        self.both().await.map_err(|error| told(&error))
    }
}
