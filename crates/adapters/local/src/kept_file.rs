//! Kept sound as a file that is read from anywhere in it.

use std::{fs, io::SeekFrom, ops::Range, path::PathBuf, time::UNIX_EPOCH};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use speakr_core::ports::archive::{ArchiveError, Pieces, SoundFile, SoundForm};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::fault;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A file of the archive, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct KeptFile {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
    version: String,
}

impl KeptFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, ArchiveError> {
        let failed = || fault::io("read", &path);
        let file = fs::File::open(&path).map_err(failed())?;
        let meta = file.metadata().map_err(failed())?;
        let changed_ms = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_millis());
        Ok(Self {
            bytes: meta.len(),
            version: format!("{:x}-{changed_ms:x}", meta.len()),
            path,
            file,
        })
    }
}

#[async_trait]
impl SoundFile for KeptFile {
    fn form(&self) -> SoundForm {
        match self.path.extension().and_then(|e| e.to_str()) {
            Some("flac") => SoundForm::Flac,
            _ => SoundForm::Raw,
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    async fn read(&self, range: Range<u64>) -> Result<Pieces, ArchiveError> {
        let path = self.path.clone();
        let failed = move |cause| fault::io("read", &path)(cause);
        let file = self.file.try_clone().map_err(&failed)?;
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(range.start))
            .await
            .map_err(&failed)?;
        let rest = file.take(range.end.saturating_sub(range.start));
        let pieces = stream::try_unfold(rest, move |mut rest| {
            let failed = failed.clone();
            async move {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                while piece.len() < PIECE_BYTES && rest.limit() > 0 {
                    if rest.read_buf(&mut piece).await.map_err(&failed)? == 0 {
                        break;
                    }
                }
                Ok((!piece.is_empty()).then_some((piece, rest)))
            }
        });
        Ok(pieces.boxed())
    }
}
