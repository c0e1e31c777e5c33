//! One module a subcommand: its arguments, and its figures as a table or JSON.

#![allow(clippy::print_stdout, clippy::print_stderr)]

pub(crate) mod accuracy;
pub(crate) mod bus;
pub(crate) mod first_text;
pub(crate) mod index_speed;
pub(crate) mod latency;
pub(crate) mod length;
pub(crate) mod query;
pub(crate) mod recall;
pub(crate) mod speed;
pub(crate) mod throughput;

use std::path::{Path, PathBuf};

use speakr_fastembed::{ModelFiles, OnnxRuntime, SentenceEmbedder};
use speakr_whisper::{EngineError, ModelBytes, WhisperEngine};

/// The bundled embedder's id and the longest sequence it was made for.
const EMBEDDER: &str = "all-minilm-l6-v2-int8-speakr";
const EMBEDDER_SEQUENCE: usize = 256;

/// Any failure of a measurement.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Prints an error with its causes.
pub(crate) fn print_error(error: &dyn std::error::Error) {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(c) = cause {
        eprint!(": {c}");
        cause = c.source();
    }
    eprintln!();
}

/// Where the program's own models are: in the source tree.
pub(crate) fn bundled_models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models")
}

/// Loads the model in `path`; its id is the file's name without "ggml-" and its ending.
pub(crate) fn load_engine(path: &Path, threads: usize) -> Result<WhisperEngine, EngineError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let id = name.trim_start_matches("ggml-");
    WhisperEngine::load(
        id,
        !id.contains(".en"),
        &ModelBytes::File(path.to_owned()),
        threads,
    )
}

/// Loads the bundled embedder.
pub(crate) fn bundled_embedder() -> Result<SentenceEmbedder, Failure> {
    let folder = bundled_models().join("all-minilm-l6-v2");
    let file = |name: &str| {
        std::fs::read(folder.join(name))
            .map(Into::into)
            .map_err(|e| format!("{}: {e}", folder.join(name).display()))
    };
    let files = ModelFiles {
        onnx: file("model_int8.onnx")?,
        tokenizer: file("tokenizer.json")?,
        config: file("config.json")?,
        special_tokens_map: file("special_tokens_map.json")?,
        tokenizer_config: file("tokenizer_config.json")?,
    };
    Ok(SentenceEmbedder::load(
        EMBEDDER,
        EMBEDDER_SEQUENCE,
        files,
        &OnnxRuntime::from_env(),
    )?)
}
