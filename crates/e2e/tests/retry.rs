//! `speakr retry`: what was interrupted gets its text, and what has one isn't spoilt.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::Value;
use speakr_e2e::{Speakr, clip, wav};

fn listed(speakr: &Speakr) -> Value {
    speakr.run(["list", "--json"]).success().json()
}

fn with_a_recording() -> (Speakr, String) {
    let speakr = Speakr::new();
    let path = clip("austen-0880.wav");
    let args = ["transcribe", "--json", path.to_str().unwrap()];
    let id = speakr.run(args).success().json()["recording_id"].clone();
    (speakr, id.as_str().unwrap().to_owned())
}

fn folder(speakr: &Speakr, id: &str) -> PathBuf {
    speakr.home().join("recordings").join(id)
}

#[test]
fn a_model_that_is_not_there_changes_nothing() {
    let (speakr, id) = with_a_recording();
    let described = folder(&speakr, &id).join("recording.json");
    let before = (listed(&speakr), fs::read_to_string(&described).unwrap());
    for model in ["tiny.emn", "large-v3", "silero-vad-v6.2.0"] {
        let refused = speakr.run(["retry", &id, "--model", model]);
        assert!(matches!(refused.code, Some(2 | 4)), "{model}: {refused:?}");
        assert!(refused.stderr.contains(model), "{}", refused.stderr);
        let after = (listed(&speakr), fs::read_to_string(&described).unwrap());
        assert_eq!(after, before, "{model}");
    }
}

#[test]
fn a_new_text_that_fails_leaves_the_old_one_as_it_was() {
    let (speakr, id) = with_a_recording();
    let before = listed(&speakr);
    let mut command = speakr.command(["retry", &id]);
    command.env("SPEAKR_FFMPEG", "false");
    let failed = speakr.run_command(command).failure(1);
    assert!(failed.stderr.contains("no new text"), "{}", failed.stderr);
    assert_eq!(listed(&speakr), before);
    // And one that doesn't, replaces it.
    let again = speakr.run(["retry", "--json", &id]).success().json();
    assert_eq!(again["count"], 1);
    assert_eq!(
        listed(&speakr)["recordings"][0]["text"],
        again["recordings"][0]["text"]
    );
}

/// A transcription of `sound` that is killed when some of it is kept; gives its recording.
fn killed_half_way(speakr: &Speakr, sound: &Path) -> String {
    let running = speakr.start(["transcribe", sound.to_str().unwrap()]);
    let recordings = speakr.home().join("recordings");
    for _ in 0..2_000 {
        let begun = fs::read_dir(&recordings).into_iter().flatten().flatten();
        let kept = begun.filter(|entry| {
            fs::metadata(entry.path().join("audio.pcm")).is_ok_and(|pcm| pcm.len() > 160_000)
        });
        if let Some(entry) = kept.into_iter().next() {
            running.signal("KILL");
            drop(running);
            return entry.file_name().into_string().unwrap();
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing of it was ever kept");
}

/// Long enough that nobody decodes it before the kill.
fn long(speakr: &Speakr, clip_name: &str) -> PathBuf {
    let sound = speakr.scratch().join("long.wav");
    let speech = wav::read(&clip(clip_name));
    let times = 60 * 16_000 / speech.len();
    wav::write(&sound, &speech.repeat(times));
    sound
}

#[test]
fn a_file_that_is_still_the_same_is_read_to_its_end() {
    let speakr = Speakr::new();
    let sound = long(&speakr, "jfk.wav");
    let whole = wav::read(&sound).len() as u64 / 16;
    let id = killed_half_way(&speakr, &sound);

    // A try that can't write the rest fails, and the next one still knows that there is a rest.
    let kept = folder(&speakr, &id).join("audio.pcm");
    let aside = speakr.scratch().join("aside.pcm");
    fs::rename(&kept, &aside).unwrap();
    fs::create_dir(&kept).unwrap();
    let failed = speakr.run(["retry", &id]).failure(1);
    assert!(failed.stderr.contains("audio.pcm"), "{}", failed.stderr);
    assert!(!folder(&speakr, &id).join("audio.flac").exists());
    fs::remove_dir(&kept).unwrap();
    fs::rename(&aside, &kept).unwrap();

    let done = speakr.run(["retry", "--json", &id]).success();
    let recording = &done.json()["recordings"][0];
    assert_eq!(recording["duration_ms"], whole, "{recording}");
    assert!(folder(&speakr, &id).join("audio.flac").is_file());
}

#[test]
fn a_file_that_is_another_by_now_is_not_mixed_with_what_was_kept() {
    let speakr = Speakr::new();
    let sound = long(&speakr, "jfk.wav");
    let whole = wav::read(&sound).len() as u64 / 16;
    let id = killed_half_way(&speakr, &sound);
    let kept = fs::metadata(folder(&speakr, &id).join("audio.pcm")).unwrap();
    let other = wav::read(&clip("austen-0880.wav")).repeat(70);
    wav::write(&sound, &other);
    let done = speakr.run(["retry", "--json", &id]).success();
    assert!(
        done.stderr.contains("isn't the file any more"),
        "{}",
        done.stderr
    );
    let recording = &done.json()["recordings"][0];
    let length = recording["duration_ms"].as_u64().unwrap();
    assert_eq!(length, kept.len() / 32);
    assert!(length < whole, "{length} of {whole}");
    let text = recording["text"].as_str().unwrap().to_lowercase();
    assert!(text.contains("fellow americans"), "{text}");
    assert!(!text.contains("young man"), "{text}");
}
