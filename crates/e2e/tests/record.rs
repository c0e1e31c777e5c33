//! Recording, driven as a person and a global shortcut drive it; a file plays the microphone.

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
    io::{BufRead, BufReader},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use speakr_e2e::{Speakr, clip, program::Running, wav};

/// Samples of one second.
const RATE: usize = 16_000;

fn microphone(path: &std::path::Path) -> String {
    format!("file:{}", path.display())
}

fn record(speakr: &Speakr, sound: &std::path::Path, more: &[&str]) -> Running {
    let device = microphone(sound);
    let mut args = vec!["record", "--json", "--device", &device];
    args.extend_from_slice(more);
    speakr.start(args)
}

/// The one recording's folder.
fn only_recording(speakr: &Speakr) -> PathBuf {
    let mut folders: Vec<_> = fs::read_dir(speakr.home().join("recordings"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

fn has_words(text: &Value, words: &[&str]) -> bool {
    let text = text.as_str().unwrap_or_default().to_lowercase();
    words.iter().all(|w| text.contains(w))
}

#[test]
fn a_spoken_sentence_becomes_text_that_is_kept_with_its_sound() {
    let speakr = Speakr::new();
    let done = record(&speakr, &clip("jfk.wav"), &["--tags", "speech,jfk"])
        .wait()
        .success();
    let transcript = done.json();
    assert!(
        has_words(&transcript["text"], &["fellow americans", "your country"]),
        "{transcript}"
    );
    assert!(transcript["latency_ms"].is_u64());
    assert_eq!(transcript["tags"], serde_json::json!(["jfk", "speech"]));
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((10_900..=11_100).contains(&length), "{length}");

    let recordings = speakr.listed();
    assert_eq!(recordings.len(), 1);
    assert_eq!(recordings[0]["recording_id"], transcript["recording_id"]);
    assert_eq!(recordings[0]["state"], "transcribed");
    let folder = only_recording(&speakr);
    assert!(folder.join("audio.flac").is_file() && !folder.join("audio.pcm").exists());
    assert!(folder.join("transcript.json").is_file());
}

#[test]
fn text_comes_while_somebody_still_speaks() {
    let speakr = Speakr::new();
    // Two sentences with a pause: eleven seconds each.
    let jfk = wav::read(&clip("jfk.wav"));
    let pause = vec![0; RATE];
    let sound = speakr.scratch().join("twice.wav");
    wav::write(&sound, &[&jfk[..], &pause, &jfk, &pause, &jfk].concat());
    let device = microphone(&sound);
    let mut child = speakr
        .command(["record", "--stream", "--device", &device])
        .spawn()
        .unwrap();
    let started = Instant::now();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first_segment = None;
    let mut partials = 0;
    let mut last = Value::Null;
    for line in stdout.lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
        match last["event"].as_str().unwrap() {
            "partial" => partials += 1,
            "segment" if first_segment.is_none() => first_segment = Some(started.elapsed()),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(last["event"], "transcript");
    assert!(partials > 0, "no partial text came");
    let first = first_segment.expect("a final segment");
    assert!(
        first < Duration::from_secs(33),
        "the first final segment came after {first:?} only"
    );
}

#[test]
fn another_shell_stops_a_recording() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    thread::sleep(Duration::from_secs(5));
    let stop = speakr.run(["stop", "--json"]).success();
    assert_eq!(stop.json()["phase"], "recording");
    let transcript = recording.wait().success().json();
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((3_000..9_000).contains(&length), "{length}");
    assert!(
        has_words(&transcript["text"], &["fellow americans"]),
        "{transcript}"
    );
    let _ = speakr.run(["stop"]).failure(3);
}

#[test]
fn sigterm_and_one_ctrl_c_stop_a_recording_and_keep_it() {
    for signal in ["TERM", "INT"] {
        let speakr = Speakr::new();
        let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
        recording.wait_for("Recording");
        thread::sleep(Duration::from_secs(4));
        recording.signal(signal);
        let transcript = recording.wait().success().json();
        assert!(
            has_words(&transcript["text"], &["americans"]),
            "{signal}: {transcript}"
        );
        assert_eq!(speakr.listed().len(), 1);
    }
}

#[test]
fn ctrl_c_twice_discards() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    thread::sleep(Duration::from_secs(2));
    recording.signal("INT");
    thread::sleep(Duration::from_millis(50));
    recording.signal("INT");
    let done = recording.wait().failure(130);
    assert!(done.stderr.contains("discarded"), "{}", done.stderr);
    assert!(speakr.listed().is_empty());
    assert_eq!(
        fs::read_dir(speakr.home().join("recordings"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn cancel_throws_a_running_recording_away() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    thread::sleep(Duration::from_secs(1));
    let _ = speakr.run(["cancel"]).success();
    let _ = recording.wait().failure(130);
    assert_eq!(
        fs::read_dir(speakr.home().join("recordings"))
            .unwrap()
            .count(),
        0
    );
    assert!(speakr.listed().is_empty());
}

#[test]
fn cancel_works_while_the_text_is_made() {
    // Whether the cancel arrives while the text is made depends on the machine: tried until the
    // recording itself says that it was in time.
    for _ in 0..5 {
        let speakr = Speakr::new();
        let sound = speakr.scratch().join("long.wav");
        let jfk = wav::read(&clip("jfk.wav"));
        wav::write(&sound, &jfk.repeat(2));
        let mut recording = record(&speakr, &sound, &["--max-duration", "9s"]);
        recording.wait_for("Transcribing");
        let cancel = speakr.run(["cancel", "--json"]);
        let finished = recording.wait();
        if cancel.code == Some(0) && finished.code == Some(130) {
            assert_eq!(cancel.json()["phase"], "transcribing");
            assert_eq!(
                fs::read_dir(speakr.home().join("recordings"))
                    .unwrap()
                    .count(),
                0
            );
            assert!(speakr.listed().is_empty());
            return;
        }
    }
    panic!("five texts were made before they could be cancelled");
}

#[test]
fn only_one_recording_runs_at_a_time() {
    let speakr = Speakr::new();
    let mut first = record(&speakr, &clip("jfk.wav"), &[]);
    first.wait_for("Recording");
    let second = record(&speakr, &clip("jfk.wav"), &[]).wait().failure(5);
    assert!(
        second.stderr.contains("another recording is running"),
        "{}",
        second.stderr
    );
    assert!(second.stderr.contains("speakr stop"), "{}", second.stderr);
    let _ = speakr.run(["cancel"]).success();
    let _ = first.wait().failure(130);
}

#[test]
fn kill_9_takes_no_more_than_the_last_quarter_second_and_retry_makes_the_text() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    let started = Instant::now();
    thread::sleep(Duration::from_secs(6));
    let spoken = started.elapsed();
    recording.signal("KILL");
    drop(recording);
    let pcm = fs::metadata(only_recording(&speakr).join("audio.pcm"))
        .unwrap()
        .len();
    let kept = Duration::from_millis(pcm / 32);
    assert!(
        kept + Duration::from_millis(250) >= spoken,
        "{kept:?} of {spoken:?} are kept"
    );

    let listed = speakr.listed();
    assert_eq!(listed[0]["state"], "capturing", "{listed:?}");
    let retried = speakr.run(["retry", "--json"]).success().json();
    assert_eq!(retried["count"], 1);
    assert_eq!(retried["recordings"][0]["state"], "transcribed");
    assert!(
        has_words(&retried["recordings"][0]["text"], &["fellow americans"]),
        "{retried}"
    );
    let again = speakr.run(["retry", "--json"]).success().json();
    assert_eq!(again["count"], 0);
}

#[test]
fn what_is_recorded_is_listed_as_that_and_as_interrupted_once_its_process_is_gone() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    let says = |words: &str| {
        let began = Instant::now();
        loop {
            let listed = speakr.run(["list"]).success().stdout;
            if listed.contains(words) {
                return listed;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{listed}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let listed = says("(being recorded)");
    assert!(!listed.contains("retry"), "{listed}");
    recording.signal("KILL");
    let _ = says("(interrupted: speakr retry)");
}

#[test]
fn the_next_start_picks_an_interrupted_recording_up() {
    let speakr = Speakr::new();
    let mut killed = record(&speakr, &clip("jfk.wav"), &[]);
    killed.wait_for("Recording");
    thread::sleep(Duration::from_secs(5));
    killed.signal("KILL");
    drop(killed);
    let next = record(&speakr, &clip("austen-0880.wav"), &[])
        .wait()
        .success();
    assert!(next.stderr.contains("interrupted"), "{}", next.stderr);
    assert!(
        has_words(&next.json()["text"], &["young man"]),
        "{}",
        next.stdout
    );
    let recordings = speakr.listed();
    assert_eq!(recordings.len(), 2);
    assert!(
        recordings.iter().all(|r| r["state"] == "transcribed"),
        "{recordings:?}"
    );
}

#[test]
fn a_recording_ends_at_its_greatest_length() {
    let speakr = Speakr::new();
    let transcript = record(&speakr, &clip("jfk.wav"), &["--max-duration", "4s"])
        .wait()
        .success()
        .json();
    assert_eq!(transcript["duration_ms"], 4_000);
}

#[test]
fn silence_after_speech_ends_a_recording_that_asked_for_it() {
    let speakr = Speakr::new();
    let sound = speakr.scratch().join("then silence.wav");
    let speech = wav::read(&clip("austen-0880.wav"));
    let silence = vec![0; 20 * RATE];
    wav::write(&sound, &[&silence[..RATE], &speech, &silence].concat());
    let transcript = record(&speakr, &sound, &["--stop-on-silence", "2s"])
        .wait()
        .success()
        .json();
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((5_000..10_000).contains(&length), "{length}");
    assert!(
        has_words(&transcript["text"], &["young man"]),
        "{transcript}"
    );
}

#[test]
fn nothing_is_kept_of_a_pause() {
    let speakr = Speakr::new();
    let mut recording = record(&speakr, &clip("jfk.wav"), &[]);
    recording.wait_for("Recording");
    thread::sleep(Duration::from_secs(1));
    let _ = speakr.run(["pause"]).success();
    recording.wait_for("Paused");
    thread::sleep(Duration::from_secs(4));
    let _ = speakr.run(["pause"]).success();
    let transcript = recording.wait().success().json();
    let length = transcript["duration_ms"].as_u64().unwrap();
    assert!((4_000..9_000).contains(&length), "{length}");
}

#[test]
fn silence_gives_an_empty_transcript_and_says_so() {
    let speakr = Speakr::new();
    let sound = speakr.scratch().join("silence.wav");
    wav::write(&sound, &vec![0; 3 * RATE]);
    let done = record(&speakr, &sound, &[]).wait().success();
    assert_eq!(done.json()["text"], "");
    assert!(done.stderr.contains("No speech"), "{}", done.stderr);
}

#[test]
fn a_line_on_standard_input_is_enter() {
    let speakr = Speakr::new();
    let device = microphone(&clip("jfk.wav"));
    let mut command = speakr.command(["record", "--json", "--device", &device]);
    command.stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::sleep(Duration::from_secs(4));
    std::io::Write::write_all(&mut stdin, b"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let transcript: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        transcript["duration_ms"].as_u64().unwrap() < 9_000,
        "{transcript}"
    );
}

#[test]
fn a_microphone_that_is_not_there_is_told_before_anything_is_kept() {
    let speakr = Speakr::new();
    let done = speakr.run(["record", "--device", "file:/no such/sound.wav"]);
    assert_ne!(done.code, Some(0));
    assert!(
        done.stderr.contains("/no such/sound.wav"),
        "{}",
        done.stderr
    );
    assert!(speakr.listed().is_empty());
}

#[test]
fn no_clipboard_is_a_warning_and_never_a_lost_text() {
    let speakr = Speakr::new();
    let done = record(&speakr, &clip("austen-0880.wav"), &[])
        .wait()
        .success();
    assert!(done.stderr.contains("not copied"), "{}", done.stderr);
    assert!(has_words(&done.json()["text"], &["young man"]));
    let quiet = record(&speakr, &clip("austen-0880.wav"), &["--no-clipboard"])
        .wait()
        .success();
    assert!(!quiet.stderr.contains("not copied"), "{}", quiet.stderr);
}
