//! Telemetry by OTLP over HTTP: where a request went and how long each hop took, and what was measured.
//! It goes to the collector that is named, and nowhere where none is.

mod collector;
mod ending;
pub mod metrics;
pub mod traces;

pub use collector::{Collector, OtlpError};
pub use ending::last;
