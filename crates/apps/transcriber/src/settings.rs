//! The settings of this service.

use std::{path::PathBuf, time::Duration};

use speakr_core::ports::sound::Device;
use speakr_nats::{BusConfig, Identity, TlsFiles, streams::StreamSettings};
use speakr_s3::{Credentials, Encryption, S3Config};
use speakr_service::{
    ServiceError,
    config::{Config, Kind, Setting, SettingError},
};

use crate::{Limits, engine::EngineConfig};

const NATS_URL: Setting = Setting::new(
    "NATS_URL",
    Kind::Text,
    "Servers of the bus, separated by commas: `nats://`, `tls://`, `ws://` or `wss://`.",
)
.required();
const NATS_CREDS: Setting = Setting::new(
    "NATS_CREDS",
    Kind::Path,
    "Credentials file (JWT and seed) for the bus.",
);
const NATS_NKEY: Setting =
    Setting::new("NATS_NKEY", Kind::Text, "Seed of an nkey for the bus.").secret();
const NATS_USER: Setting = Setting::new("NATS_USER", Kind::Text, "User of the bus.");
const NATS_PASSWORD: Setting =
    Setting::new("NATS_PASSWORD", Kind::Text, "Password of `NATS_USER`.").secret();
const NATS_CA: Setting = Setting::new(
    "NATS_CA",
    Kind::Path,
    "PEM file of who vouches for the bus's certificate; the system's own where not set. Turns TLS on.",
);
const NATS_CERT: Setting = Setting::new(
    "NATS_CERT",
    Kind::Path,
    "PEM file of our certificate, where the bus asks for one.",
);
const NATS_KEY: Setting = Setting::new(
    "NATS_KEY",
    Kind::Path,
    "PEM file of the key of `NATS_CERT`.",
);
const NATS_INBOX_PREFIX: Setting = Setting::new(
    "NATS_INBOX_PREFIX",
    Kind::Text,
    "First part of the subjects on which answers come. The shipped server config lets each user listen on its own alone.",
)
.default("_INBOX_transcriber");
const STREAM_REPLICAS: Setting = Setting::new(
    "SPEAKR_STREAM_REPLICAS",
    Kind::Number { min: 1, max: 5 },
    "Copies of each message that the bus keeps.",
)
.default("1");
const COMMANDS_MAX_MB: Setting = Setting::new(
    "SPEAKR_COMMANDS_MAX_MB",
    Kind::Number {
        min: 1,
        max: 1_000_000,
    },
    "Most megabytes of waiting commands; more are refused.",
)
.default("1024");
const AUDIO_MAX_MB: Setting = Setting::new(
    "SPEAKR_AUDIO_MAX_MB",
    Kind::Number {
        min: 1,
        max: 1_000_000,
    },
    "Most megabytes of sound that isn't in the store of record yet; more is refused.",
)
.default("4096");
const S3_BUCKET: Setting = Setting::new(
    "S3_BUCKET",
    Kind::Text,
    "Bucket of the store of record. It must be there, and keep versions if deletions are to be provable.",
)
.required();
const S3_ENDPOINT: Setting = Setting::new(
    "S3_ENDPOINT",
    Kind::Text,
    "URL of the store; AWS's own where not set.",
);
const S3_REGION: Setting = Setting::new(
    "S3_REGION",
    Kind::Text,
    "Region of the store; as AWS's own tools find it (`AWS_REGION`, the profile) where not set.",
);
const S3_PATH_STYLE: Setting = Setting::new(
    "S3_PATH_STYLE",
    Kind::Flag,
    "Whether the bucket goes into the path instead of the host name, as most stores other than AWS's want it.",
)
.default("0");
const S3_ACCESS_KEY_ID: Setting = Setting::new(
    "S3_ACCESS_KEY_ID",
    Kind::Text,
    "Access key; AWS's default chain (environment, profile, web identity, container, instance) where not set.",
);
const S3_SECRET_ACCESS_KEY: Setting = Setting::new(
    "S3_SECRET_ACCESS_KEY",
    Kind::Text,
    "Secret of `S3_ACCESS_KEY_ID`.",
)
.secret();
const S3_ENCRYPTION: Setting = Setting::new(
    "S3_ENCRYPTION",
    Kind::Text,
    "How the store encrypts what it keeps: `bucket` (as the bucket is set up), `store` (SSE-S3), or `kms:KEY` with the id, ARN or alias of a key (SSE-KMS).",
)
.default("bucket");
const MODEL: Setting = Setting::new(
    "SPEAKR_MODEL",
    Kind::Text,
    "The speech model, by its id in the registry.",
)
.default("tiny.en-q8_0-speakr");
const MODELS_DIR: Setting = Setting::new(
    "SPEAKR_MODELS_DIR",
    Kind::Path,
    "Folder of models beside those that are built in. Nothing is downloaded.",
)
.default("/models");
const DECODERS: Setting = Setting::new(
    "SPEAKR_DECODERS",
    Kind::Number { min: 1, max: 256 },
    "Pieces of sound decoded at a time, and runs worked on at a time; as many as there are cores where not set.",
);
const THREADS: Setting = Setting::new(
    "SPEAKR_THREADS",
    Kind::Number { min: 1, max: 256 },
    "Threads that one decode may use.",
)
.default("1");
const RECORDINGS: Setting = Setting::new(
    "SPEAKR_RECORDINGS",
    Kind::Number {
        min: 1,
        max: 10_000,
    },
    "Recordings held at a time; more wait for another replica.",
)
.default("64");
const MAX_ATTEMPTS: Setting = Setting::new(
    "SPEAKR_MAX_ATTEMPTS",
    Kind::Number { min: 1, max: 1_000 },
    "How often a command is tried before it is put among the dead letters.",
)
.default("5");
const ACK_WAIT: Setting = Setting::new(
    "SPEAKR_ACK_WAIT",
    Kind::Duration,
    "A command is handed to another replica when nothing is heard of it for so long.",
)
.default("30s");
const CLIENT_PATIENCE: Setting = Setting::new(
    "SPEAKR_CLIENT_PATIENCE",
    Kind::Duration,
    "A client that sends nothing for so long has its recording finished.",
)
.default("60s");
const HOST_CAPTURE: Setting = Setting::new(
    "SPEAKR_HOST_CAPTURE",
    Kind::Flag,
    "Whether a recording may be made with the microphone of this machine. Only where one replica runs.",
)
.default("0");
const HOST_DEVICE: Setting = Setting::new(
    "SPEAKR_HOST_DEVICE",
    Kind::Text,
    "Which microphone that is, as `speakr doctor` lists them; the system's own choice where not set. `file:PATH` plays a file in its place.",
);
const SWEEP_EVERY: Setting = Setting::new(
    "SPEAKR_SWEEP_EVERY",
    Kind::Duration,
    "How often sound is looked for in the bus that nobody needs any more: what came after its recording was kept or cancelled.",
)
.default("60s");
const FFMPEG: Setting = Setting::new(
    "SPEAKR_FFMPEG",
    Kind::Path,
    "The ffmpeg program; the one on `PATH` where not set.",
);

