//! Sound in the store: written in pieces as it comes, read back as a stream.

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::{
        archive::{ArchiveError, SoundWriter},
        sound::{SoundError, SoundSource},
    },
};

use crate::{archive::Keys, store::Store, wav::SAMPLE_BYTES};

/// Bytes that are gathered before they go into an object: five seconds.
const PIECE_BYTES: usize = 5 * SAMPLE_RATE_HZ as usize * SAMPLE_BYTES as usize;

/// A piece of raw sound: an object named by the number of its first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) key: String,
    pub(crate) bytes: u64,
}

/// The pieces of a recording in order; `None` when its raw sound was never begun.
pub(crate) async fn pieces(store: &Store, keys: &Keys) -> Result<Option<Vec<Piece>>, ArchiveError> {
    let prefix = keys.raw_sound();
    let mut begun = false;
    let mut pieces = Vec::new();
    let mut samples = 0;
    for object in store.list(&prefix).await? {
        begun = true;
        if object.key == keys.raw_begun() {
            continue;
        }
        if object.key != keys.raw_piece(samples) || object.bytes % SAMPLE_BYTES != 0 {
            return Err(ArchiveError::Damaged {
                place: store.place(&object.key),
                reason: format!("a piece that begins with sample {samples} was expected"),
            });
        }
        samples += object.bytes / SAMPLE_BYTES;
        pieces.push(Piece {
            key: object.key,
            bytes: object.bytes,
        });
    }
    Ok(begun.then_some(pieces))
}

/// Writes sound in pieces.
#[derive(Debug)]
pub(crate) struct PieceWriter {
    store: Store,
    keys: Keys,
    /// Samples in the store.
    kept: u64,
    pending: Vec<u8>,
    /// How much of `pending` a write that failed was of. The store may have it all the same, so it is
    /// written again as it was, and what came since after it.
    tried: usize,
}

impl PieceWriter {
    /// Goes on after `kept` samples.
    pub(crate) fn new(store: Store, keys: Keys, kept: u64) -> Self {
        Self {
            store,
            keys,
            kept,
            pending: Vec::new(),
            tried: 0,
        }
    }

    async fn flush(&mut self) -> Result<(), ArchiveError> {
        while !self.pending.is_empty() {
            if self.tried == 0 {
                self.tried = self.pending.len();
            }
            let piece = self.pending[..self.tried].to_vec();
            // Never over another's piece: two replicas that believe to hold one recording would mix
            // their sound.
            let key = self.keys.raw_piece(self.kept);
            self.store
                .put_new(&key, piece, "application/octet-stream")
                .await?;
            // Who writes may be killed before it comes to a sync: no piece is left then that a deletion
            // has missed. Where this can't be asked, the same piece goes again.
            self.keys.still_there(&self.store).await?;
            self.pending.drain(..self.tried);
            self.kept += self.tried as u64 / SAMPLE_BYTES;
            self.tried = 0;
        }
        Ok(())
    }
}

#[async_trait]
impl SoundWriter for PieceWriter {
    async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        self.pending
            .extend(pcm.iter().flat_map(|s| s.to_le_bytes()));
        if self.pending.len() < PIECE_BYTES {
            return Ok(());
        }
        self.flush().await
    }

    async fn sync(&mut self) -> Result<(), ArchiveError> {
        self.flush().await?;
        self.keys.still_there(&self.store).await
    }

    fn samples(&self) -> u64 {
        self.kept + self.pending.len() as u64 / SAMPLE_BYTES
    }
}

/// Reads sound from the objects `keys`, one after the other.
pub(crate) struct ObjectSource {
    store: Store,
    keys: std::vec::IntoIter<String>,
    open: Option<(String, ByteStream)>,
    /// Bytes at the start of the first object that are no sound.
    skip: usize,
    /// Half a sample, at the edge of two reads.
    rest: Vec<u8>,
    stopped: bool,
}

impl ObjectSource {
    pub(crate) fn new(store: Store, keys: Vec<String>, skip: usize) -> Self {
        Self {
            store,
            keys: keys.into_iter(),
            open: None,
            skip,
            rest: Vec::new(),
            stopped: false,
        }
    }

    async fn read(&mut self) -> Result<Option<Vec<u8>>, SoundError> {
        loop {
            if let Some((key, stream)) = &mut self.open {
                let broken = |cause| SoundError::Broken {
                    input: self.store.place(key),
                    cause,
                };
                match stream.try_next().await.map_err(|e| broken(e.into()))? {
                    Some(bytes) => return Ok(Some(bytes.to_vec())),
                    None => self.open = None,
                }
            }
            let Some(key) = self.keys.next() else {
                return Ok(None);
            };
            let broken = |cause| SoundError::Broken {
                input: self.store.place(&key),
                cause,
            };
            let object = self
                .store
                .open_object(&key)
                .await
                .map_err(|e| broken(e.into()))?
                .ok_or_else(|| broken("it is gone".into()))?;
            self.open = Some((key, object.body));
        }
    }
}

#[async_trait]
impl SoundSource for ObjectSource {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        while !self.stopped {
            let Some(mut bytes) = self.read().await? else {
                return Ok(None);
            };
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes.drain(..skipped);
            let mut all = std::mem::take(&mut self.rest);
            all.extend(bytes);
            if all.len() % 2 == 1 {
                self.rest.extend(all.pop());
            }
            if !all.is_empty() {
                let samples = all
                    .chunks_exact(2)
                    .map(|s| i16::from_le_bytes([s[0], s[1]]));
                return Ok(Some(samples.collect()));
            }
        }
        Ok(None)
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}
