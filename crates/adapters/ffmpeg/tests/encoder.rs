//! Samples to FLAC and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{fs, path::Path};

use speakr_core::ports::sound::{SoundDecoder as _, SoundEncoder as _, SoundError, SoundInput};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FlacEncoder};
use support::{all, error_of, need};

fn encoder() -> FlacEncoder {
    FlacEncoder::new(Ffmpeg::from_env())
}

/// Something between a tone and noise.
fn samples(count: usize) -> Vec<i16> {
    (0..count as u64)
        .map(|i| {
            let tone = ((i as f64 * 0.17).sin() * 8000.0) as i16;
            tone.wrapping_add((i.wrapping_mul(6_364_136_223_846_793_005) >> 54) as i16)
        })
        .collect()
}

fn write(path: &Path, samples: &[i16]) {
    fs::write(
        path,
        samples
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect::<Vec<u8>>(),
    )
    .unwrap();
}

#[tokio::test]
async fn samples_come_back_bit_by_bit_and_the_original_stays() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (pcm, flac) = (
        folder.path().join("-audio 🎙.pcm"),
        folder.path().join("-audio 🎙.flac"),
    );
    for count in [1, 15, 16_000 * 3 + 7] {
        let given = samples(count);
        write(&pcm, &given);
        encoder().pcm_to_flac(&pcm, &flac).await.unwrap();
        let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
        let back = all(decoder.open(&SoundInput::File(flac.clone())).await.unwrap()).await;
        assert_eq!(back, given);
        assert!(pcm.exists());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "a leftover"
        );
    }
}

#[tokio::test]
async fn half_a_sample_at_the_end_does_no_harm() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (pcm, flac) = (folder.path().join("a.pcm"), folder.path().join("a.flac"));
    write(&pcm, &samples(1600));
    let mut bytes = fs::read(&pcm).unwrap();
    bytes.push(1);
    fs::write(&pcm, bytes).unwrap();
    encoder().pcm_to_flac(&pcm, &flac).await.unwrap();
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    assert_eq!(
        all(decoder.open(&SoundInput::File(flac)).await.unwrap()).await,
        samples(1600)
    );
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (pcm, flac) = (folder.path().join("a.pcm"), folder.path().join("a.flac"));
    let missing = error_of(encoder().pcm_to_flac(&pcm, &flac).await);
    assert!(
        matches!(missing, SoundError::Unreadable { .. }),
        "{missing:?}"
    );
    fs::write(&pcm, b"").unwrap();
    let empty = error_of(encoder().pcm_to_flac(&pcm, &flac).await);
    assert!(matches!(empty, SoundError::NotSound { .. }), "{empty:?}");
    write(&pcm, &samples(1600));
    let nowhere = folder.path().join("no folder").join("a.flac");
    error_of(encoder().pcm_to_flac(&pcm, &nowhere).await);
    assert!(!flac.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// /dev/full answers every write with "no space left on device".
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_and_the_original_stays() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (pcm, flac) = (folder.path().join("a.pcm"), folder.path().join("a.flac"));
    let given = samples(200_000);
    write(&pcm, &given);
    std::os::unix::fs::symlink("/dev/full", folder.path().join("a.flac.part")).unwrap();
    let error = error_of(encoder().pcm_to_flac(&pcm, &flac).await);
    let SoundError::Broken { cause, .. } = &error else {
        panic!("{error:?}")
    };
    let cause = cause.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull, "{cause}");
    assert!(!flac.exists());
    assert_eq!(fs::metadata(&pcm).unwrap().len(), 400_000);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a leftover"
    );
}
