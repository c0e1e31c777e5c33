//! The index on SQLite: keyword search (FTS5) and vector search (a scan of few bits, rescored
//! with the vectors as the model gave them).

mod codes;
mod fault;
mod index;
mod keyword;
mod migrate;
mod open;
mod recordings;
mod vectors;

pub use index::SqliteIndex;
pub use open::{prune_backups, set_aside};
