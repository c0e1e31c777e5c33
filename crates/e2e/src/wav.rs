//! 16 kHz mono 16-bit WAV files, the one kind that tests make.

use std::{fs, path::Path};

/// Samples a second.
pub const RATE: u32 = 16_000;

/// Reads a file of that kind, skipping what other chunks it has.
///
/// # Panics
/// When it isn't one.
#[must_use]
pub fn read(path: &Path) -> Vec<i16> {
    let bytes = fs::read(path).expect("a WAV file");
    samples(&bytes).unwrap_or_else(|| panic!("{} has no samples", path.display()))
}

/// The samples of a file of that kind, where it has any.
#[must_use]
pub fn samples(bytes: &[u8]) -> Option<Vec<i16>> {
    let mut at = 12;
    while at + 8 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().ok()?);
        let body = at + 8;
        let end = (body + length as usize).min(bytes.len());
        if &bytes[at..at + 4] == b"data" {
            return Some(
                bytes[body..end]
                    .chunks_exact(2)
                    .map(|b| i16::from_le_bytes([b[0], b[1]]))
                    .collect(),
            );
        }
        at = end + (length as usize & 1);
    }
    None
}

/// Writes such a file.
///
/// # Panics
/// When it can't be written.
pub fn write(path: &Path, pcm: &[i16]) {
    let data = u32::try_from(pcm.len() * 2).expect("a short sound");
    let mut bytes = Vec::with_capacity(44 + pcm.len() * 2);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + data).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    for value in [1_u16, 1] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&RATE.to_le_bytes());
    bytes.extend_from_slice(&(RATE * 2).to_le_bytes());
    for value in [2_u16, 16] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for sample in pcm {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    fs::write(path, bytes).expect("a scratch folder takes files");
}
