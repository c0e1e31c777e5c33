//! Transcription and embedding by any API that is compatible with OpenAI's: by OpenAI, or by a
//! server of one's own.
//!
//! What is sent leaves this machine for the server that `OPENAI_BASE_URL` names. Nothing chooses
//! this adapter by itself.

mod client;
mod embedder;
mod engine;
mod error;
mod transcription;
mod wire;

pub use client::{ApiKey, OpenAiClient, OpenAiConfig};
pub use embedder::OpenAiEmbedder;
pub use engine::OpenAiEngine;
pub use error::OpenAiError;
pub use transcription::OpenAiTranscription;
