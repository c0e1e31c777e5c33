//! The library on its real parts: folder, SQLite, ffmpeg. Only the embedder is a small one whose
//! vectors can be told in advance.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod expiry;
mod finding;
mod labels;
mod upkeep;
mod world;
