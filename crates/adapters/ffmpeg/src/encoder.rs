//! Samples to FLAC.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::sound::{SoundEncoder, SoundError},
};

use crate::{
    complaint::Complaint, decoder::file_url, explain::broken, process::run, program::Ffmpeg,
    sandbox::Bounds,
};

/// Encoding is some hundred times as fast as speech; a day of sound stays far below.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Compresses raw samples to FLAC. The result appears whole, on disk, or not at all.
#[derive(Debug, Clone, Default)]
pub struct FlacEncoder {
    ffmpeg: Ffmpeg,
}

impl FlacEncoder {
    /// An encoder on this ffmpeg.
    #[must_use]
    pub fn new(ffmpeg: Ffmpeg) -> Self {
        Self { ffmpeg }
    }

    async fn encode(&self, pcm: &Path, part: &Path) -> Result<(), SoundError> {
        let input = pcm.display().to_string();
        let rate = SAMPLE_RATE_HZ.to_string();
        let mut command = self.ffmpeg.command()?;
        command
            .args([
                "-v",
                "error",
                "-nostats",
                "-nostdin",
                "-y",
                "-protocol_whitelist",
                "file",
            ])
            .args(["-f", "s16le", "-ar", &rate, "-ac", "1", "-i"])
            .arg(file_url(pcm))
            .args([
                "-c:a",
                "flac",
                "-compression_level",
                "5",
                "-bitexact",
                "-f",
                "flac",
            ])
            .arg(file_url(part));
        let exit = run(command, Bounds::default(), PATIENCE)
            .await
            .map_err(|cause| broken(&input, cause))?
            .exit;
        let complaint = Complaint::of(&exit);
        // ffmpeg may write on, and end well, after the disk was full.
        if complaint == Complaint::Full {
            return Err(broken(&input, io::ErrorKind::StorageFull.into()));
        }
        if !exit.status.success() {
            let said = exit.complaints.trim().to_owned();
            return Err(broken(
                &input,
                io::Error::other(format!("ffmpeg failed: {said}")),
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl SoundEncoder for FlacEncoder {
    /// A full disk is [`SoundError::Broken`] with an [`io::Error`] of the kind `StorageFull`.
    async fn pcm_to_flac(&self, pcm: &Path, flac: &Path) -> Result<(), SoundError> {
        let input = pcm.display().to_string();
        let bytes = fs::metadata(pcm)
            .map_err(|cause| SoundError::Unreadable {
                input: input.clone(),
                reason: cause.to_string(),
            })?
            .len();
        if bytes < 2 {
            return Err(SoundError::NotSound {
                input,
                reason: "it is empty".into(),
            });
        }
        let part = Part(beside(flac));
        self.encode(pcm, &part.0).await?;
        let flac = flac.to_owned();
        tokio::task::spawn_blocking(move || finish(&part, &flac, bytes / 2))
            .await
            .map_err(io::Error::other)
            .and_then(|finished| finished)
            .map_err(|cause| broken(&input, cause))
    }
}

/// A file that is being written; removed unless it got its lasting name.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.0.display(), %error, "a leftover can't be removed");
            }
            _ => {}
        }
    }
}

/// "audio.flac" → "audio.flac.part", in the same folder so that it can be renamed.
fn beside(flac: &Path) -> PathBuf {
    let mut name = flac.file_name().map(OsString::from).unwrap_or_default();
    name.push(".part");
    flac.with_file_name(name)
}

fn finish(part: &Part, flac: &Path, samples: u64) -> io::Result<()> {
    let file = File::open(&part.0)?;
    let written = total_samples(&file)?;
    if written != samples {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{written} of {samples} samples were encoded"),
        ));
    }
    file.sync_all()?;
    fs::rename(&part.0, flac)?;
    #[cfg(unix)]
    if let Some(folder) = flac
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The number of samples that a FLAC file says it has: the low 36 bits of bytes 10 to 17 of
/// STREAMINFO, which follows "fLaC" and a four-byte block header (RFC 9639, 8.2).
fn total_samples(mut file: &File) -> io::Result<u64> {
    let mut head = [0_u8; 26];
    file.read_exact(&mut head)?;
    let [b'f', b'L', b'a', b'C', kind, .., a, b, c, d, e, f, g, h] = head else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if kind & 0x7f != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]) & 0x000F_FFFF_FFFF)
}
