//! The index on PostgreSQL with pgvector, and the tokens beside it.
//!
//! [`migrate`] makes the schema or brings it up to date; [`Database::connect`] refuses one that this
//! program can't use. Everything lives in the schema `speakr` of one database.

mod config;
mod counts;
mod database;
mod fault;
mod index;
mod keyword;
mod migrate;
mod recordings;
mod tokens;
mod vectors;
mod words;

pub use config::{PostgresConfig, Tls, TlsMode, UnknownTlsMode};
pub use database::Database;
pub use fault::PostgresError;
pub use index::PostgresIndex;
pub use migrate::{Migrated, migrate};
pub use tokens::PostgresTokens;
