//! Measures speakr, side by side with a peer.

pub mod accuracy;
pub mod index_speed;
pub mod latency;
pub mod load;
pub mod manifest;
pub mod normaliser;
pub mod peer;
pub mod process_cpu;
pub mod program;
pub mod recall;
pub mod sound;
pub mod text_index;
pub mod thresholds;
pub mod wer;
