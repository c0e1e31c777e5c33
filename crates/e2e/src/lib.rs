//! Drives the real `speakr` binary, each test over a data folder of its own.

#![allow(clippy::expect_used, reason = "this crate is test code")]

#[cfg(unix)]
pub mod api_server;
#[cfg(unix)]
pub mod audio_server;
#[cfg(unix)]
pub mod conformance;
#[cfg(unix)]
pub mod display;
#[cfg(unix)]
pub mod embeddings_server;
pub mod house;
mod library;
#[cfg(unix)]
pub mod platform;
pub mod program;
pub mod requirement;
#[cfg(unix)]
pub mod soak;
#[cfg(target_os = "linux")]
pub mod terminal;
#[cfg(unix)]
pub mod validate;
#[cfg(unix)]
pub mod validation;
pub mod wav;

pub use program::{Finished, Speakr, clip};
