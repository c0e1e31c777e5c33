//! What the use cases need of the world, as traits. Adapters implement them.

pub mod access;
pub mod archive;
pub mod clipboard;
pub mod clock;
pub mod condemned;
pub mod copies;
pub mod embedding;
pub mod index;
pub mod platform;
pub mod sound;
pub mod speech;
pub mod transcription;
pub mod voice_activity;

/// The cause of a port's error, as the adapter's own typed error.
pub type BoxedCause = Box<dyn std::error::Error + Send + Sync + 'static>;
