//! The settings of this service.

use std::{path::PathBuf, time::Duration};

use speakr_core::ports::sound::Device;
use speakr_ffmpeg::DecodeLimits;
use speakr_nats::streams::StreamSettings;
use speakr_openai::OpenAiEngine;
use speakr_platform::{Failure, openai};
use speakr_service::{
    ServiceError,
    config::{Config, Kind, Setting},
};

use crate::{Limits, engine::EngineConfig};

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
const EVENTS_MAX_MB: Setting = Setting::new(
    "SPEAKR_EVENTS_MAX_MB",
    Kind::Number {
        min: 1,
        max: 1_000_000,
    },
    "Most megabytes of events of the last seven days; when there are more, the oldest go.",
)
.default("1024");
const DEAD_LETTER_MAX_MB: Setting = Setting::new(
    "SPEAKR_DEAD_LETTER_MAX_MB",
    Kind::Number {
        min: 1,
        max: 1_000_000,
    },
    "Most megabytes of dead letters of the last thirty days; when there are more, the oldest go.",
)
.default("1024");
const MODEL: Setting = Setting::new(
    "SPEAKR_MODEL",
    Kind::Text,
    "The speech model by its id in the registry, with `SPEAKR_ENGINE=local`.",
)
.default("tiny.en-q8_0-speakr");
const ENGINE: Setting = Setting::new(
    "SPEAKR_ENGINE",
    Kind::Choice(&["local", "openai"]),
    "What makes text: a model in this program, or the API at `OPENAI_BASE_URL`, which then gets the sound.",
)
.default("local");
const OPENAI_TRANSCRIPTION_MODEL: Setting = Setting::new(
    "OPENAI_TRANSCRIPTION_MODEL",
    Kind::Text,
    "The API's model of speech, with `SPEAKR_ENGINE=openai`.",
)
.default("whisper-1");
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

const MAX_SOUND: Setting = Setting::new(
    "SPEAKR_MAX_SOUND",
    Kind::Duration,
    "Longest sound that a file may hold: a few kilobytes can claim days of it.",
)
.default("24h");

const SCRATCH: Setting = Setting::new(
    "SPEAKR_SCRATCH_DIR",
    Kind::Path,
    "Where files lie while they are worked on; the system's folder for temporary files where it isn't set.",
);

/// The settings of this service beside the common ones and those of the bus, the store and the API.
pub const TABLE: &[Setting] = &[
    STREAM_REPLICAS,
    COMMANDS_MAX_MB,
    AUDIO_MAX_MB,
    EVENTS_MAX_MB,
    DEAD_LETTER_MAX_MB,
    ENGINE,
    MODEL,
    OPENAI_TRANSCRIPTION_MODEL,
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
    MAX_SOUND,
    SCRATCH,
];

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
        events_max_bytes: megabytes(&EVENTS_MAX_MB)?,
        dead_letter_max_bytes: megabytes(&DEAD_LETTER_MAX_MB)?,
    })
}

/// Which model, and how much of the machine it may use.
///
/// # Errors
/// What is wrong with the settings.
pub fn engine(config: &Config) -> Result<EngineConfig, Failure> {
    let api = match config.text(&ENGINE)?.as_str() {
        "openai" => Some(OpenAiEngine::new(
            openai::client(config)?,
            &config.text(&OPENAI_TRANSCRIPTION_MODEL)?,
        )),
        _ => None,
    };
    Ok(EngineConfig {
        model: config.text(&MODEL)?,
        api,
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

/// The ffmpeg program, where one is named.
#[must_use]
pub fn ffmpeg(config: &Config) -> Option<PathBuf> {
    config.path(&FFMPEG)
}

/// Bounds of decoding a file.
///
/// # Errors
/// What is wrong with the settings.
pub fn decode_limits(config: &Config) -> Result<DecodeLimits, ServiceError> {
    Ok(DecodeLimits {
        sound: config.duration(&MAX_SOUND)?,
        ..DecodeLimits::default()
    })
}

/// Where files lie while they are worked on.
#[must_use]
pub fn scratch(config: &Config) -> PathBuf {
    config.path(&SCRATCH).unwrap_or_else(std::env::temp_dir)
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
