//! Sound for load measurements.

use std::path::Path;

use crate::load::Failure;

/// Samples a second.
const RATE: u32 = 16_000;

/// `samples` (16 kHz mono) as a WAV file.
#[must_use]
pub fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend([1, 0, 1, 0]);
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    // Two bytes a sample.
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// The samples of a WAV file of that kind.
///
/// # Errors
/// When it isn't one.
pub fn read(path: &Path) -> Result<Vec<i16>, Failure> {
    let mut reader = hound::WavReader::open(path)?;
    Ok(reader.samples::<i16>().collect::<Result<_, _>>()?)
}

/// The same speech with a little noise of its own: no two numbers give the same bytes.
#[must_use]
pub fn variant(samples: &[i16], number: u64) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(number);
    samples
        .iter()
        .map(|sample| sample.saturating_add(random.i16(-8..=8)))
        .collect()
}
