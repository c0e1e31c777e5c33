//! What speakr does, in terms of its ports.

pub mod capture;
pub mod silence;
