//! The store of record: a bucket.

use std::sync::Arc;

use async_trait::async_trait;
use speakr_s3::{Credentials, Encryption, S3Archive, S3Config};
use speakr_service::{
    config::{Config, Kind, Setting, SettingError},
    health::Check,
};

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

/// Whether the bucket is there and can be read, and its store writes on a condition.
#[derive(Debug)]
pub struct StoreCheck(pub Arc<S3Archive>);

#[async_trait]
impl Check for StoreCheck {
    fn name(&self) -> &'static str {
        "s3"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.check().await.map_err(|error| error.to_string())
    }
}
