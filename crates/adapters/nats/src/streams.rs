//! Where messages lie: made when they aren't there, checked when they are.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    consumer::pull,
    context::{
        CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind,
        KeyValueErrorKind,
    },
    kv,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
};
use speakr_contract::subjects;

use crate::{bus::Bus, error::BusError};

/// Commands that wait to be worked on.
pub const COMMANDS: &str = "SPEAKR_COMMANDS";
/// Sound that isn't kept elsewhere yet.
pub const AUDIO: &str = "SPEAKR_AUDIO";
/// Events of the last days.
pub const EVENTS: &str = "SPEAKR_EVENTS";
/// Messages that can't be worked on.
pub const DEAD_LETTER: &str = "SPEAKR_DEAD_LETTER";
/// Key-value bucket: how often each message was tried.
pub const ATTEMPTS: &str = "SPEAKR_ATTEMPTS";
/// Key-value bucket: what is wanted of each recording.
pub const RECORDINGS: &str = "SPEAKR_RECORDINGS";
/// Durable consumer of commands that concern a capture.
pub const RECORDING_DURABLE: &str = "recording";
/// Durable consumer of commands that take as long as the sound is.
pub const RUN_DURABLE: &str = "run";
/// Durable consumer of events that change what can be found.
pub const EMBEDDER_DURABLE: &str = "embedder";

/// Within this time a message with a known `Nats-Msg-Id` is dropped.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// The same for events: a replica that goes on with an hour-long recording tells again what the
/// one before it has told.
pub const EVENTS_DUPLICATE_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How long events are kept.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long dead letters are kept.
const DEAD_LETTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Within this time a message is put among them once.
const DEAD_LETTERS_DUPLICATE_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How long counts of attempts are kept: longer than any command waits.
const ATTEMPTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long it is known what was wanted of a recording: longer than a recording is.
const INTENTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Level at which a stream that refuses messages when full is worth an alarm.
pub const ALARM_LEVEL: f64 = 0.7;

/// What the operator decides of the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// Copies of each message: 1, 3 or 5.
    pub replicas: usize,
    /// Most bytes of waiting commands; more are refused.
    pub commands_max_bytes: i64,
    /// Most bytes of sound that isn't kept yet; more is refused.
    pub audio_max_bytes: i64,
    /// Most bytes of events; older ones go.
    pub events_max_bytes: i64,
    /// Most bytes of dead letters; older ones go.
    pub dead_letter_max_bytes: i64,
}

impl Default for StreamSettings {
    fn default() -> Self {
        const GIB: i64 = 1024 * 1024 * 1024;
        Self {
            replicas: 1,
            commands_max_bytes: GIB,
            audio_max_bytes: 4 * GIB,
            events_max_bytes: GIB,
            dead_letter_max_bytes: GIB,
        }
    }
}

/// The part of a stream in which there is no room to speak of: a message is a hundred milliseconds of
/// sound or some seconds.
const LAST_ROOM: u64 = 100;

/// How full a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Which stream.
    pub stream: &'static str,
    /// Bytes in it.
    pub bytes: u64,
    /// Most bytes that it takes.
    pub max_bytes: u64,
    /// Messages in it.
    pub messages: u64,
    /// Whether it refuses messages when full. Else its oldest go.
    pub refuses: bool,
}

impl Level {
    /// Whether somebody should look.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        // Exact to 2^53 bytes.
        #[allow(clippy::cast_precision_loss, reason = "a level needs no more")]
        let level = self.bytes as f64 / self.max_bytes.max(1) as f64;
        level >= ALARM_LEVEL
    }

    /// Whether there is as good as no room left.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.max_bytes.saturating_sub(self.bytes) < self.max_bytes / LAST_ROOM
    }
}

