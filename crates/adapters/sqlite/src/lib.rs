//! The index on SQLite: keyword and vector search.
