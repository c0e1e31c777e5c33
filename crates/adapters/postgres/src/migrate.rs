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
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        sql: include_str!("../migrations/0001_index.sql"),
        min_app_version: "0.1.0",
    },
    Migration {
        sql: include_str!("../migrations/0002_word_counts.sql"),
        min_app_version: "0.1.0",
    },
    Migration {
        sql: include_str!("../migrations/0003_vector_indexes.sql"),
        min_app_version: "0.1.0",
    },
];

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

#[cfg(test)]
mod tests {
    use speakr_testkit::postgres::Postgres;

    use super::*;
    use crate::Database;

    const FURTHER: Migration = Migration {
        sql: "ALTER TABLE recordings ADD COLUMN speaker text",
        min_app_version: "0.1.0",
    };

    const BREAKING: Migration = Migration {
        sql: "ALTER TABLE recordings DROP COLUMN speaker",
        min_app_version: "7.1.0",
    };

    const FAILING: Migration = Migration {
        sql: "ALTER TABLE recordings ADD COLUMN half text; SELECT nonsense FROM nowhere",
        min_app_version: "0.1.0",
    };

    fn steps(more: &[Migration]) -> Vec<Migration> {
        [MIGRATIONS, more].concat()
    }

    fn empty() -> (Postgres, PostgresConfig) {
        let server = Postgres::start().unwrap();
        let config = PostgresConfig::new(server.create_database("index").unwrap());
        (server, config)
    }

    async fn run(config: &PostgresConfig, steps: &[Migration]) -> Result<Migrated, IndexError> {
        migrate_as(config, steps, "0.1.0").await
    }

    async fn connect(config: &PostgresConfig, steps: &[Migration]) -> Result<(), IndexError> {
        let database = Database::connect_as(config, steps, "0.1.0").await?;
        database.close().await;
        Ok(())
    }

    #[tokio::test]
    async fn a_schema_that_is_too_old_is_refused_until_it_is_migrated() {
        let (_server, config) = empty();
        for (known, found) in [(steps(&[]), 0), (steps(&[FURTHER]), MIGRATIONS.len())] {
            let error = connect(&config, &known).await.unwrap_err();
            let wanted = known.len();
            assert_eq!(
                error.to_string(),
                format!(
                    "the index {} has schema {found} and this speakr needs {wanted}: run its \
                     migration first",
                    config.place()
                )
            );
            let done = run(&config, &known).await.unwrap();
            assert_eq!((done.from, done.to), (found, wanted));
            connect(&config, &known).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_newer_schema_is_served_while_it_is_compatible_and_refused_when_it_is_not() {
        let (_server, config) = empty();
        run(&config, &steps(&[FURTHER])).await.unwrap();
        // An undo: the older program goes on, and so does its migration.
        connect(&config, &steps(&[])).await.unwrap();
        let done = run(&config, &steps(&[])).await.unwrap();
        let newer = MIGRATIONS.len() + 1;
        assert_eq!((done.from, done.to), (newer, newer));

        run(&config, &steps(&[FURTHER, BREAKING])).await.unwrap();
        for refused in [
            connect(&config, &steps(&[FURTHER])).await,
            run(&config, &steps(&[FURTHER])).await.map(drop),
            connect(&config, &steps(&[FURTHER, BREAKING])).await,
        ] {
            let error = refused.unwrap_err();
            let beyond =
                matches!(&error, IndexError::TooNew { min_version, .. } if min_version == "7.1.0");
            assert!(beyond, "{error:?}");
        }
        Database::connect_as(&config, MIGRATIONS, "7.1.0")
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn words_that_are_there_already_are_counted_by_the_step_that_counts_them() {
        let (server, config) = empty();
        run(&config, &MIGRATIONS[..1]).await.unwrap();
        let sql = "INSERT INTO speakr.recordings (id, created_ns, tags, state, description) \
                   VALUES (gen_random_uuid(), 0, '{}', 'transcribed', '{}'); \
                   INSERT INTO speakr.passages \
                   (recording, ordinal, start_ms, end_ms, text, words, tags, created_ns, state) \
                   SELECT num, n, 0, 1, '', ('roof:1 leak:2 n' || n || ':3')::tsvector, \
                   '{}', 0, 'transcribed' FROM speakr.recordings, generate_series(1, 3) AS n";
        server.query("index", sql).unwrap();
        run(&config, MIGRATIONS).await.unwrap();
        let counted = "SELECT string_agg(word || '=' || passages, ' ' ORDER BY word) \
                       FROM speakr.word_counts";
        let counted = server.query("index", counted).unwrap();
        assert_eq!(counted, "leak=3 n1=1 n2=1 n3=1 roof=3");
    }

    #[tokio::test]
    async fn of_many_migrators_one_does_it_and_the_others_find_it_done() {
        let (_server, config) = empty();
        let migrators: Vec<_> = (0..6)
            .map(|_| {
                let config = config.clone();
                tokio::spawn(async move { run(&config, &steps(&[FURTHER])).await })
            })
            .collect();
        let mut did = 0;
        for migrator in migrators {
            let done = migrator.await.unwrap().unwrap();
            assert_eq!(done.to, MIGRATIONS.len() + 1);
            did += usize::from(done.from == 0);
        }
        assert_eq!(did, 1);
    }

    #[tokio::test]
    async fn a_step_that_fails_leaves_the_schema_as_it_was() {
        let (server, config) = empty();
        run(&config, &steps(&[FAILING])).await.unwrap_err();
        let columns = "SELECT count(*) FROM information_schema.columns \
                       WHERE column_name IN ('half', 'embedded_by')";
        assert_eq!(server.query("index", columns).unwrap(), "1");
        connect(&config, MIGRATIONS).await.unwrap();
        run(&config, &steps(&[FURTHER])).await.unwrap();
    }
}
