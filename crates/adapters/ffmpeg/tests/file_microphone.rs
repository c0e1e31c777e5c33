//! A file as the microphone: it plays by the clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::{Duration, Instant};

use speakr_core::{
    audio::{SAMPLE_RATE_HZ, samples_to_duration},
    ports::sound::{Device, Microphone as _, SoundError},
};
use speakr_ffmpeg::{Ffmpeg, FfmpegMicrophone};
use support::{all, error_of, need, tone};

fn microphone() -> FfmpegMicrophone {
    FfmpegMicrophone::new(Ffmpeg::from_env())
}

#[tokio::test]
async fn it_plays_in_real_time_in_small_chunks_and_ends_with_the_file() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "a.mp3", 2);
    let mut source = microphone().open(&Device::File(path)).await.unwrap();
    let first = source.next().await.unwrap().unwrap();
    let begun = Instant::now();
    assert_eq!(first.len(), 320, "20 ms");
    let mut heard = first.len() as u64;
    while let Some(chunk) = source.next().await.unwrap() {
        assert!(chunk.len() <= 320);
        // Never ahead of the clock.
        let ahead = samples_to_duration(heard).saturating_sub(begun.elapsed());
        assert!(ahead < Duration::from_millis(25), "{ahead:?} ahead");
        heard += chunk.len() as u64;
    }
    assert!(
        heard.abs_diff(u64::from(2 * SAMPLE_RATE_HZ)) < 3200,
        "{heard} samples"
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(1850),
        "{:?}",
        begun.elapsed()
    );
    assert!(source.next().await.unwrap().is_none());
}

#[tokio::test]
async fn after_a_stall_it_catches_up_with_the_clock() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "a.wav", 2);
    let mut source = microphone().open(&Device::File(path)).await.unwrap();
    source.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    // What was missed comes without waiting for the clock again.
    let begun = Instant::now();
    let mut missed = 0;
    while missed < 12_000 {
        missed += source.next().await.unwrap().unwrap().len();
    }
    assert!(
        begun.elapsed() < Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn stopping_gives_what_was_spoken_until_then_and_no_more() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "a.wav", 30);
    let mut source = microphone().open(&Device::File(path)).await.unwrap();
    let first = source.next().await.unwrap().unwrap();
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    source.stop().await;
    let spoken = begun.elapsed();
    let rest = all(source).await;
    let heard = samples_to_duration((first.len() + rest.len()) as u64);
    assert!(
        heard.abs_diff(spoken) < Duration::from_millis(60),
        "{heard:?} of {spoken:?}"
    );
}

#[tokio::test]
async fn a_call_that_is_given_up_loses_no_sound() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "a.wav", 1);
    let mut source = microphone().open(&Device::File(path)).await.unwrap();
    let mut heard = 0;
    loop {
        // Most of these are given up while the chunk's time hasn't come.
        match tokio::time::timeout(Duration::from_millis(3), source.next()).await {
            Ok(Ok(Some(chunk))) => heard += chunk.len(),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => {}
        }
    }
    assert_eq!(heard, SAMPLE_RATE_HZ as usize);
}

#[tokio::test]
async fn a_missing_file_is_told_at_once() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let error = error_of(
        microphone()
            .open(&Device::File("/nowhere/a.wav".into()))
            .await,
    );
    assert!(matches!(error, SoundError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn without_ffmpeg_the_line_that_installs_it_is_given() {
    let microphone = FfmpegMicrophone::new(Ffmpeg::new(Some("no-such-ffmpeg".into())));
    for error in [
        error_of(microphone.open(&Device::Default).await),
        error_of(microphone.open(&Device::File("/dev/null".into())).await),
        error_of(microphone.devices().await),
    ] {
        let text = error.to_string();
        assert!(
            matches!(error, SoundError::MissingProgram { .. }),
            "{error:?}"
        );
        assert!(
            text.contains("install") && text.contains("ffmpeg"),
            "{text}"
        );
    }
}
