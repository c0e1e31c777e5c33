//! Speech engine on whisper.cpp, and Silero voice activity detection.

pub mod cpu;
mod engine;
mod free_cores;
mod header;
mod log_hook;
mod memory;
mod params;
mod prompt;
mod repetition;
mod silero;
mod tokens;

use std::path::PathBuf;

pub use self::{
    engine::{EngineError, WhisperEngine},
    prompt::CappedPrompt,
    silero::{SileroDetector, SileroModel, SileroModelError},
};

/// Where a model's bytes are.
#[derive(Debug, Clone)]
pub enum ModelBytes {
    /// In the program itself.
    Static(&'static [u8]),
    /// In a file.
    File(PathBuf),
}
