//! The model registry: bundled, on disk, or downloaded and verified.
