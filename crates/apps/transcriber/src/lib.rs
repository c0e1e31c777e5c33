//! Makes text of speech that comes over the bus: takes commands, has the core answer them, and
//! decides what becomes of each command afterwards.

mod clock;
mod commands;
pub mod engine;
mod measures;
pub mod settings;
mod worker;

pub use clock::SystemClock;
pub use measures::Measures;
pub use worker::{Limits, Worker};
