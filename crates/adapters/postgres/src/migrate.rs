//! The schema and its history: forward only, each step in one transaction.

use semver::Version;
use speakr_core::ports::index::IndexError;
use sqlx::{Connection, PgConnection};

use crate::{
    config::PostgresConfig,
    database::check_vector,
    fault::{Fault, PostgresError},
};

/// One step of the schema. Steps expand before they contract: a program older than the step but
/// not older than `min_app_version` can still use what it leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// Statements.
    pub(crate) sql: &'static str,
    /// The oldest speakr that can use the result.
    pub(crate) min_app_version: &'static str,
}

/// All steps; `schema_version` in the table `meta` is the number of those done.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    sql: include_str!("../migrations/0001_index.sql"),
    min_app_version: "0.1.0",
}];

/// This program's version.
pub(crate) const APP_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names the lock that one migration at a time holds.
const LOCK: i64 = 0x7370_6561_6b72;

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The number of the schema before; 0 where there was none.
    pub from: usize,
    /// The number of the schema now.
    pub to: usize,
}

/// Makes the schema, or brings it up to date. Of several that do it at once the first does it all,
/// and the others wait for it.
///
/// # Errors
/// [`IndexError::TooNew`] when the schema is a newer program's and not for this one,
/// [`IndexError::Database`]: the schema is as it was then, or some whole steps further.
pub async fn migrate(config: &PostgresConfig) -> Result<Migrated, IndexError> {
    migrate_as(config, MIGRATIONS, APP_VERSION).await
}

pub(crate) async fn migrate_as(
    config: &PostgresConfig,
    steps: &[Migration],
    app_version: &str,
) -> Result<Migrated, IndexError> {
    let place = config.place();
    let failed = |fault: Fault| fault.at("migrate", &place);
    // Steps may take long, and so may waiting for another's.
    let options = config.options(None).map_err(|e| failed(e.into()))?;
    let connect = PgConnection::connect_with(&options);
    let mut connection = connect.await.map_err(|e| failed(e.into()))?;
    let lock = async {
        sqlx::query("SELECT set_config('lock_timeout', '0', false)")
            .execute(&mut connection)
            .await?;
        // It ends with the connection.
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(LOCK)
            .execute(&mut connection)
            .await
    };
    lock.await.map_err(|e| failed(e.into()))?;
    let before = Schema::read(&mut connection).await.map_err(failed)?;
    let from = before.version;
    if from >= steps.len() {
        before.check(&place, steps.len(), app_version)?;
        return Ok(Migrated { from, to: from });
    }
    for (done, step) in steps.iter().enumerate().skip(from) {
        take(&mut connection, step, done + 1)
            .await
            .map_err(failed)?;
        tracing::info!(place, schema = done + 1, "the schema is a step further");
    }
    check_vector(&mut connection).await.map_err(failed)?;
    // The database ends it anyway; there is nothing to say where that fails.
    let _ = connection.close().await;
    Ok(Migrated {
        from,
        to: steps.len(),
    })
}

async fn take(connection: &mut PgConnection, step: &Migration, number: usize) -> Result<(), Fault> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS speakr")
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(step.sql).execute(&mut *transaction).await?;
    for (key, value) in [
        ("schema_version", number.to_string()),
        ("min_app_version", step.min_app_version.to_owned()),
    ] {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// What the database says of its schema.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Steps done; 0 where there is none yet.
    version: usize,
    min_app_version: String,
}

impl Schema {
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, Fault> {
        let there: bool = sqlx::query_scalar("SELECT to_regclass('speakr.meta') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
        if !there {
            return Ok(Self::default());
        }
        let (version, min_app_version): (String, String) = sqlx::query_as(
            "SELECT (SELECT value FROM meta WHERE key = 'schema_version'), \
             (SELECT value FROM meta WHERE key = 'min_app_version')",
        )
        .fetch_one(connection)
        .await?;
        let version = version.parse().map_err(|_| {
            PostgresError::Unreadable(format!("\"{version}\" is no schema version"))
        })?;
        Ok(Self {
            version,
            min_app_version,
        })
    }

    /// Whether a program of `app_version` that knows `steps` steps can use it.
    pub(crate) fn check(
        &self,
        place: &str,
        steps: usize,
        app_version: &str,
    ) -> Result<(), IndexError> {
        if self.version < steps {
            return Err(IndexError::TooOld {
                place: place.to_owned(),
                found: self.version,
                wanted: steps,
            });
        }
        let min = Version::parse(&self.min_app_version);
        match (min, Version::parse(app_version)) {
            (Ok(min), Ok(own)) if min <= own => Ok(()),
            _ => Err(IndexError::TooNew {
                place: place.to_owned(),
                min_version: self.min_app_version.clone(),
            }),
        }
    }
}
