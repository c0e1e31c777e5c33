//! Several processes over one data folder: each does its own work, and none does another's.

#![cfg(unix)]
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
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{ChildStdin, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use speakr_e2e::{
    Finished, Speakr, clip,
    program::{Running, microphone},
};

/// A program whose sound is compressed only when the test lets it: until then the recording that
/// is being kept isn't done.
struct Held {
    speakr: Speakr,
    gates: PathBuf,
}

impl Held {
    fn new() -> Self {
        let speakr = Speakr::new();
        let gates = speakr.scratch().join("gates");
        fs::create_dir(&gates).unwrap();
        let ffmpeg = speakr.scratch().join("ffmpeg");
        let script = r#"#!/bin/sh
id=$(printf '%s' "$*" | sed -n 's|.*recordings/\([0-9a-f-]*\)/.*|\1|p')
case "$*" in
*'-c:a flac'*) while [ ! -e "GATES/$id" ] && [ ! -e GATES/all ]; do sleep 0.1; done ;;
esac
exec ffmpeg "$@"
"#;
        let script = script.replace("GATES", gates.to_str().unwrap());
        fs::write(&ffmpeg, script).unwrap();
        fs::set_permissions(&ffmpeg, fs::Permissions::from_mode(0o755)).unwrap();
        let speakr = speakr.env("SPEAKR_FFMPEG", ffmpeg.to_str().unwrap());
        Self { speakr, gates }
    }

    /// Lets the sound of one recording (or of `all`) be compressed.
    fn let_go(&self, of: &str) {
        fs::write(self.gates.join(of), b"").unwrap();
    }

    fn record(&self, clip_name: &str) -> Running {
        let device = microphone(clip_name);
        self.speakr
            .start(["record", "--json", "--no-clipboard", "--device", &device])
    }

    /// A recording whose text is made and printed, and which is still being kept.
    fn being_kept(&self) -> Running {
        let mut recording = self.record("austen-0880.wav");
        recording.wait_for("Transcribing");
        let id = self.only_id();
        let text = self.speakr.folder_of(&id).join("transcript.json");
        until(|| text.is_file());
        recording
    }

    fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(self.speakr.recordings()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect()
    }

    fn only_id(&self) -> String {
        let mut ids = self.ids();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids.remove(0)
    }
}

fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came to that");
}

fn id_of(transcript: &Finished) -> Value {
    transcript.json()["recording_id"].clone()
}

#[test]
fn stop_reaches_the_recording_that_runs_although_the_one_before_ends_meanwhile() {
    let held = Held::new();
    let first = held.being_kept();
    let mut second = held.record("jfk.wav");
    second.wait_for("Recording");
    held.let_go("all");
    let first = id_of(&first.wait().success());
    let stopped = held.speakr.run(["stop", "--json"]).success().json();
    assert_eq!(stopped["phase"], "recording", "{stopped}");
    assert_ne!(stopped["recording_id"], first);
    let second = second.wait().success();
    assert_eq!(id_of(&second), stopped["recording_id"]);
    let length = second.json()["duration_ms"].as_u64().unwrap();
    assert!(length < 10_000, "{length}: it ran to its end");
}

#[test]
fn cancel_throws_the_recording_that_runs_away_and_not_the_one_that_is_being_kept() {
    let held = Held::new();
    let first = held.being_kept();
    let mut second = held.record("jfk.wav");
    second.wait_for("Recording");
    let cancelled = held.speakr.run(["cancel", "--json"]).success().json();
    let _ = second.wait().failure(130);
    held.let_go("all");
    let first = id_of(&first.wait().success());
    assert_ne!(cancelled["recording_id"], first);
    let kept = held.speakr.listed();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["recording_id"], first);
}

#[test]
fn a_recording_that_is_saved_can_not_be_cancelled_while_others_are_picked_up() {
    let held = Held::new();
    let mut killed = held.record("jfk.wav");
    killed.wait_for("Recording");
    thread::sleep(Duration::from_secs(3));
    killed.signal("KILL");
    drop(killed);
    let interrupted = held.only_id();
    let mut next = held.record("austen-0880.wav");
    next.wait_for("Transcribing");
    let new = held.ids().into_iter().find(|id| *id != interrupted);
    let new = new.expect("a second recording");
    held.let_go(&new);
    next.wait_for("Saved as");
    next.wait_for("interrupted");
    let cancel = held.speakr.run(["cancel"]).failure(3);
    assert!(cancel.stderr.contains("nothing is being recorded"));
    held.let_go("all");
    let _ = next.wait().success();
    assert_eq!(held.speakr.listed().len(), 2);
}

