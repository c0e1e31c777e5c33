//! Drives the real `speakr` binary, each test over a data folder of its own.

#![allow(clippy::expect_used, reason = "this crate is test code")]

pub mod program;

pub use program::{Finished, Speakr, clip};
