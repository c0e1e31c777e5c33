//! A client of the query API: the recordings of a platform, searched, read, labelled, deleted.

mod client;
mod error;
mod wire;

pub use client::{ApiClient, ApiConfig, MOST_LISTED, MOST_RESULTS, SoundFile, Token};
pub use error::ApiError;
