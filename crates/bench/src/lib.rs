//! Measures speakr, side by side with a peer.

pub mod accuracy;
pub mod index_speed;
pub mod manifest;
pub mod normaliser;
pub mod process_cpu;
pub mod recall;
pub mod wer;
