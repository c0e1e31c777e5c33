//! What must survive: kills while a recording is being saved, and clocks that jump.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

#[cfg(target_os = "linux")]
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use std::{thread, time::Instant};

use serde_json::Value;
#[cfg(target_os = "linux")]
use speakr_e2e::requirement;
use speakr_e2e::{
    Speakr, clip,
    program::{Running, microphone},
};

fn says(text: &Value, words: &str) -> bool {
    text.as_str()
        .unwrap_or_default()
        .to_lowercase()
        .contains(words)
}

/// Starts recording a short clip; gives the program when all of the sound is in.
fn until_saving(speakr: &Speakr) -> Running {
    let device = microphone("austen-0880.wav");
    let mut recording = speakr.start(["record", "--json", "--device", &device]);
    recording.wait_for("Transcribing");
    recording
}

#[test]
fn a_kill_at_any_moment_of_the_save_loses_nothing_and_doubles_nothing() {
    // How long the whole save takes here; the kills are spread over it.
    let whole = Speakr::new();
    let recording = until_saving(&whole);
    let began = Instant::now();
    let _ = recording.wait().success();
    let save = began.elapsed();

    let kills = 8_u32;
    let mut states = Vec::new();
    for kill in 0..kills {
        let speakr = Speakr::new();
        let recording = until_saving(&speakr);
        thread::sleep(save * kill / (kills - 1));
        recording.signal("KILL");
        drop(recording);

        let found = speakr.listed();
        assert_eq!(found.len(), 1, "kill {kill}: {found:?}");
        let folder = speakr.home().join("recordings");
        let folder = folder.join(found[0]["recording_id"].as_str().unwrap());
        if folder.join("transcript.json").is_file() {
            // Nobody has to wait for a retry.
            assert_eq!(found[0]["state"], "transcribed", "kill {kill}: {found:?}");
            let search = speakr.run(["search", "--json", "young man"]).success();
            assert_eq!(search.json()["count"], 1, "kill {kill}");
        }
        states.push(found[0]["state"].as_str().unwrap().to_owned());
        let _ = speakr.run(["retry", "--json"]).success();
        let mended = speakr.listed();
        assert_eq!(mended.len(), 1, "kill {kill}: {mended:?}");
        assert_eq!(mended[0]["state"], "transcribed", "kill {kill}: {mended:?}");
        assert_eq!(mended[0]["recording_id"], found[0]["recording_id"]);
        assert!(
            says(&mended[0]["text"], "young man"),
            "kill {kill}: {mended:?}"
        );
        let results = speakr
            .run(["search", "--json", "young man"])
            .success()
            .json();
        assert_eq!(results["count"], 1, "kill {kill}: {results}");
        assert!(folder.join("audio.flac").is_file(), "kill {kill}");
        assert!(!folder.join("audio.pcm").exists(), "kill {kill}: one sound");
    }
    println!("killed after Enter in states {states:?}, over {save:?}");
    assert!(
        states.iter().any(|state| state != "transcribed"),
        "no kill came before the end of the save: {states:?}"
    );
}

/// The library that lets a program see another time of day.
#[cfg(target_os = "linux")]
fn fake_time() -> Option<PathBuf> {
    requirement::need("faketime", "faketime")?;
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
    folders
        .iter()
        .flat_map(|folder| {
            let mut places = vec![Path::new(folder).join("faketime")];
            places.extend(
                fs::read_dir(folder)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path().join("faketime")),
            );
            places
        })
        .map(|folder| folder.join("libfaketime.so.1"))
        .find(|path| path.is_file())
}

#[cfg(target_os = "linux")]
#[test]
fn a_clock_that_jumps_changes_neither_the_sound_nor_its_length() {
    let Some(library) = fake_time() else {
        assert!(
            std::env::var("SPEAKR_TEST_SKIP").is_ok_and(|names| names.contains("faketime")),
            "faketime is installed without its library"
        );
        return;
    };
    let speakr = Speakr::new();
    let clock = speakr.scratch().join("clock");
    fs::write(&clock, "+0d\n").unwrap();
    let jumping = |mut command: Command| {
        command
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    };
    let device = microphone("jfk.wav");
    let mut recording = Running::start(jumping(
        speakr.command(["record", "--json", "--device", &device]),
    ));
    recording.wait_for("Recording");
    for jump in ["-3d\n", "+400d\n", "-20y\n"] {
        thread::sleep(Duration::from_millis(2_500));
        fs::write(&clock, jump).unwrap();
    }
    let transcript = recording.wait().success().json();
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((10_900..=11_100).contains(&length), "{length}");
    assert!(
        says(&transcript["text"], "fellow americans"),
        "{transcript}"
    );
    assert!(says(&transcript["text"], "your country"), "{transcript}");
    assert!(
        transcript["latency_ms"].as_u64().unwrap() < 60_000,
        "{transcript}"
    );

    // A second one, made while the clock is twenty years behind, and all is still found.
    let path = clip("austen-0880.wav");
    let second = speakr.run_command(jumping(speakr.command([
        "transcribe",
        "--json",
        path.to_str().unwrap(),
    ])));
    let _ = second.success();
    assert_eq!(speakr.listed().len(), 2);
    for words in ["fellow Americans", "young man"] {
        let results = speakr.run(["search", "--json", words]).success().json();
        assert_eq!(results["count"].as_u64(), Some(2), "{results}");
    }
    let again = speakr.run(["retry", "--json"]).success().json();
    assert_eq!(again["count"], 0, "{again}");
}
