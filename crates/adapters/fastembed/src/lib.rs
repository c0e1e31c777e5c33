//! Sentence embedder on fastembed.
