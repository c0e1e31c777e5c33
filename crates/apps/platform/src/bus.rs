//! The bus: NATS JetStream.

use async_trait::async_trait;
use speakr_nats::{Bus, BusConfig, BusError, Identity, Queue, Renewed, TlsFiles};
use speakr_service::{
    Service,
    config::{Config, Kind, Setting},
    health::Check,
};
use tokio_util::sync::CancellationToken;

use crate::{Failure, waiting};

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
const NATS_NKEY: Setting = Setting::new(
    "NATS_NKEY",
    Kind::Text,
    "Seed of an nkey for the bus; asked for at each connection.",
)
.secret();
const NATS_USER: Setting = Setting::new("NATS_USER", Kind::Text, "User of the bus.");
const NATS_PASSWORD: Setting = Setting::new(
    "NATS_PASSWORD",
    Kind::Text,
    "Password of `NATS_USER`; asked for at each connection.",
)
.secret();
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
    "First part of the subjects on which answers come. Where it isn't set: `_INBOX_` and the name of this service's user in the shipped server config, which lets each user listen on its own alone.",
);

/// The settings of the bus.
pub const SETTINGS: &[Setting] = &[
    NATS_URL,
    NATS_CREDS,
    NATS_NKEY,
    NATS_USER,
    NATS_PASSWORD,
    NATS_CA,
    NATS_CERT,
    NATS_KEY,
    NATS_INBOX_PREFIX,
];

/// How the service `name` reaches the bus; `user` is its user in the shipped server config.
///
/// # Errors
/// What is wrong with the settings.
pub fn config(config: &Config, name: &str, user: &str) -> Result<BusConfig, Failure> {
    let mut bus = BusConfig::new(&config.text(&NATS_URL)?, name);
    bus.identity = match (
        config.path(&NATS_CREDS),
        config.secret(&NATS_NKEY),
        config.optional_text(&NATS_USER),
    ) {
        (Some(file), _, _) => Identity::CredentialsFile(file),
        (None, Some(seed), _) => Identity::Nkey(Renewed::new(seed.reader())),
        (None, None, Some(user)) => Identity::Password {
            user,
            password: config.secret(&NATS_PASSWORD).map_or_else(
                || Renewed::fixed(""),
                |secret| Renewed::new(secret.reader()),
            ),
        },
        (None, None, None) => Identity::Anonymous,
    };
    bus.tls = TlsFiles {
        ca: config.path(&NATS_CA),
        client: config.path(&NATS_CERT).zip(config.path(&NATS_KEY)),
    };
    bus.inbox_prefix = Some(
        config
            .optional_text(&NATS_INBOX_PREFIX)
            .unwrap_or_else(|| format!("_INBOX_{user}")),
    );
    bus.start_without_server = true;
    Ok(bus)
}

/// Does `open` until it succeeds or `stop` is cancelled: a service may be there before its bus, or
/// before who makes the streams.
pub async fn until_open<T>(
    stop: &CancellationToken,
    open: impl AsyncFn() -> Result<T, BusError>,
) -> Option<T> {
    waiting::until(stop, "the bus", open).await
}

/// Runs `service` until it is asked to end and its tasks are done; its last answers go out over `bus`
/// before the connection does.
///
/// # Errors
/// [`Failure::Service`] when tasks weren't done in time.
pub async fn end(service: Service, bus: &Bus) -> Result<(), Failure> {
    let ended = service.run_to_end().await;
    if let Err(error) = bus.close().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "closing the bus");
    }
    Ok(ended?)
}

/// Whether the bus is there.
#[derive(Debug)]
pub struct BusCheck(pub Bus);

#[async_trait]
impl Check for BusCheck {
    fn name(&self) -> &'static str {
        "nats"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.check().await.map_err(|error| error.to_string())
    }
}

/// Whether the queues are there that work comes from: a bus can be well and have lost them.
#[derive(Debug)]
pub struct QueueCheck(pub Vec<Queue>);

#[async_trait]
impl Check for QueueCheck {
    fn name(&self) -> &'static str {
        "queues"
    }

    async fn check(&self) -> Result<(), String> {
        for queue in &self.0 {
            match queue.is_there().await {
                Ok(true) => {}
                Ok(false) => return Err(format!("the queue \"{}\" is gone", queue.name())),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
}
