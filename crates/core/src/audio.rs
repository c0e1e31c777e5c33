//! The one sound format inside speakr: 16 kHz, mono, signed 16-bit samples.

use std::time::Duration;

/// Samples per second of all sound inside speakr (what Whisper and Silero VAD are trained on).
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Samples in one millisecond.
pub const SAMPLES_PER_MS: u64 = (SAMPLE_RATE_HZ / 1_000) as u64;

/// Length of `samples` in whole milliseconds.
#[must_use]
pub const fn samples_to_ms(samples: u64) -> u64 {
    samples / SAMPLES_PER_MS
}

/// Number of samples in `ms` milliseconds.
#[must_use]
pub const fn ms_to_samples(ms: u64) -> u64 {
    ms * SAMPLES_PER_MS
}

/// Length of `samples` as a duration.
#[must_use]
pub const fn samples_to_duration(samples: u64) -> Duration {
    Duration::from_millis(samples_to_ms(samples))
}

/// The floor of [`level_dbfs`]: what digital silence measures.
pub const SILENCE_DBFS: f32 = -96.0;

/// Root-mean-square level of `pcm` in dB relative to full scale, from [`SILENCE_DBFS`] to 0.
#[must_use]
pub fn level_dbfs(pcm: &[i16]) -> f32 {
    if pcm.is_empty() {
        return SILENCE_DBFS;
    }
    let energy: f64 = pcm.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    let rms = (energy / pcm.len() as f64).sqrt() / f64::from(i16::MAX);
    if rms <= 0.0 {
        return SILENCE_DBFS;
    }
    (20.0 * rms.log10()).clamp(f64::from(SILENCE_DBFS), 0.0) as f32
}

/// Samples scaled to the range −1 … 1, as the engines take them.
#[must_use]
pub fn to_f32(pcm: &[i16]) -> Vec<f32> {
    pcm.iter().map(|&s| f32::from(s) / 32_768.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_measures_the_floor_and_full_scale_measures_zero() {
        assert_eq!(level_dbfs(&[0; 160]), SILENCE_DBFS);
        assert_eq!(level_dbfs(&[]), SILENCE_DBFS);
        assert!(level_dbfs(&[i16::MAX; 160]).abs() < 0.01);
    }

    #[test]
    fn milliseconds_and_samples_convert_both_ways() {
        assert_eq!(ms_to_samples(1_000), u64::from(SAMPLE_RATE_HZ));
        assert_eq!(samples_to_ms(ms_to_samples(1_234)), 1_234);
    }
}
