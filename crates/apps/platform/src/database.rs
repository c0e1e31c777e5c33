//! The index and the tokens: PostgreSQL with pgvector.

use std::{str::FromStr, time::Duration};

use async_trait::async_trait;
use speakr_postgres::{Database, PostgresConfig, Tls, TlsMode};
use speakr_service::{
    config::{Config, Kind, Setting},
    health::Check,
};
use tokio_util::sync::CancellationToken;

use crate::{Failure, waiting};

const DATABASE_URL: Setting = Setting::new(
    "DATABASE_URL",
    Kind::Text,
    "The database, as in `postgres://user:password@host/database`. A file with it is looked at every few seconds, for new connections.",
)
.required()
.secret();
const TLS_MODE: Setting = Setting::new(
    "DATABASE_TLS",
    Kind::Choice(&["disable", "prefer", "require", "verify-ca", "verify-full"]),
    "How the connection is encrypted and the server proves who it is, in libpq's words; where it isn't set, as the URL says, else `prefer`, which does without where the server does: a warning tells of that at the start, unless the database is on this machine.",
);
const ROOT_CERTIFICATE: Setting = Setting::new(
    "DATABASE_CA",
    Kind::Path,
    "PEM file of who vouches for the database's certificate.",
);
const CERTIFICATE: Setting = Setting::new(
    "DATABASE_CERT",
    Kind::Path,
    "PEM file of our certificate, where the database asks for one.",
);
const KEY: Setting = Setting::new(
    "DATABASE_KEY",
    Kind::Path,
    "PEM file of the key of `DATABASE_CERT`.",
);
const CONNECTIONS: Setting = Setting::new(
    "DATABASE_CONNECTIONS",
    Kind::Number { min: 1, max: 1_000 },
    "Most connections to the database.",
)
.default("10");
const STATEMENT_TIMEOUT: Setting = Setting::new(
    "DATABASE_STATEMENT_TIMEOUT",
    Kind::Duration,
    "How long a statement may take.",
)
.default("10s");

/// The settings of the database.
pub const SETTINGS: &[Setting] = &[
    DATABASE_URL,
    TLS_MODE,
    ROOT_CERTIFICATE,
    CERTIFICATE,
    KEY,
    CONNECTIONS,
    STATEMENT_TIMEOUT,
];

/// How often it is looked whether the database's settings have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How the service `name` reaches the database.
///
/// # Errors
/// What is wrong with the settings.
pub fn config(config: &Config, name: &str) -> Result<PostgresConfig, Failure> {
    let url = config
        .secret(&DATABASE_URL)
        .ok_or_else(|| DATABASE_URL.missing())?
        .current()?;
    let mut postgres = PostgresConfig::new(url.expose().trim());
    postgres.application_name = name.to_owned();
    postgres.tls = Tls {
        mode: config
            .optional_text(&TLS_MODE)
            .map(|text| TlsMode::from_str(&text))
            .transpose()
            .map_err(Failure::part)?,
        root_certificate: config.path(&ROOT_CERTIFICATE),
        client: config.path(&CERTIFICATE).zip(config.path(&KEY)),
    };
    postgres.max_connections = u32::try_from(config.number(&CONNECTIONS)?).unwrap_or(u32::MAX);
    postgres.statement_timeout = config.duration(&STATEMENT_TIMEOUT)?;
    Ok(postgres)
}

/// Connects as soon as the database is there and its schema is one for us; none once `stop` is
/// cancelled. Until then the service waits: a migration may be under way.
pub async fn until_connected(
    stop: &CancellationToken,
    config: &PostgresConfig,
) -> Option<Database> {
    let database = waiting::until(stop, "the database", async || {
        Database::connect(config).await
    })
    .await?;
    if database.can_be_overheard() {
        tracing::warn!(
            database = database.place(),
            "the connection to the database isn't encrypted, and leads over a network: who listens \
             there reads what was said. DATABASE_TLS=verify-full, with DATABASE_CA where the \
             certificate isn't a public one, encrypts it and looks who answers"
        );
    }
    Some(database)
}

/// Follows the settings of `database` until `stop`: a URL that has changed, with a new password
/// perhaps, is used for the connections made from then on.
pub async fn follow_settings(
    database: Database,
    config: Config,
    name: &'static str,
    stop: CancellationToken,
) {
    let read = || self::config(&config, name);
    let mut known = match read() {
        Ok(known) => known.url,
        Err(_) => String::new(),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = match read() {
            Ok(now) if now.url == known => continue,
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the settings of the database can't be read any more"
                );
                continue;
            }
        };
        match database.connect_from_now_on(&now) {
            Ok(()) => {
                tracing::info!("the settings of the database have changed");
                known = now.url;
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the new settings of the database can't be used"
            ),
        }
    }
}

/// Whether the database answers and its schema is one for us.
#[derive(Debug)]
pub struct DatabaseCheck(pub Database);

#[async_trait]
impl Check for DatabaseCheck {
    fn name(&self) -> &'static str {
        "postgres"
    }

    async fn check(&self) -> Result<(), String> {
        self.0.check().await.map_err(|error| error.to_string())
    }
}
