//! A real PostgreSQL, and databases in it.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

use std::sync::atomic::{AtomicU32, Ordering};

use speakr_postgres::{Database, PostgresConfig, migrate};
use speakr_testkit::postgres::Postgres;

#[path = "../../../../core/tests/contract/mod.rs"]
pub mod contract;

pub use contract::support as things;

/// A running server.
pub struct Place {
    pub server: Postgres,
    made: AtomicU32,
}

impl Place {
    pub fn start() -> Self {
        Self {
            server: Postgres::start().unwrap(),
            made: AtomicU32::new(0),
        }
    }

    /// An empty database; gives its name and how to get there.
    pub fn empty(&self) -> (String, PostgresConfig) {
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let url = self.server.create_database(&name).unwrap();
        (name, PostgresConfig::new(url))
    }

    /// A database with the newest schema and nothing in it.
    pub async fn fresh(&self) -> (String, Database) {
        let (name, config) = self.empty();
        migrate(&config).await.unwrap();
        (name, Database::connect(&config).await.unwrap())
    }
}

/// An error with all its causes.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told.push_str(": ");
        told.push_str(&cause.to_string());
        next = cause.source();
    }
    told
}
