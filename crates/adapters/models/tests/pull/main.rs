//! Downloads from a server that behaves and misbehaves, over the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

mod refusals;
#[path = "../server/mod.rs"]
mod server;
mod transfers;
mod world;
