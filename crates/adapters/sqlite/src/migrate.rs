//! The schema and its history: forward only, each step in one transaction, a copy kept before.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use semver::Version;
use speakr_core::ports::index::IndexError;
use sqlx::{Connection, SqliteConnection};

use crate::{fault, open::prune_backups};

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
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        sql: include_str!("../migrations/0001_index.sql"),
        min_app_version: "0.1.0",
    },
    Migration {
        sql: include_str!("../migrations/0002_embedders.sql"),
        min_app_version: "0.1.0",
    },
];

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
    prune_backups(backups);
    tracing::info!(
        backup = name,
        "kept the index as it was before the migration"
    );
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::open::open_with;

    const NEXT: Migration = Migration {
        sql: "ALTER TABLE recordings ADD COLUMN speaker TEXT",
        min_app_version: "0.1.0",
    };

    const BREAKING: Migration = Migration {
        sql: "ALTER TABLE recordings DROP COLUMN speaker",
        min_app_version: "7.1.0",
    };

    const FAILING: Migration = Migration {
        sql: "ALTER TABLE recordings ADD COLUMN half TEXT; SELECT nonsense FROM nowhere",
        min_app_version: "0.1.0",
    };

    struct Place {
        _folder: tempfile::TempDir,
        path: PathBuf,
        backups: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                path: folder.path().join("index.sqlite3"),
                backups: folder.path().join("backups"),
                _folder: folder,
            }
        }

        async fn open(&self, steps: &[Migration]) -> Result<sqlx::SqlitePool, IndexError> {
            open_with(&self.path, &self.backups, steps, "0.1.0").await
        }

        fn backups(&self) -> Vec<PathBuf> {
            fs::read_dir(&self.backups)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect()
        }
    }

    fn steps(more: &[Migration]) -> Vec<Migration> {
        [MIGRATIONS, more].concat()
    }

    async fn put_row(pool: &sqlx::SqlitePool) {
        sqlx::query("INSERT INTO meta VALUES ('mine', 'kept')")
            .execute(pool)
            .await
            .unwrap();
    }

    async fn row(pool: &sqlx::SqlitePool) -> String {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'mine'")
            .fetch_one(pool)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_new_index_needs_no_backup_and_opening_it_again_does_nothing() {
        let place = Place::new();
        for _ in 0..2 {
            place.open(MIGRATIONS).await.unwrap().close().await;
        }
        assert!(place.backups().is_empty());
    }

    #[tokio::test]
    async fn a_migration_keeps_the_data_and_a_copy_from_before() {
        let place = Place::new();
        let pool = place.open(MIGRATIONS).await.unwrap();
        put_row(&pool).await;
        pool.close().await;

        let pool = place.open(&steps(&[NEXT])).await.unwrap();
        assert_eq!(row(&pool).await, "kept");
        sqlx::query("SELECT speaker FROM recordings")
            .fetch_all(&pool)
            .await
            .unwrap();
        let backups = place.backups();
        assert_eq!(backups.len(), 1);

        // The copy is a whole index of the old schema.
        let copy = Place {
            path: backups[0].clone(),
            ..Place::new()
        };
        let pool = copy.open(MIGRATIONS).await.unwrap();
        assert_eq!(row(&pool).await, "kept");
        sqlx::query("SELECT speaker FROM recordings")
            .fetch_all(&pool)
            .await
            .unwrap_err();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn backups_are_closed_to_other_users() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::new();
        place.open(MIGRATIONS).await.unwrap().close().await;
        place.open(&steps(&[NEXT])).await.unwrap().close().await;
        for file in place.backups().iter().chain([&place.path]) {
            let mode = fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_the_index_as_it_was() {
        let place = Place::new();
        let pool = place.open(MIGRATIONS).await.unwrap();
        put_row(&pool).await;
        pool.close().await;
        place.open(&steps(&[NEXT, FAILING])).await.unwrap_err();

        let pool = place.open(MIGRATIONS).await.unwrap();
        assert_eq!(row(&pool).await, "kept");
        for column in ["speaker", "half"] {
            let query = format!("SELECT {column} FROM recordings");
            sqlx::query(sqlx::AssertSqlSafe(query))
                .fetch_all(&pool)
                .await
                .unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_newer_schema_is_used_while_it_is_compatible_and_refused_when_it_is_not() {
        let place = Place::new();
        let expanded = steps(&[NEXT]);
        place.open(&expanded).await.unwrap().close().await;
        place.open(MIGRATIONS).await.unwrap().close().await;

        let contracted = steps(&[NEXT, BREAKING]);
        place.open(&contracted).await.unwrap().close().await;
        let error = place.open(MIGRATIONS).await.unwrap_err();
        assert!(
            matches!(&error, IndexError::TooNew { min_version, .. } if min_version == "7.1.0"),
            "{error:?}"
        );
        open_with(&place.path, &place.backups, MIGRATIONS, "7.1.0")
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn only_the_newest_backups_are_kept() {
        let place = Place::new();
        place.open(MIGRATIONS).await.unwrap().close().await;
        for i in 0..5 {
            fs::write(place.backups.join(format!("index-v0-{i}.sqlite3")), "old").unwrap();
        }
        fs::write(place.backups.join("notes.txt"), "not ours").unwrap();
        place.open(&steps(&[NEXT])).await.unwrap().close().await;
        let names = place.backups();
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(names.iter().any(|p| p.ends_with("notes.txt")));
        let own = format!("index-v{}-", MIGRATIONS.len());
        assert!(
            names.iter().any(|p| p.display().to_string().contains(&own)),
            "{names:?}"
        );
    }

    #[tokio::test]
    async fn backups_run_out_also_where_no_other_is_made() {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        let place = Place::new();
        place.open(MIGRATIONS).await.unwrap().close().await;
        let aged = |name: &str, days: u32| {
            let copy = place.backups.join(name);
            fs::write(&copy, "texts").unwrap();
            let file = fs::File::options().write(true).open(&copy).unwrap();
            file.set_modified(SystemTime::now() - DAY * days).unwrap();
            copy
        };
        aged("index-v1-old.sqlite3", 36);
        aged("index-damaged-old.sqlite3", 36);
        let recent = aged("index-v1-recent.sqlite3", 34);
        place.open(MIGRATIONS).await.unwrap().close().await;
        assert_eq!(place.backups(), [recent]);
    }

    #[tokio::test]
    async fn many_openers_of_a_new_index_all_succeed() {
        let place = std::sync::Arc::new(Place::new());
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let place = place.clone();
                tokio::spawn(async move { place.open(&steps(&[NEXT])).await.map(drop) })
            })
            .collect();
        for opener in openers {
            opener.await.unwrap().unwrap();
        }
    }
}
