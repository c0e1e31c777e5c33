//! The database's errors as the index's, with the place named.

use std::path::Path;

use libsqlite3_sys as sqlite;
use speakr_core::ports::{BoxedCause, index::IndexError};

/// SQLite keeps the kind of an error in the low byte of its code.
const KIND_MASK: i32 = 0xff;

/// The kind of a database error (`SQLITE_CORRUPT`, `SQLITE_BUSY`, …), where it is one.
pub(crate) fn kind(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & KIND_MASK)
}

/// Whether another process is in the way.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(
        kind(error),
        Some(sqlite::SQLITE_BUSY | sqlite::SQLITE_LOCKED)
    )
}

/// Turns a database error at `place`, met while trying to `action` it, into an index error.
pub(crate) fn database<E>(action: &'static str, place: &Path) -> impl FnOnce(E) -> IndexError
where
    E: Into<Fault>,
{
    let place = place.display().to_string();
    move |error| match error.into() {
        Fault::Damaged(cause) => IndexError::Damaged { place, cause },
        Fault::Database(error)
            if matches!(
                kind(&error),
                Some(sqlite::SQLITE_CORRUPT | sqlite::SQLITE_NOTADB)
            ) =>
        {
            IndexError::Damaged {
                place,
                cause: Box::new(error),
            }
        }
        Fault::Database(error) => IndexError::Database {
            place,
            action,
            cause: Box::new(error),
        },
    }
}

/// What can go wrong inside, before the place is named.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said so.
    Database(sqlx::Error),
    /// What it holds isn't what we wrote.
    Damaged(BoxedCause),
}

impl Fault {
    /// What is stored isn't what it should be.
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into().into())
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