/// The streams as they must be.
fn wanted(settings: &StreamSettings) -> [Config; 4] {
    let base = |name: &str, subjects: &[&str], max_bytes: i64| Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        max_bytes,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::Limits,
        max_consumers: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        ..Config::default()
    };
    [
        Config {
            retention: RetentionPolicy::WorkQueue,
            description: Some("Commands that wait to be worked on".to_owned()),
            ..base(COMMANDS, &[subjects::COMMANDS], settings.commands_max_bytes)
        },
        Config {
            description: Some("Sound that isn't kept elsewhere yet".to_owned()),
            ..base(AUDIO, &[subjects::AUDIO], settings.audio_max_bytes)
        },
        Config {
            discard: DiscardPolicy::Old,
            max_age: EVENTS_KEPT,
            duplicate_window: EVENTS_DUPLICATE_WINDOW,
            description: Some("Events of the last days".to_owned()),
            // All but speakr.event.transcription.partial, which isn't stored.
            ..base(
                EVENTS,
                &[
                    "speakr.event.recording.*",
                    "speakr.event.transcription.succeeded",
                    "speakr.event.transcription.failed",
                    "speakr.event.embedding.*",
                ],
                settings.events_max_bytes,
            )
        },
        Config {
            discard: DiscardPolicy::Old,
            max_age: DEAD_LETTERS_KEPT,
            // A message whose letter is stored and whose answer isn't comes again, minutes later where
            // something hangs.
            duplicate_window: DEAD_LETTERS_DUPLICATE_WINDOW,
            description: Some("Messages that can't be worked on".to_owned()),
            ..base(
                DEAD_LETTER,
                &[subjects::DEAD_LETTERS],
                settings.dead_letter_max_bytes,
            )
        },
    ]
}

/// Makes the streams and the buckets, or checks those that are there. Limits and
/// replicas are brought to `settings`; what can't be changed must be right.
///
/// # Errors
/// [`BusError::Mismatch`] names what isn't as it must be.
pub async fn ensure(bus: &Bus, settings: &StreamSettings) -> Result<(), BusError> {
    for config in wanted(settings) {
        ensure_stream(bus, config).await?;
    }
    ensure_bucket(
        bus,
        ATTEMPTS,
        "How often each message was tried",
        ATTEMPTS_KEPT,
        settings.replicas,
    )
    .await?;
    ensure_bucket(
        bus,
        RECORDINGS,
        "What is wanted of each recording",
        INTENTS_KEPT,
        settings.replicas,
    )
    .await
}

/// Whether a stream or a bucket is gone: lost with the disk of its server, or deleted.
///
/// # Errors
/// [`BusError::Server`] when the server doesn't say.
pub async fn is_any_gone(bus: &Bus) -> Result<bool, BusError> {
    let buckets = [ATTEMPTS, RECORDINGS].map(|bucket| format!("KV_{bucket}"));
    let streams = [COMMANDS, AUDIO, EVENTS, DEAD_LETTER].map(str::to_owned);
    for name in streams.into_iter().chain(buckets) {
        match bus.jetstream().get_stream(&name).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => return Ok(true),
            Err(error) => return Err(BusError::server("read the stream", name)(error)),
        }
    }
    Ok(false)
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(e)
        if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

async fn ensure_bucket(
    bus: &Bus,
    name: &'static str,
    description: &str,
    max_age: Duration,
    replicas: usize,
) -> Result<(), BusError> {
    let context = bus.jetstream();
    match context.get_key_value(name).await {
        Ok(_) => ensure_bucket_is(bus, name, max_age, replicas).await,
        Err(error) if error.kind() == KeyValueErrorKind::GetBucket => context
            .create_key_value(kv::Config {
                bucket: name.to_owned(),
                description: description.to_owned(),
                history: 1,
                max_age,
                storage: StorageType::File,
                num_replicas: replicas,
                ..kv::Config::default()
            })
            .await
            .map(drop)
            .map_err(BusError::server("make the bucket", name)),
        Err(error) => Err(BusError::server("read the bucket", name)(error)),
    }
}

/// Brings a bucket that is there to what is wanted of it: a bucket is a stream.
async fn ensure_bucket_is(
    bus: &Bus,
    name: &'static str,
    max_age: Duration,
    replicas: usize,
) -> Result<(), BusError> {
    let of_bucket = stream(bus, &format!("KV_{name}")).await?;
    let is = of_bucket.cached_info().config.clone();
    if is.max_age == max_age && is.num_replicas == replicas {
        return Ok(());
    }
    let changed = Config {
        max_age,
        num_replicas: replicas,
        ..is
    };
    bus.jetstream()
        .update_stream(changed)
        .await
        .map(drop)
        .map_err(BusError::server("change the bucket", name))
}