/// The settings of this service beside the common ones.
pub const TABLE: &[Setting] = &[
    NATS_URL,
    NATS_CREDS,
    NATS_NKEY,
    NATS_USER,
    NATS_PASSWORD,
    NATS_CA,
    NATS_CERT,
    NATS_KEY,
    NATS_INBOX_PREFIX,
    STREAM_REPLICAS,
    COMMANDS_MAX_MB,
    AUDIO_MAX_MB,
    S3_BUCKET,
    S3_ENDPOINT,
    S3_REGION,
    S3_PATH_STYLE,
    S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY,
    S3_ENCRYPTION,
    MODEL,
    MODELS_DIR,
    DECODERS,
    THREADS,
    RECORDINGS,
    MAX_ATTEMPTS,
    ACK_WAIT,
    CLIENT_PATIENCE,
    HOST_CAPTURE,
    HOST_DEVICE,
    SWEEP_EVERY,
    FFMPEG,
];

fn secret(config: &Config, setting: &Setting) -> Result<Option<String>, ServiceError> {
    let Some(secret) = config.secret(setting) else {
        return Ok(None);
    };
    let text = secret
        .current()
        .map_err(|e| ServiceError::Setting(e.into()))?;
    Ok(Some(text.expose().to_owned()))
}

/// How to reach the bus.
///
/// # Errors
/// What is wrong with the settings.
pub fn bus(config: &Config) -> Result<BusConfig, ServiceError> {
    let mut bus = BusConfig::new(&config.text(&NATS_URL)?, "speakr-transcriber");
    bus.identity = match (
        config.path(&NATS_CREDS),
        secret(config, &NATS_NKEY)?,
        config.optional_text(&NATS_USER),
    ) {
        (Some(file), _, _) => Identity::CredentialsFile(file),
        (None, Some(seed), _) => Identity::Nkey(seed),
        (None, None, Some(user)) => Identity::Password {
            user,
            password: secret(config, &NATS_PASSWORD)?.unwrap_or_default(),
        },
        (None, None, None) => Identity::Anonymous,
    };
    bus.tls = TlsFiles {
        ca: config.path(&NATS_CA),
        client: config.path(&NATS_CERT).zip(config.path(&NATS_KEY)),
    };
    bus.inbox_prefix = Some(config.text(&NATS_INBOX_PREFIX)?);
    bus.start_without_server = true;
    Ok(bus)
}

