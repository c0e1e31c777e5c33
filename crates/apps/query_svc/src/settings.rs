//! The settings of this service, beside those of its parts.

use std::{path::PathBuf, time::Duration};

use speakr_ffmpeg::DecodeLimits;
use speakr_http::{ApiConfig, Hosts};
use speakr_platform::Failure;
use speakr_service::config::{Config, Kind, Setting};

pub(crate) const API_ADDR: Setting = Setting::new(
    "SPEAKR_API_ADDR",
    Kind::Address,
    "Where the API is served. It isn't encrypted here: what is in front of it does that.",
)
.default("0.0.0.0:8080");
const ALLOWED_ORIGINS: Setting = Setting::new(
    "SPEAKR_API_ALLOWED_ORIGINS",
    Kind::Text,
    "Origins whose web pages may ask, separated by commas, as in `https://notes.example`.",
);
const ALLOWED_HOSTS: Setting = Setting::new(
    "SPEAKR_API_HOSTS",
    Kind::Text,
    "Names that are answered to, separated by commas, without port; all where it isn't set.",
);
const MAX_UPLOAD: Setting = Setting::new(
    "SPEAKR_API_MAX_UPLOAD_BYTES",
    Kind::Number {
        min: 1,
        max: u64::MAX,
    },
    "Most bytes of a file to transcribe, with its form.",
)
.default("2000000000");
const MAX_UPLOADS: Setting = Setting::new(
    "SPEAKR_API_MAX_UPLOADS",
    Kind::Number {
        min: 1,
        max: 100_000,
    },
    "Uploads that are worked on at a time; more are refused with a time to ask again.",
)
.default("64");
const RATE: Setting = Setting::new(
    "SPEAKR_API_REQUESTS_PER_SECOND",
    Kind::Number {
        min: 1,
        max: 1_000_000,
    },
    "Requests a second of one token, in the long run; twice as many at once.",
)
.default("200");
const TIMEOUT: Setting = Setting::new(
    "SPEAKR_API_TIMEOUT",
    Kind::Duration,
    "How long an answer may take.",
)
.default("30s");
const TRANSCRIPTION_TIMEOUT: Setting = Setting::new(
    "SPEAKR_API_TRANSCRIPTION_TIMEOUT",
    Kind::Duration,
    "How long the text of a file may take, upload included.",
)
.default("1h");
const SCRATCH: Setting = Setting::new(
    "SPEAKR_SCRATCH_DIR",
    Kind::Path,
    "Where uploads lie while they are worked on; the system's folder for temporary files where it isn't set.",
);
const FFMPEG: Setting = Setting::new(
    "SPEAKR_FFMPEG",
    Kind::Path,
    "The ffmpeg program, which reads uploads that are too large for one message; the one on `PATH` where not set.",
);

const MAX_SOUND: Setting = Setting::new(
    "SPEAKR_MAX_SOUND",
    Kind::Duration,
    "Longest sound that a file may hold: a few kilobytes can claim days of it.",
)
.default("24h");

const RETENTION: Setting = Setting::new(
    "SPEAKR_RETENTION_DAYS",
    Kind::Number {
        min: 1,
        max: u32::MAX as u64,
    },
    "Recordings older than so many days are deleted, sound and text; none where it isn't set.",
);

const SWEEP_AFTER: Setting = Setting::new(
    "SPEAKR_SWEEP_AFTER",
    Kind::Duration,
    "What is to go and is left by whoever was at it (a process that was killed) is deleted after so long.",
)
.default("5m");

/// The settings of serving.
pub(crate) const TABLE: &[Setting] = &[
    API_ADDR,
    ALLOWED_ORIGINS,
    ALLOWED_HOSTS,
    MAX_UPLOAD,
    MAX_UPLOADS,
    RATE,
    TIMEOUT,
    TRANSCRIPTION_TIMEOUT,
    SCRATCH,
    FFMPEG,
    MAX_SOUND,
    RETENTION,
    SWEEP_AFTER,
];

/// How the API is limited.
pub(crate) fn api(config: &Config, scratch: PathBuf) -> Result<ApiConfig, Failure> {
    let rate = u32::try_from(config.number(&RATE)?).unwrap_or(u32::MAX);
    Ok(ApiConfig {
        hosts: match list(config, &ALLOWED_HOSTS) {
            hosts if hosts.is_empty() => Hosts::Any,
            hosts => Hosts::Only(hosts),
        },
        allowed_origins: list(config, &ALLOWED_ORIGINS),
        max_upload_bytes: config.number(&MAX_UPLOAD)?,
        max_uploads: usize::try_from(config.number(&MAX_UPLOADS)?).unwrap_or(usize::MAX),
        requests_per_second: rate,
        burst: rate.saturating_mul(2),
        timeout: at_least_a_second(config.duration(&TIMEOUT)?),
        transcription_timeout: at_least_a_second(config.duration(&TRANSCRIPTION_TIMEOUT)?),
        scratch,
        ..ApiConfig::default()
    })
}

/// Where uploads lie.
pub(crate) fn scratch(config: &Config) -> PathBuf {
    config.path(&SCRATCH).unwrap_or_else(std::env::temp_dir)
}

/// The ffmpeg program, where one is named.
pub(crate) fn ffmpeg(config: &Config) -> Option<PathBuf> {
    config.path(&FFMPEG)
}

/// After how many days recordings go, where they do.
pub(crate) fn retention_days(config: &Config) -> Result<Option<u32>, Failure> {
    if config.optional_text(&RETENTION).is_none() {
        return Ok(None);
    }
    Ok(u32::try_from(config.number(&RETENTION)?).ok())
}

/// How long nobody has looked after what is to go before it is swept away.
pub(crate) fn sweep_after(config: &Config) -> Result<Duration, Failure> {
    Ok(at_least_a_second(config.duration(&SWEEP_AFTER)?))
}

/// Bounds of decoding an upload.
pub(crate) fn decode_limits(config: &Config) -> Result<DecodeLimits, Failure> {
    Ok(DecodeLimits {
        sound: config.duration(&MAX_SOUND)?,
        ..DecodeLimits::default()
    })
}

fn at_least_a_second(time: Duration) -> Duration {
    time.max(Duration::from_secs(1))
}

fn list(config: &Config, setting: &Setting) -> Vec<String> {
    config
        .optional_text(setting)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]

    use speakr_platform::{bus, database, embedder, openai, store};

    #[test]
    fn the_document_of_the_settings_is_up_to_date() {
        let wanted = speakr_service::config::markdown(
            "Settings of speakr-query-svc",
            "Beside [those of every service](common.md). Read from the environment. `token` reads \
             those of the database alone.",
            &[
                bus::SETTINGS,
                store::SETTINGS,
                database::SETTINGS,
                openai::SETTINGS,
                embedder::SETTINGS,
                super::TABLE,
            ]
            .concat(),
        );
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/config/query_svc.md"
        );
        if std::env::var_os("SPEAKR_UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, wanted, "SPEAKR_UPDATE_DOCS=1 writes {path} anew");
    }
}
