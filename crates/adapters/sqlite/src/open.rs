//! Opening the database, putting a damaged one aside, keeping few backups.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use speakr_core::ports::index::IndexError;
use sqlx::{
    ConnectOptions, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    fault::{self, Fault},
    migrate::{MIGRATIONS, Migration, migrate},
};

/// How long a write waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often opening is tried again when another process is just creating the database (SQLite
/// doesn't wait in every such case) …
const OPEN_TRIES: u32 = 50;
/// … with this pause.
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a page. A block of vectors fills a few large pages instead of a long chain of small
/// ones.
const PAGE_BYTES: u32 = 16 * 1_024;

/// How much of the file is mapped into memory instead of being read piecemeal: all of it, in
/// practice. Without, searches of 100,000 passages took a quarter longer (`speakr-bench index`).
const MMAP_BYTES: &str = "4294967296";

/// Connections of one process: keyword and vector search run side by side.
const CONNECTIONS: u32 = 3;

/// Backups that are kept.
const BACKUPS: usize = 3;

/// Backups hold texts; those of deleted recordings leave with them after this.
const BACKUP_AGE: Duration = Duration::from_secs(35 * 24 * 3_600);

/// Opens the database at `path` and brings its schema to the newest.
pub(crate) async fn open(path: &Path, backups: &Path) -> Result<SqlitePool, IndexError> {
    open_with(path, backups, MIGRATIONS, env!("CARGO_PKG_VERSION")).await
}

/// The same with other steps, so that tests can have a past and a future.
pub(crate) async fn open_with(
    path: &Path,
    backups: &Path,
    steps: &[Migration],
    app_version: &str,
) -> Result<SqlitePool, IndexError> {
    prepare(path, backups).map_err(|e| fault::database("open", path)(e))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        // The index follows the archive; what a power cut takes from it must not go unnoticed.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("mmap_size", MMAP_BYTES)
        // Deleted texts and vectors are overwritten.
        .pragma("secure_delete", "ON")
        .disable_statement_logging();

    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options);
    let mut connection = connect(&pool, path).await?;
    migrate(&mut connection, path, backups, steps, app_version).await?;
    drop(connection);
    prune_backups(backups);
    Ok(pool)
}

async fn connect(pool: &SqlitePool, path: &Path) -> Result<PoolConnection<Sqlite>, IndexError> {
    let mut tries = 0;
    loop {
        match pool.acquire().await {
            Ok(connection) => return Ok(connection),
            Err(error) if fault::is_busy(&error) && tries < OPEN_TRIES => {
                tries += 1;
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            Err(error) => return Err(fault::database("open", path)(error)),
        }
    }
}

/// Makes the folders and an empty file that only its owner reads; SQLite gives its side files the
/// same mode.
fn prepare(path: &Path, backups: &Path) -> Result<(), Fault> {
    let io = |e: io::Error| Fault::from(sqlx::Error::Io(e));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    fs::create_dir_all(backups).map_err(io)?;
    if path.exists() {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map(drop).map_err(io)
}

/// Lets only its owner read `path`.
pub(crate) fn make_private(path: &Path) -> Result<(), Fault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(|e| Fault::from(sqlx::Error::Io(e)))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Moves a damaged database at `path` into `backups`, so that a new one can be made from the
/// archive; gives where it is now.
///
/// # Errors
/// [`IndexError::Database`] when it can't be moved.
pub fn set_aside(path: &Path, backups: &Path) -> Result<PathBuf, IndexError> {
    let aside = backups.join(format!(
        "index-damaged-{}.sqlite3",
        Timestamp::now().strftime("%Y%m%dT%H%M%S%.9fZ")
    ));
    let failed = |e: io::Error| fault::database("set aside", path)(sqlx::Error::Io(e));
    fs::create_dir_all(backups).map_err(failed)?;
    fs::rename(path, &aside).map_err(|e| fault::database("set aside", path)(sqlx::Error::Io(e)))?;
    // Without these the old log would be played into the new database.
    for suffix in ["-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(fault::database("set aside", path)(sqlx::Error::Io(e))),
        }
    }
    prune_backups(backups);
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes all but the newest few backups, and old ones. Best effort: who opens the index next tries
/// again.
pub fn prune_backups(backups: &Path) {
    let Ok(entries) = fs::read_dir(backups) else {
        return;
    };
    let mut copies: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|n| n.starts_with("index-") && n.ends_with(".sqlite3"))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    copies.sort_by(|a, b| b.cmp(a));
    for (rank, (at, copy)) in copies.iter().enumerate() {
        let age = SystemTime::now().duration_since(*at).unwrap_or_default();
        if rank >= BACKUPS || age > BACKUP_AGE {
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(with_suffix(copy, suffix));
            }
        }
    }
}
