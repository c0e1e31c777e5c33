//! Raw sound on disk: written as it comes, read back in pieces.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::{
        archive::{ArchiveError, SoundWriter},
        sound::{SoundError, SoundSource},
    },
};

use crate::fault;

/// Bytes of one sample.
const SAMPLE_BYTES: usize = 2;

/// Samples that one read takes: a second.
const READ_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// Writes s16le samples straight to the file: no buffer of this process holds any back.
#[derive(Debug)]
pub(crate) struct PcmWriter {
    file: Arc<File>,
    path: PathBuf,
    bytes: u64,
}

impl PcmWriter {
    /// Writes to `file`, which is empty and lies at `path`.
    pub(crate) fn new(file: File, path: PathBuf) -> Self {
        Self {
            file: Arc::new(file),
            path,
            bytes: 0,
        }
    }
}

impl PcmWriter {
    /// Goes on after the last whole sample in `file`, which lies at `path`.
    pub(crate) fn append(mut file: File, path: PathBuf) -> Result<Self, ArchiveError> {
        let length = file.metadata().map_err(fault::io("read", &path))?.len();
        let bytes = length - length % SAMPLE_BYTES as u64;
        file.set_len(bytes)
            .and_then(|()| file.seek(SeekFrom::Start(bytes)))
            .map_err(fault::io("write", &path))?;
        Ok(Self {
            file: Arc::new(file),
            path,
            bytes,
        })
    }
}

/// Writes all of `bytes`; on failure gives how many got there as well.
fn write_counted(mut file: &File, bytes: &[u8]) -> Result<(), (usize, std::io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&bytes[done..]) {
            Ok(0) => return Err((done, std::io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err((done, e)),
        }
    }
    Ok(())
}

#[async_trait]
impl SoundWriter for PcmWriter {
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        let bytes: Vec<u8> = pcm.iter().flat_map(|s| s.to_le_bytes()).collect();
        let (file, path, before) = (Arc::clone(&self.file), self.path.clone(), self.bytes);
        let len = bytes.len();
        let written = tokio::task::spawn_blocking(move || {
            write_counted(&file, &bytes).map_err(|(done, cause)| {
                // Half a sample would shift every sample after it, should space be freed and
                // writing go on. Cutting it off may fail like the write did; readers then drop it.
                let whole = before + (done - done % SAMPLE_BYTES) as u64;
                if done % SAMPLE_BYTES != 0 {
                    let _ = file.set_len(whole);
                }
                (whole, fault::io("write", &path)(cause))
            })
        })
        .await;
        match written {
            Ok(Ok(())) => {
                self.bytes = before + len as u64;
                Ok(())
            }
            Ok(Err((whole, error))) => {
                self.bytes = whole;
                Err(error)
            }
            Err(cause) => Err(ArchiveError::Io {
                action: "write",
                place: self.path.display().to_string(),
                cause: Box::new(cause),
            }),
        }
    }

    async fn sync(&mut self) -> Result<(), ArchiveError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        fault::blocking(move || file.sync_data().map_err(fault::io("sync", &path))).await
    }

    fn samples(&self) -> u64 {
        self.bytes / SAMPLE_BYTES as u64
    }
}

/// Reads s16le samples; an odd trailing byte (a write cut short) is dropped.
#[derive(Debug)]
pub(crate) struct PcmSource {
    file: Arc<File>,
    path: PathBuf,
    stopped: bool,
}

impl PcmSource {
    /// Reads the file at `path` from its start.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(fault::io("read", path))?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            stopped: false,
        })
    }
}

/// Reads until `READ_SAMPLES` are there or the file ends.
fn read_block(mut file: &File) -> std::io::Result<Vec<i16>> {
    let mut bytes = Vec::with_capacity(READ_SAMPLES * SAMPLE_BYTES);
    Read::by_ref(&mut file)
        .take((READ_SAMPLES * SAMPLE_BYTES) as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes
        .chunks_exact(SAMPLE_BYTES)
        .map(|s| i16::from_le_bytes([s[0], s[1]]))
        .collect())
}

#[async_trait]
impl SoundSource for PcmSource {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if self.stopped {
            return Ok(None);
        }
        let file = Arc::clone(&self.file);
        let broken = |cause: speakr_core::ports::BoxedCause| SoundError::Broken {
            input: self.path.display().to_string(),
            cause,
        };
        let samples = tokio::task::spawn_blocking(move || read_block(&file))
            .await
            .map_err(|e| broken(Box::new(e)))?
            .map_err(|e| broken(Box::new(e)))?;
        Ok((!samples.is_empty()).then_some(samples))
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_odd_trailing_byte_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audio.pcm");
        std::fs::write(&path, [1, 0, 2, 0, 3]).unwrap();
        let mut source = PcmSource::open(&path).unwrap();
        assert_eq!(source.next().await.unwrap(), Some(vec![1, 2]));
        assert_eq!(source.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn samples_are_in_the_file_as_soon_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audio.pcm");
        let mut writer = PcmWriter::new(File::create_new(&path).unwrap(), path.clone());
        writer.write(&[1, -2]).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [1, 0, 0xfe, 0xff]);
        assert_eq!(writer.samples(), 2);
        writer.sync().await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_device_is_told_as_full_and_counts_no_sample() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut writer = PcmWriter::new(file, path);
        let error = writer.write(&[0; 1_600]).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
        assert_eq!(writer.samples(), 0);
    }
}
