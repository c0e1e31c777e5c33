//! The library and transcription over HTTP: speakr's own API under `/api/v1`, and OpenAI's
//! transcription endpoint under `/v1`, so that clients of that work unchanged.
//!
//! This adapter drives the core's use cases. What is behind them (SQLite or PostgreSQL, a folder
//! or S3, an engine or a bus) it doesn't know.

mod access;
mod api;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod linger;
mod observe;
mod openapi;
mod operations;
mod page;
mod problem;
mod query;
mod rate;
mod recordings;
mod request;
mod serve;
mod sound;
mod transcriptions;
mod wire;

pub use axum::http::HeaderMap;

pub use access::{NewToken, TokenError, new_token};
pub use api::{Api, ApiConfig, Hosts};
pub use observe::TraceHook;
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use serve::serve;
