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

use speakr_e2e::{Speakr, clip, wav};

#[test]
fn a_model_that_is_not_there_changes_nothing() {
    let (speakr, id) = Speakr::with_a_recording("austen-0880.wav");
    let described = speakr.folder_of(&id).join("recording.json");
    let before = (speakr.listed(), fs::read_to_string(&described).unwrap());
    for model in ["tiny.emn", "large-v3", "silero-vad-v6.2.0"] {
        let refused = speakr.run(["retry", &id, "--model", model]);
        assert!(matches!(refused.code, Some(2 | 4)), "{model}: {refused:?}");
        assert!(refused.stderr.contains(model), "{}", refused.stderr);
        let after = (speakr.listed(), fs::read_to_string(&described).unwrap());
        assert_eq!(after, before, "{model}");
    }
}

#[test]
fn a_new_text_that_fails_leaves_the_old_one_as_it_was() {
    let (speakr, id) = Speakr::with_a_recording("austen-0880.wav");
    let before = speakr.listed();
    let mut command = speakr.command(["retry", &id]);
    command.env("SPEAKR_FFMPEG", "false");
    let failed = speakr.run_command(command).failure(1);
    assert!(failed.stderr.contains("no new text"), "{}", failed.stderr);
    assert_eq!(speakr.listed(), before);
    // And one that doesn't, replaces it.
    let again = speakr.run(["retry", "--json", &id]).success().json();
    assert_eq!(again["count"], 1);
    assert_eq!(speakr.listed()[0]["text"], again["recordings"][0]["text"]);
}

#[test]
fn a_text_that_is_kept_is_no_failure_although_it_can_not_be_found_yet() {
    let (speakr, id) = Speakr::with_a_recording("austen-0880.wav");
    // The second time there is no text before.
    for text_before in [true, false] {
        if !text_before {
            fs::remove_file(speakr.folder_of(&id).join("transcript.json")).unwrap();
        }
        let mut command = speakr.command(["retry", "--json", &id]);
        let missing = "paraphrase-multilingual-minilm-l12-v2";
        command.env("SPEAKR_EMBEDDING_MODEL", missing);
        let done = speakr.run_command(command).success();
        assert_eq!(done.json()["count"], 1, "{}", done.stderr);
        let warning = format!("can't be found yet: the embedding model \"{missing}\"");
        assert!(done.stderr.contains(&warning), "{}", done.stderr);
        assert_eq!(speakr.listed()[0]["state"], "transcribed", "{text_before}");
    }
    let found = speakr.run(["search", "--json", "young man"]).success();
    assert_eq!(found.json()["count"], 1);
}

/// A transcription of `sound` that is killed when some of it is kept; gives its recording.
fn killed_half_way(speakr: &Speakr, sound: &Path) -> String {
    let running = speakr.start(["transcribe", sound.to_str().unwrap()]);
    let recordings = speakr.recordings();
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
    let kept = speakr.folder_of(&id).join("audio.pcm");
    let aside = speakr.scratch().join("aside.pcm");
    fs::rename(&kept, &aside).unwrap();
    fs::create_dir(&kept).unwrap();
    let failed = speakr.run(["retry", &id]).failure(1);
    assert!(failed.stderr.contains("audio.pcm"), "{}", failed.stderr);
    assert!(!speakr.folder_of(&id).join("audio.flac").exists());
    fs::remove_dir(&kept).unwrap();
    fs::rename(&aside, &kept).unwrap();

    let done = speakr.run(["retry", "--json", &id]).success();
    let recording = &done.json()["recordings"][0];
    assert_eq!(recording["duration_ms"], whole, "{recording}");
    assert!(speakr.folder_of(&id).join("audio.flac").is_file());
}

#[test]
fn a_file_that_is_another_by_now_is_not_mixed_with_what_was_kept() {
    let speakr = Speakr::new();
    let sound = long(&speakr, "jfk.wav");
    let whole = wav::read(&sound).len() as u64 / 16;
    let id = killed_half_way(&speakr, &sound);
    let kept = fs::metadata(speakr.folder_of(&id).join("audio.pcm")).unwrap();
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
