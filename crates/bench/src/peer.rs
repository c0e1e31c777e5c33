//! The peer: faster-whisper, run by a script of ours in its own Python.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// Why there are no figures of the peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Python can't be started.
    #[error("can't start {python}")]
    Start {
        /// Which.
        python: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The script failed.
    #[error("the peer failed: {0}")]
    Failed(String),
    /// It printed something else than its figures.
    #[error("the peer's figures can't be read")]
    Malformed(#[from] serde_json::Error),
}

/// What the peer did with the clips.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PeerRun {
    /// Its name and version.
    pub name: String,
    /// Processor seconds, without loading the model.
    pub cpu_s: f64,
    /// Most memory at once.
    pub peak_rss_mb: f64,
    /// What it heard, clip by clip.
    pub texts: Vec<String>,
}

/// Runs the peer over `clips`, one thread.
///
/// # Errors
/// [`PeerError`].
pub fn run(
    python: &Path,
    model: &Path,
    beam: usize,
    language: &str,
    clips: &[&Path],
) -> Result<PeerRun, PeerError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/faster_whisper_peer.py");
    let output = Command::new(python)
        .arg(script)
        .args([OsStr::new("--model"), model.as_os_str()])
        .args(["--beam", &beam.to_string(), "--language", language])
        .args(clips)
        .env("OMP_NUM_THREADS", "1")
        .output()
        .map_err(|cause| PeerError::Start {
            python: python.to_owned(),
            cause,
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(PeerError::Failed(said.trim().to_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_python_and_a_failing_one_are_told() {
        let run = |python: &str| {
            super::run(Path::new(python), Path::new("model"), 1, "en", &[]).unwrap_err()
        };
        assert!(matches!(
            run("/nonexistent/python"),
            PeerError::Start { .. }
        ));
        assert!(matches!(run("false"), PeerError::Failed(_)));
        assert!(matches!(run("true"), PeerError::Malformed(_)));
    }
}
