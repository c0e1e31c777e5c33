//! The hexagon of speakr: domain types, ports (traits) and use cases.
//!
//! Nothing here knows a technology. Engines, files, databases and buses come in through the
//! traits of [`ports`]; the apps under `crates/apps` are the only places where both meet.

pub mod audio;
pub mod export;
pub mod keywords;
pub mod languages;
pub mod passages;
pub mod ports;
pub mod recording;
pub mod search;
pub mod segmenter;
pub mod transcript;
pub mod usecases;

pub use recording::{CorrelationId, Recording, RecordingId, RecordingState, Tags};
pub use transcript::{Language, Segment, Transcript, Word};
