//! What speakr does, in terms of its ports.

pub mod capture;
pub mod library;
pub mod recordings;
pub mod remembered;
pub mod silence;
pub mod transcribe;
