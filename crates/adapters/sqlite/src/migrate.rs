//! The schema and its history: forward only, each step in one transaction, a copy kept before.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use semver::Version;
use speakr_core::ports::index::IndexError;
use sqlx::{Connection, SqliteConnection};

use crate::{fault, open::keep_newest};

/// One step of the schema. Steps expand before they contract: a program older than the step but
/// not older than `min_app_version` can still use what it leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// Statements.
    pub(crate) sql: &'static str,
    /// The oldest speakr that can use the result.
    pub(crate) min_app_version: &'static str,
}

/// All steps; the database's `user_version` is the number of those done.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    sql: include_str!("../migrations/0001_index.sql"),
    min_app_version: "0.1.0",
}];

/// Brings the database at `path` to the newest of `steps`. `app_version` is this program's.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    backups: &Path,
    steps: &[Migration],
    app_version: &str,
) -> Result<(), IndexError> {
    let before = version(connection, path).await?;
    if before >= steps.len() {
        return check_not_too_new(connection, path, before > steps.len(), app_version).await;
    }
    if before > 0 {
        back_up(connection, path, backups, before).await?;
    }
    let failed = |e: sqlx::Error| fault::database("migrate", path)(e);
    // Whoever gets the write lock first migrates; the others then find it done.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    let before = version(&mut transaction, path).await?;
    for (done, step) in steps.iter().enumerate().skip(before) {
        sqlx::raw_sql(step.sql)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("INSERT OR REPLACE INTO meta (key, value) VALUES ('min_app_version', ?)")
            .bind(step.min_app_version)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // A pragma takes no parameters; this is a number of ours.
        let set_version = format!("PRAGMA user_version = {}", done + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(set_version))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

async fn version(connection: &mut SqliteConnection, path: &Path) -> Result<usize, IndexError> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(connection)
        .await
        .map_err(|e| fault::database("read", path)(e))?;
    Ok(usize::try_from(version).unwrap_or(0))
}

async fn check_not_too_new(
    connection: &mut SqliteConnection,
    path: &Path,
    newer: bool,
    app_version: &str,
) -> Result<(), IndexError> {
    if !newer {
        return Ok(());
    }
    let min: String = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'min_app_version'")
        .fetch_one(connection)
        .await
        .map_err(|e| fault::database("read", path)(e))?;
    let compatible = match (Version::parse(&min), Version::parse(app_version)) {
        (Ok(min), Ok(own)) => min <= own,
        _ => false,
    };
    if compatible {
        Ok(())
    } else {
        Err(IndexError::TooNew {
            place: path.display().to_string(),
            min_version: min,
        })
    }
}

/// Copies the database, as it is now, into `backups`.
async fn back_up(
    connection: &mut SqliteConnection,
    path: &Path,
    backups: &Path,
    version: usize,
) -> Result<PathBuf, IndexError> {
    let copy = backups.join(format!(
        "index-v{version}-{}.sqlite3",
        Timestamp::now().strftime("%Y%m%dT%H%M%S%.9fZ")
    ));
    let name = copy.display().to_string();
    sqlx::query("VACUUM INTO ?")
        .bind(&name)
        .execute(connection)
        .await
        .map_err(|e| fault::database("back up", path)(e))?;
    crate::open::make_private(&copy).map_err(|e| fault::database("back up", path)(e))?;
    keep_newest(backups);
    tracing::info!(backup = name, "kept the index as it was before the migration");
    Ok(copy)
}
