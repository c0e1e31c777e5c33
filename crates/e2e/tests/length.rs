//! Three hours of sound: memory must not grow with length.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(target_os = "linux")]

use std::{fs, process::Command, thread, time::Duration};

use speakr_e2e::{Speakr, clip};

/// The promise of the README.
const MOST_MEMORY_MB: u64 = 500;

fn ffmpeg(args: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-y"])
        .args(args)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Greatest resident memory of a process so far, where it still runs.
fn peak_memory_mb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kb| kb / 1_024)
}

/// Speech at the beginning, after an hour and a half and nowhere else, so that the engine has
/// little to do; the sound itself is read, kept and compressed whole.
#[test]
fn three_hours_of_sound_stay_below_the_promised_memory() {
    let speakr = Speakr::new();
    let half = speakr.scratch().join("half.flac");
    let whole = speakr.scratch().join("three hours.flac");
    let speech = clip("jfk.wav");
    ffmpeg(&[
        "-i",
        speech.to_str().unwrap(),
        "-af",
        "apad=whole_dur=5400",
        half.to_str().unwrap(),
    ]);
    ffmpeg(&[
        "-stream_loop",
        "1",
        "-i",
        half.to_str().unwrap(),
        "-c",
        "copy",
        whole.to_str().unwrap(),
    ]);
    let mut running = speakr.start(["transcribe", "--json", whole.to_str().unwrap()]);
    let mut peak = 0;
    while running.is_running() {
        peak = peak.max(peak_memory_mb(running.pid()).unwrap_or(0));
        thread::sleep(Duration::from_millis(100));
    }
    let transcript = running.wait().success().json();
    let seconds = transcript["duration_ms"].as_u64().unwrap() / 1_000;
    assert!((10_790..=10_810).contains(&seconds), "{seconds} s");
    let segments = transcript["segments"].as_array().unwrap();
    let late: Vec<_> = segments
        .iter()
        .filter(|s| s["start_ms"].as_u64().unwrap() > 5_000_000)
        .collect();
    assert!(
        !late.is_empty() && late.len() < segments.len(),
        "{segments:?}"
    );
    for segment in &late {
        let start = segment["start_ms"].as_u64().unwrap();
        assert!((5_399_000..5_412_000).contains(&start), "{segment}");
    }
    println!("peak memory {peak} MB");
    assert!(peak > 50 && peak < MOST_MEMORY_MB, "{peak} MB");
}