#[test]
fn what_another_process_keeps_is_not_taken_for_interrupted() {
    let held = Held::new();
    let first = held.being_kept();
    let first_id = held.only_id();
    let mut second = held.record("LJ001-0005.wav");
    second.wait_for("Transcribing");
    let second_id = held.ids().into_iter().find(|id| *id != first_id);
    held.let_go(&second_id.unwrap());
    let second = second.wait().success();
    assert!(!second.stderr.contains("interrupted"), "{}", second.stderr);
    let told = held.speakr.run(["retry"]).success();
    assert_eq!(told.stdout, "");
    held.let_go("all");
    let _ = first.wait().success();
    for recording in held.speakr.listed() {
        assert_eq!(recording["state"], "transcribed", "{recording}");
    }
}

/// A transcription that waits for the rest of its sound.
fn half_transcribed(speakr: &Speakr) -> (Running, ChildStdin, String) {
    let mut command = speakr.command(["transcribe", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let running = Running::of(child);
    let sound = fs::read(clip("jfk.wav")).unwrap();
    stdin.write_all(&sound[..sound.len() * 3 / 4]).unwrap();
    stdin.flush().unwrap();
    let recordings = speakr.recordings();
    let mut id = None;
    until(|| {
        let begun = fs::read_dir(&recordings).into_iter().flatten().flatten();
        let begun = begun.filter(|entry| {
            fs::metadata(entry.path().join("audio.pcm")).is_ok_and(|sound| sound.len() > 0)
        });
        id = begun
            .map(|entry| entry.file_name().into_string().unwrap())
            .next();
        id.is_some()
    });
    (running, stdin, id.unwrap())
}

#[test]
fn what_another_process_transcribes_is_let_be() {
    let speakr = Speakr::new();
    let (running, mut stdin, id) = half_transcribed(&speakr);
    let list = speakr.listed();
    assert_eq!(list[0]["state"], "capturing", "{list:?}");

    // By a recording that begins and ends meanwhile.
    let device = microphone("austen-0880.wav");
    let beside = speakr.run(["record", "--json", "--no-clipboard", "--device", &device]);
    let beside = beside.success();
    assert!(!beside.stderr.contains("interrupted"), "{}", beside.stderr);
    // By a retry of all, which says so.
    let all = speakr.run(["retry"]).success();
    let told = "is being transcribed by another process";
    assert!(all.stderr.contains(told), "{}", all.stderr);
    assert!(!all.stderr.contains("Every recording"), "{}", all.stderr);
    // By one that names it, and by a deletion.
    let named = speakr.run(["retry", &id]).failure(5);
    assert!(named.stderr.contains(told), "{}", named.stderr);
    let refused = speakr.run(["rm", "--yes", &id]).failure(5);
    assert!(refused.stderr.contains(told), "{}", refused.stderr);

    let sound = fs::read(clip("jfk.wav")).unwrap();
    stdin.write_all(&sound[sound.len() * 3 / 4..]).unwrap();
    drop(stdin);
    let text = running.wait().success().json()["text"].to_string();
    assert!(text.contains("your country"), "{text}");
    let list = speakr.listed();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|r| r["state"] == "transcribed"), "{list:?}");
}

#[test]
fn what_is_being_recorded_is_not_deleted() {
    let speakr = Speakr::new();
    let device = microphone("jfk.wav");
    let args = ["record", "--json", "--no-clipboard", "--device", &device];
    let mut recording = speakr.start(args);
    recording.wait_for("Recording");
    let id = speakr.listed()[0]["recording_id"].clone();
    let id = id.as_str().unwrap();
    let refused = speakr.run(["rm", "--yes", id]).failure(5);
    assert!(
        refused.stderr.contains("being captured"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("speakr cancel"),
        "{}",
        refused.stderr
    );
    let named = speakr.run(["retry", id]).failure(5);
    assert!(named.stderr.contains("being captured"), "{}", named.stderr);
    let transcript = recording.wait().success().json();
    assert!(
        transcript["text"]
            .as_str()
            .unwrap()
            .contains("your country")
    );
    let _ = speakr.run(["rm", "--yes", id]).success();
    assert!(speakr.listed().is_empty());
}
