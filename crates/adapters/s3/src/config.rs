//! Which bucket, where, and as whom.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_s3::{Client, config::Credentials as SdkCredentials, types::ServerSideEncryption};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::authorities::Authorities;

/// How often a request is tried in all before its failure is told.
const ATTEMPTS: u32 = 5;

/// How long a connection may take, …
const CONNECT: Duration = Duration::from_secs(5);
/// … and one attempt at a request: a part of an upload over a slow line takes its time.
const ATTEMPT: Duration = Duration::from_secs(120);

/// Bytes of one part of an upload.
const PART_BYTES: usize = 8 * 1_024 * 1_024;

/// How long a secret key is used before it is asked for again.
const KEY_LIFE: Duration = Duration::from_secs(60);

/// The secret half of a pair of keys as it is now, or why there is none.
pub type SecretKey = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// A pair of keys. Only for stores that hand out nothing better.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half, asked for every minute; never printed.
    pub secret_access_key: SecretKey,
}

impl Credentials {
    /// Keys that stay as they are.
    #[must_use]
    pub fn fixed(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        let secret = secret_access_key.into();
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Arc::new(move || Ok(secret.clone())),
        }
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(match (self.secret_access_key)() {
            Ok(secret) => Ok(SdkCredentials::new(
                &self.access_key_id,
                secret,
                None,
                Some(SystemTime::now() + KEY_LIFE),
                "speakr's settings",
            )),
            Err(reason) => Err(CredentialsError::provider_error(reason)),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// How the store encrypts what it keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket is set up.
    #[default]
    Bucket,
    /// With the store's own key (SSE-S3).
    Store,
    /// With this key of the key management service (SSE-KMS).
    Kms {
        /// Its id, ARN or alias.
        key: String,
    },
}

impl Encryption {
    pub(crate) fn header(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::Bucket => (None, None),
            Self::Store => (Some(ServerSideEncryption::Aes256), None),
            Self::Kms { key } => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
        }
    }
}

/// Which bucket, where, and as whom.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The bucket's name. It must be there.
    pub bucket: String,
    /// URL of the store; AWS's own where absent.
    pub endpoint: Option<String>,
    /// Its region; from the environment or profile where absent.
    pub region: Option<String>,
    /// Whether the bucket goes into the path instead of the host name, as most stores other than
    /// AWS want it.
    pub path_style: bool,
    /// As whom; AWS's default chain (environment, profile, web identity, container, instance)
    /// where absent.
    pub credentials: Option<Credentials>,
    /// How the store encrypts.
    pub encryption: Encryption,
    /// Who vouches for the store's certificate, beside those whom the system trusts.
    pub authorities: Option<Authorities>,
    /// Bytes of one part of an upload, at least 5 MiB; larger sounds get larger parts.
    pub part_bytes: usize,
}

impl S3Config {
    /// `bucket` on AWS, with the default credential chain.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            region: None,
            path_style: false,
            credentials: None,
            encryption: Encryption::default(),
            authorities: None,
            part_bytes: PART_BYTES,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(Authorities::context(self.authorities.as_ref()))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .build(),
            );
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(keys) = &self.credentials {
            loader = loader.credentials_provider(keys.clone());
        }
        let shared = loader.load().await;
        let mut config =
            aws_sdk_s3::config::Builder::from(&shared).force_path_style(self.path_style);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Client::from_conf(config.build())
    }
}
