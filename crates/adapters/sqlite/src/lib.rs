//! The index on SQLite: keyword search (FTS5) and vector search (an exact scan of bytes, rescored
//! with the vectors as the model gave them).

mod fault;
mod index;
mod keyword;
mod migrate;
mod open;
mod recordings;
mod vectors;

pub use index::SqliteIndex;
pub use open::set_aside;
