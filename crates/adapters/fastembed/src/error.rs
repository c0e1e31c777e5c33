//! Why there is no embedder.

use std::path::PathBuf;

/// Why a sentence embedder can't be loaded or doesn't answer.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The model file isn't an ONNX model.
    #[error("the embedding model \"{model}\" isn't an ONNX model: {reason}")]
    NotOnnx {
        /// Which model.
        model: String,
        /// What the parser said.
        reason: String,
    },
    /// One of the files beside the model isn't what it should be.
    #[error("{file} of the embedding model \"{model}\" can't be used: {reason}")]
    BadFile {
        /// Which model.
        model: String,
        /// Which of its files.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// fastembed, or the runtime beneath it, refused the model.
    #[error("the embedding model \"{model}\" can't be loaded")]
    Load {
        /// Which model.
        model: String,
        /// fastembed's own error.
        #[source]
        cause: fastembed::Error,
    },
    /// The model failed on a text.
    #[error("the embedding model \"{model}\" gave no vectors")]
    Run {
        /// Which model.
        model: String,
        /// fastembed's own error.
        #[source]
        cause: fastembed::Error,
    },
    /// The model gave vectors of another length or number than it should.
    #[error("the embedding model \"{model}\" gave {got}, not {expected}")]
    WrongShape {
        /// Which model.
        model: String,
        /// What came.
        got: String,
        /// What should have come.
        expected: String,
    },
    /// The thread that embeds ended before it answered.
    #[error("the embedding thread ended early: {reason}")]
    Thread {
        /// What tokio said.
        reason: String,
    },
    /// The ONNX Runtime library that was named can't be used.
    #[error("the ONNX Runtime library {path} can't be used: {reason}")]
    Library {
        /// Which library.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// This process has already chosen another runtime; it can have only one.
    #[error("this process already runs ONNX models on {current}")]
    RuntimeChosen {
        /// The one in use.
        current: String,
    },
}
