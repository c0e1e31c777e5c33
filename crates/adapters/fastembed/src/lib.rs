//! Sentence embedder on fastembed: texts to vectors, in this process.
//!
//! fastembed tokenises, pools and normalises; the graph itself runs on [tract], in pure Rust, so
//! that no ONNX Runtime library has to be shipped. Whoever has one can name it
//! ([`OnnxRuntime::Library`]).
//!
//! [tract]: https://github.com/sonos/tract

mod embedder;
mod error;
mod graph;
mod runtime;

pub use embedder::{ModelFiles, SentenceEmbedder};
pub use error::EmbedderError;
pub use runtime::OnnxRuntime;
