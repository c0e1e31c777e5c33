//! The connection to the database, and whether its schema is one for us.

use std::{str::FromStr, time::Duration};

use semver::Version;
use speakr_core::ports::index::IndexError;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{
    config::PostgresConfig,
    fault::{Fault, PostgresError},
    index::PostgresIndex,
    migrate::{APP_VERSION, MIGRATIONS, Migration, Schema},
    tokens::PostgresTokens,
};

/// How long a connection may live, so that a failover and a new certificate are noticed.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long an idle connection is taken to be alive without asking.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The oldest pgvector that has iterative scans.
pub(crate) const PGVECTOR: &str = "0.8.0";

/// Connections to a database whose schema this program can use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    place: String,
    overheard: bool,
}

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// [`IndexError::TooOld`] when [`crate::migrate`] is due, [`IndexError::TooNew`] when only a
    /// newer program can use the schema, [`IndexError::Database`].
    pub async fn connect(config: &PostgresConfig) -> Result<Self, IndexError> {
        Self::connect_as(config, MIGRATIONS, APP_VERSION).await
    }

    pub(crate) async fn connect_as(
        config: &PostgresConfig,
        steps: &[Migration],
        app_version: &str,
    ) -> Result<Self, IndexError> {
        let place = config.place();
        let failed = |fault: Fault| fault.at("connect", &place);
        let options = config
            .options(Some(config.statement_timeout))
            .map_err(|e| failed(e.into()))?;
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout)
            .max_lifetime(MAX_LIFETIME)
            // A connection that died while it lay idle isn't handed out. One that was in use a moment
            // ago is: asking it each time would cost as much as a small query.
            .test_before_acquire(false)
            .before_acquire(|connection, idle| {
                Box::pin(async move {
                    if idle.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|e| failed(e.into()))?;
        let mut database = Self {
            pool,
            place,
            overheard: false,
        };
        database.check_as(steps, app_version).await?;
        database.overheard = config.may_be_overheard() && !database.is_encrypted().await?;
        Ok(database)
    }

    /// Whether the connections, when the first was made, went over a network and weren't encrypted.
    #[must_use]
    pub const fn can_be_overheard(&self) -> bool {
        self.overheard
    }

    /// What the server says of the connection that asks.
    async fn is_encrypted(&self) -> Result<bool, IndexError> {
        let encrypted: Option<bool> =
            sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| Fault::from(e).at("ask about encryption", &self.place))?
                .flatten();
        Ok(encrypted.unwrap_or(false))
    }

    /// Whether the database answers and its schema is still one for this program: what readiness
    /// asks.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub async fn check(&self) -> Result<(), IndexError> {
        self.check_as(MIGRATIONS, APP_VERSION).await
    }

    async fn check_as(&self, steps: &[Migration], app_version: &str) -> Result<(), IndexError> {
        let failed = |fault: Fault| fault.at("check", &self.place);
        let mut connection = self.pool.acquire().await.map_err(|e| failed(e.into()))?;
        let schema = Schema::read(&mut connection).await.map_err(failed)?;
        schema.check(&self.place, steps.len(), app_version)?;
        check_vector(&mut connection).await.map_err(failed)
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> PostgresIndex {
        PostgresIndex::new(self.clone())
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> PostgresTokens {
        PostgresTokens::new(self.clone())
    }

    /// Makes new connections as `config` says from now on; those that are open live on until their
    /// time is over.
    ///
    /// # Errors
    /// [`IndexError::Database`] when the settings can't be used.
    pub fn connect_from_now_on(&self, config: &PostgresConfig) -> Result<(), IndexError> {
        let options = config
            .options(Some(config.statement_timeout))
            .map_err(|e| Fault::from(e).at("connect", &self.place))?;
        self.pool.set_connect_options(options);
        Ok(())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How errors name it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

/// Whether pgvector is new enough.
pub(crate) async fn check_vector(connection: &mut PgConnection) -> Result<(), Fault> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            .fetch_optional(connection)
            .await?;
    let found = found.unwrap_or_else(|| "none".to_owned());
    if is_at_least(&found, PGVECTOR) {
        return Ok(());
    }
    Err(PostgresError::OldVector {
        found,
        wanted: PGVECTOR,
    }
    .into())
}

fn is_at_least(found: &str, wanted: &str) -> bool {
    match (Version::from_str(found), Version::from_str(wanted)) {
        (Ok(found), Ok(wanted)) => found >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_pgvector_is_told_from_a_new_one() {
        assert!(is_at_least("0.8.0", PGVECTOR));
        assert!(is_at_least("0.10.1", PGVECTOR));
        assert!(!is_at_least("0.7.4", PGVECTOR));
        assert!(!is_at_least("none", PGVECTOR));
    }
}
