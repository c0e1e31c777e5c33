//! Makes text of speech that comes over the bus.
//!
//! A replica keeps nothing that another couldn't go on from: commands lie in the bus until they
//! are done, sound lies there until it is in the store of record, and what is wanted of a recording
//! is written down in a bucket. So one may end at any moment, and another finishes its work.

mod announce;
mod ends;
pub mod engine;
mod recording;
mod run;
pub mod settings;
mod text;
mod trouble;
mod worker;

pub use worker::{Limits, Parts, Worker};