async fn ensure_stream(bus: &Bus, wanted: Config) -> Result<(), BusError> {
    let context = bus.jetstream();
    let name = wanted.name.clone();
    let is = match context.get_stream(&name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => {
            if !is_missing(&error) {
                return Err(BusError::server("read the stream", name)(error));
            }
            let max_bytes = wanted.max_bytes;
            // Replicas that start together make it together: the same config again is no error.
            return match context.create_stream(wanted).await {
                Ok(_) => Ok(()),
                Err(error) if lacks_room(&error) => Err(BusError::NoRoom {
                    stream: name,
                    max_mib: max_bytes / (1024 * 1024),
                }),
                Err(error) => Err(BusError::server("make the stream", name)(error)),
            };
        }
    };
    let mismatch = |field, is: String, wanted: String| BusError::Mismatch {
        what: format!("the stream {name}"),
        field,
        is,
        wanted,
    };
    if is.retention != wanted.retention {
        return Err(mismatch(
            "retention",
            format!("{:?}", is.retention),
            format!("{:?}", wanted.retention),
        ));
    }
    if is.storage != wanted.storage {
        return Err(mismatch(
            "storage",
            format!("{:?}", is.storage),
            format!("{:?}", wanted.storage),
        ));
    }
    let same = is.max_bytes == wanted.max_bytes
        && is.num_replicas == wanted.num_replicas
        && is.discard == wanted.discard
        && is.max_age == wanted.max_age
        && is.duplicate_window == wanted.duplicate_window
        && is.subjects == wanted.subjects;
    if same {
        return Ok(());
    }
    let changed = Config {
        max_bytes: wanted.max_bytes,
        num_replicas: wanted.num_replicas,
        discard: wanted.discard,
        max_age: wanted.max_age,
        duplicate_window: wanted.duplicate_window,
        subjects: wanted.subjects,
        ..is
    };
    context
        .update_stream(changed)
        .await
        .map(drop)
        .map_err(BusError::server("change the stream", name))
}

/// Whether the server has promised its storage to other streams already.
fn lacks_room(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(e)
        if e.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED)
}

/// How full the streams are.
///
/// # Errors
/// [`BusError::Server`].
pub async fn levels(bus: &Bus) -> Result<Vec<Level>, BusError> {
    let mut levels = Vec::new();
    for name in [COMMANDS, AUDIO, EVENTS, DEAD_LETTER] {
        levels.push(level(bus, name).await?);
    }
    Ok(levels)
}

/// How full the stream `name` is.
pub(crate) async fn level(bus: &Bus, name: &'static str) -> Result<Level, BusError> {
    let stream = stream(bus, name).await?;
    let info = stream.cached_info();
    Ok(Level {
        stream: name,
        bytes: info.state.bytes,
        max_bytes: u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX),
        messages: info.state.messages,
        refuses: info.config.discard == DiscardPolicy::New,
    })
}

/// A stream that must be there.
pub(crate) async fn stream(bus: &Bus, name: &str) -> Result<Stream, BusError> {
    bus.jetstream()
        .get_stream(name)
        .await
        .map_err(BusError::server("read the stream", name))
}

/// The stream `name`, without a question to the server whether it is there: what is asked of it
/// tells.
pub(crate) async fn known_stream(bus: &Bus, name: &str) -> Result<Stream<()>, BusError> {
    bus.jetstream()
        .get_stream_no_info(name)
        .await
        .map_err(BusError::server("name the stream", name))
}

/// Makes the durable consumer, or brings its changeable parts to `wanted`.
pub(crate) async fn ensure_consumer(
    bus: &Bus,
    stream_name: &str,
    wanted: pull::Config,
) -> Result<async_nats::jetstream::consumer::Consumer<pull::Config>, BusError> {
    let name = wanted.durable_name.clone().unwrap_or_default();
    let what = format!("the consumer {stream_name}/{name}");
    // "Create" with the same name updates what may change, and refuses the rest.
    bus.jetstream()
        .create_consumer_on_stream(wanted, stream_name)
        .await
        .map_err(BusError::server("make", what))
}
