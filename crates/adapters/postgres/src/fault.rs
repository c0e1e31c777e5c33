//! The database's errors as the index's, with the place named.

use std::time::Duration;

use speakr_core::ports::{BoxedCause, index::IndexError};

/// What we say ourselves of the database.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The URL can't be read. It isn't shown, for it may hold a password.
    #[error("the database's URL isn't of the form postgres://user:password@host:port/database")]
    BadUrl,
    /// pgvector is too old.
    #[error("it has pgvector {found} and speakr needs at least {wanted}")]
    OldVector {
        /// What is there.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// A vector isn't as long as those before it.
    #[error("a vector of {found} numbers for a model of {wanted}")]
    Dimensions {
        /// Its length.
        found: usize,
        /// The model's.
        wanted: usize,
    },
    /// Something stored isn't what it should be.
    #[error("what it holds can't be read: {0}")]
    Unreadable(String),
}

/// What can go wrong inside, before the place is named.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said so.
    Database(sqlx::Error),
    /// We say so.
    Own(PostgresError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<PostgresError> for Fault {
    fn from(error: PostgresError) -> Self {
        Self::Own(error)
    }
}

impl Fault {
    /// Something stored isn't what it should be.
    pub(crate) fn unreadable(reason: impl ToString) -> Self {
        PostgresError::Unreadable(reason.to_string()).into()
    }

    /// The cause, for an error of ours.
    pub(crate) fn cause(self) -> BoxedCause {
        match self {
            Self::Database(error) => Box::new(error),
            Self::Own(error) => Box::new(error),
        }
    }

    /// The index's error for it, met while trying to `action` `place`.
    pub(crate) fn at(self, action: &'static str, place: &str) -> IndexError {
        let (busy, refused) = (self.is_overload(), self.is_refusal());
        let (place, cause) = (place.to_owned(), self.cause());
        if busy {
            return IndexError::Busy {
                place,
                action,
                cause,
            };
        }
        if refused {
            return IndexError::Refused {
                place,
                action,
                cause,
            };
        }
        IndexError::Database {
            place,
            action,
            cause,
        }
    }

    /// Whether what was given is at fault: it isn't what the column takes, or more than it takes.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Own(PostgresError::Dimensions { .. }) => true,
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| code.starts_with("22") || code.starts_with("54")),
            _ => false,
        }
    }

    /// Whether it has more to do than it can: no connection became free, a statement or a lock took
    /// too long, or the server has no room for one more.
    fn is_overload(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        match error {
            sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                // Cancelled by the time limit, lock not available, too many connections.
                ["57014", "55P03", "53300"].contains(&code.as_ref())
            }),
            _ => false,
        }
    }

    /// Whether the same again may well succeed: the server went away or comes up, or another
    /// transaction was in the way.
    fn passes(&self) -> bool {
        let Self::Database(error) = self else {
            return false;
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                // Serialisation, deadlock; shut down, crashed, coming up; connection lost.
                ["40001", "40P01", "57P01", "57P02", "57P03"].contains(&code.as_ref())
                    || code.starts_with("08")
            }),
            _ => false,
        }
    }
}

/// How long to wait before each further try.
const WAITS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(300),
    Duration::from_millis(1_000),
];

/// Tries of one operation. All of ours can be done again: each is one transaction, and putting the
/// same in twice changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Tries(usize);

impl Tries {
    /// Whether to try again after `fault`; waits first.
    pub(crate) async fn again(&mut self, fault: &Fault) -> bool {
        let Some(wait) = WAITS.get(self.0).filter(|_| fault.passes()) else {
            return false;
        };
        tracing::debug!(?fault, "the database is asked again");
        self.0 += 1;
        tokio::time::sleep(*wait).await;
        true
    }
}
