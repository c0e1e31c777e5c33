//! A folder of speech: WAV files and a table of what is said in them.

use std::path::{Path, PathBuf};

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A sound file isn't 16 kHz mono, 16 bits.
    #[error("{path} isn't a WAV file of 16 kHz, mono, 16 bits")]
    Sound {
        /// Which.
        path: PathBuf,
        /// What the reader said, where it failed.
        #[source]
        cause: Option<hound::Error>,
    },
    /// The table lacks a column.
    #[error("{path} has no column \"{column}\"")]
    Column {
        /// The table.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
    },
}

/// One sound with its reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// File name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Language code.
    pub language: String,
    /// What is said in it.
    pub transcript: String,
}

impl Clip {
    /// Its sound.
    ///
    /// # Errors
    /// [`ManifestError::Sound`] when it isn't 16 kHz, mono, 16 bits.
    pub fn pcm(&self) -> Result<Vec<i16>, ManifestError> {
        read_wav(&self.path)
    }
}

/// The samples of a WAV file of 16 kHz, mono, 16 bits.
///
/// # Errors
/// [`ManifestError::Sound`] when it is no such file.
pub fn read_wav(path: &Path) -> Result<Vec<i16>, ManifestError> {
    let wrong = |cause| ManifestError::Sound {
        path: path.to_owned(),
        cause,
    };
    let mut reader = hound::WavReader::open(path).map_err(|e| wrong(Some(e)))?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (16_000, 1, 16) {
        return Err(wrong(None));
    }
    reader
        .samples::<i16>()
        .collect::<Result<_, _>>()
        .map_err(|e| wrong(Some(e)))
}

/// Reads `manifest.tsv` of `folder`: columns `file`, `language` and `transcript` at least.
///
/// # Errors
/// [`ManifestError`] when it can't be read or lacks a column.
pub fn read(folder: &Path) -> Result<Vec<Clip>, ManifestError> {
    let path = folder.join("manifest.tsv");
    let text = std::fs::read_to_string(&path).map_err(|cause| ManifestError::Unreadable {
        path: path.clone(),
        cause,
    })?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |column| {
        header
            .iter()
            .position(|h| *h == column)
            .ok_or_else(|| ManifestError::Column {
                path: path.clone(),
                column,
            })
    };
    let (file, language, transcript) =
        (column("file")?, column("language")?, column("transcript")?);
    Ok(lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let name = *fields.get(file)?;
            Some(Clip {
                name: name.trim_end_matches(".wav").to_owned(),
                path: folder.join(name),
                language: (*fields.get(language)?).to_owned(),
                transcript: (*fields.get(transcript)?).to_owned(),
            })
        })
        .collect())
}