/// How the streams are to be.
///
/// # Errors
/// What is wrong with the settings.
pub fn streams(config: &Config) -> Result<StreamSettings, ServiceError> {
    let megabytes = |setting| -> Result<i64, ServiceError> {
        let number = i64::try_from(config.number(setting)?).unwrap_or(i64::MAX);
        Ok(number.saturating_mul(1024 * 1024))
    };
    Ok(StreamSettings {
        replicas: whole(config.number(&STREAM_REPLICAS)?),
        commands_max_bytes: megabytes(&COMMANDS_MAX_MB)?,
        audio_max_bytes: megabytes(&AUDIO_MAX_MB)?,
        ..StreamSettings::default()
    })
}

/// Which model, and how much of the machine it may use.
///
/// # Errors
/// What is wrong with the settings.
pub fn engine(config: &Config) -> Result<EngineConfig, ServiceError> {
    Ok(EngineConfig {
        model: config.text(&MODEL)?,
        models_dir: config.path(&MODELS_DIR).unwrap_or_default(),
        decoders: decoders(config)?,
        threads: whole(config.number(&THREADS)?),
    })
}

fn decoders(config: &Config) -> Result<usize, ServiceError> {
    if config.is_set(&DECODERS) {
        return Ok(whole(config.number(&DECODERS)?));
    }
    Ok(std::thread::available_parallelism().map_or(1, usize::from))
}

/// How much this replica takes on. A run may go on for most of `deadline` at the end.
///
/// # Errors
/// What is wrong with the settings.
pub fn limits(config: &Config, deadline: Duration) -> Result<Limits, ServiceError> {
    Ok(Limits {
        recordings: whole(config.number(&RECORDINGS)?),
        runs: decoders(config)?,
        max_attempts: config.number(&MAX_ATTEMPTS)?,
        ack_wait: config.duration(&ACK_WAIT)?,
        sweep_every: config.duration(&SWEEP_EVERY)?,
        run_grace: deadline.mul_f64(0.7),
    })
}

/// A client that sends nothing for so long has its recording finished.
///
/// # Errors
/// What is wrong with the setting.
pub fn client_patience(config: &Config) -> Result<Duration, ServiceError> {
    Ok(config.duration(&CLIENT_PATIENCE)?)
}

/// The microphone of this machine, where a recording may be made with it.
///
/// # Errors
/// What is wrong with the settings.
pub fn host_device(config: &Config) -> Result<Option<Device>, ServiceError> {
    if !config.flag(&HOST_CAPTURE)? {
        return Ok(None);
    }
    let name = config.optional_text(&HOST_DEVICE);
    Ok(Some(name.map_or(
        Device::Default,
        |name| match name.strip_prefix("file:") {
            Some(path) => Device::File(PathBuf::from(path)),
            None => Device::Named(name),
        },
    )))
}

/// The store of record.
///
/// # Errors
/// What is wrong with the settings.
pub fn store(config: &Config) -> Result<S3Config, ServiceError> {
    let mut store = S3Config::new(config.text(&S3_BUCKET)?);
    store.endpoint = config.optional_text(&S3_ENDPOINT);
    store.region = config.optional_text(&S3_REGION);
    store.path_style = config.flag(&S3_PATH_STYLE)?;
    store.credentials = match config.optional_text(&S3_ACCESS_KEY_ID) {
        None => None,
        Some(access_key_id) => Some(Credentials {
            access_key_id,
            secret_access_key: secret(config, &S3_SECRET_ACCESS_KEY)?.unwrap_or_default(),
        }),
    };
    let encryption = config.text(&S3_ENCRYPTION)?;
    store.encryption = match (encryption.as_str(), encryption.strip_prefix("kms:")) {
        ("bucket", _) => Encryption::Bucket,
        ("store", _) => Encryption::Store,
        (_, Some(key)) if !key.is_empty() => Encryption::Kms {
            key: key.to_owned(),
        },
        _ => {
            return Err(ServiceError::Setting(SettingError::Invalid {
                name: "S3_ENCRYPTION".to_owned(),
                found: format!("\"{encryption}\""),
                wanted: "bucket, store or kms:KEY".to_owned(),
            }));
        }
    };
    Ok(store)
}

/// The ffmpeg program, where one is named.
#[must_use]
pub fn ffmpeg(config: &Config) -> Option<PathBuf> {
    config.path(&FFMPEG)
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
