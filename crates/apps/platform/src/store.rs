//! The store of record: a bucket.

use std::sync::Arc;

use async_trait::async_trait;
use speakr_s3::{Encryption, S3Archive, S3Config};
use speakr_service::{
    config::{Config, Kind, Setting},
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
    "The store, where it isn't AWS's own.",
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
const S3_ENCRYPTION: Setting = Setting::new(
    "S3_ENCRYPTION",
    Kind::Choice(&["bucket", "store", "kms"]),
    "How the store encrypts: as the bucket is set up, with its own key, or with that of `S3_KMS_KEY`.",
)
.default("bucket");
const S3_KMS_KEY: Setting = Setting::new(
    "S3_KMS_KEY",
    Kind::Text,
    "Id, ARN or alias of the key, with `S3_ENCRYPTION=kms`.",
);

/// The settings of the store. Credentials come by AWS's own ways (`AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`, a profile, web identity, container or instance).
pub const SETTINGS: &[Setting] = &[
    S3_BUCKET,
    S3_ENDPOINT,
    S3_REGION,
    S3_PATH_STYLE,
    S3_ENCRYPTION,
    S3_KMS_KEY,
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
    s3.encryption = match config.text(&S3_ENCRYPTION)?.as_str() {
        "store" => Encryption::Store,
        "kms" => Encryption::Kms {
            key: config.text(&S3_KMS_KEY)?,
        },
        _ => Encryption::Bucket,
    };
    Ok(s3)
}

/// Whether the bucket is there and can be read.
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
