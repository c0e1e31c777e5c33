//! No ffmpeg stays behind, however speakr ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use speakr_core::ports::sound::{SoundDecoder as _, SoundInput};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder};
use support::{need, tone};

/// Names a file for the copy of this test that is killed.
const VICTIM: &str = "SPEAKR_TEST_VICTIM";

/// Ids of the processes whose command line holds `text`.
fn running(text: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
                String::from_utf8_lossy(&line).starts_with("/")
                    && String::from_utf8_lossy(&line).contains(text)
            })
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_source_that_is_dropped_takes_its_ffmpeg_along() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tone(folder.path(), "long.flac", 600);
    let name = format!("file:{}", path.display());
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    let mut source = decoder.open(&SoundInput::File(path)).await.unwrap();
    source.next().await.unwrap();
    assert_eq!(running(&name).len(), 1);
    drop(source);
    soon("ffmpeg goes on", || running(&name).is_empty());
}

/// The victim's ffmpeg waits on a pipe into which nobody writes: it doesn't notice by itself that
/// its reader is gone.
#[test]
fn kill_minus_nine_takes_ffmpeg_along() {
    if !need("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.wav");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let name = format!("file:{}", path.display());
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_victim", "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("opened")));
    soon("ffmpeg didn't start", || running(&name).len() == 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    soon("ffmpeg outlives speakr", || running(&name).is_empty());
}

/// Run by the test above in a process of its own; else there is nothing to do.
#[tokio::test]
async fn the_victim() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let decoder = FfmpegDecoder::new(Ffmpeg::from_env());
    let mut source = decoder.open(&SoundInput::File(path.into())).await.unwrap();
    println!("opened");
    source.next().await.unwrap();
}
