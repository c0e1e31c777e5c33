//! What a terminal shows, what keys do there, and how it is left.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{fs, process::Command, thread, time::Duration};

use speakr_e2e::{Speakr, clip, program::microphone, terminal::Terminal, wav};

/// What makes text dim, as a terminal is told it.
const DIM: &str = "\u{1b}[2m";
/// What begins any order to a terminal.
const ESCAPE: char = '\u{1b}';

/// Sequences that colour or dim: `ESC [ numbers m`.
fn has_colour(sent: &str) -> bool {
    sent.split(ESCAPE).skip(1).any(|rest| {
        rest.strip_prefix('[')
            .and_then(|rest| {
                rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))
                    .map(|at| &rest[at..])
            })
            .is_some_and(|rest| rest.starts_with('m'))
    })
}

#[test]
fn space_pauses_enter_stops_and_the_terminal_is_left_as_it_was() {
    let speakr = Speakr::new();
    let args = [
        "record",
        "--no-clipboard",
        "--device",
        &microphone("jfk.wav"),
    ];
    let mut terminal = Terminal::start(speakr.command(args));
    terminal.wait_for("●");
    assert!(terminal.takes_single_keys());
    terminal.press(" ");
    let paused = terminal.wait_for("paused");
    assert!(!paused.contains('●'), "{paused}");
    terminal.press(" ");
    terminal.wait_for("●");
    thread::sleep(Duration::from_secs(5));
    terminal.press("\r");
    let left = terminal.wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(left.as_before, "its modes are others");
    assert!(left.sent.contains("0:04"), "no time was shown");
    assert!(left.sent.contains('▮'), "no level was shown");
    assert!(
        left.sent.contains(DIM),
        "no text was shown while it wasn't final"
    );
    // What was drawn in place is gone, and so is nothing else.
    assert!(!left.screen.contains('●'), "{}", left.screen);
    assert!(!left.screen.contains("paused"), "{}", left.screen);
    assert!(left.screen.contains("fellow Americans"), "{}", left.screen);
    assert!(left.screen.contains("Saved as"), "{}", left.screen);
    assert!(!left.screen.contains("Transcribing"), "{}", left.screen);
}

/// What is on disk of the sound of the one recording.
fn sound_bytes(speakr: &Speakr) -> u64 {
    let folder = fs::read_dir(speakr.recordings()).unwrap().next();
    let sound = folder.unwrap().unwrap().path().join("audio.pcm");
    fs::metadata(sound).unwrap().len()
}

#[test]
fn sound_goes_to_disk_while_the_terminal_takes_nothing() {
    let speakr = Speakr::new();
    let args = [
        "record",
        "--no-clipboard",
        "--device",
        &microphone("jfk.wav"),
    ];
    let mut terminal = Terminal::start(speakr.command(args));
    terminal.wait_for("●");
    // Ctrl-S: who writes there now waits.
    terminal.press("\u{13}");
    thread::sleep(Duration::from_secs(2));
    let before = sound_bytes(&speakr);
    thread::sleep(Duration::from_secs(2));
    let after = sound_bytes(&speakr);
    terminal.press("\u{11}");
    assert!(after >= before + 32_000, "{before} bytes, then {after}");
    let left = terminal.wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(left.screen.contains("fellow Americans"), "{}", left.screen);
}

#[test]
fn behind_another_program_of_the_terminal_it_records_all_the_same() {
    let speakr = Speakr::new();
    let record = speakr.command([
        "record",
        "--no-clipboard",
        "--device",
        &microphone("austen-0880.wav"),
    ]);
    // A shell that has the terminal, and starts what it is given with "&".
    let mut shell = Command::new("setsid");
    shell
        .args(["--ctty", "--wait", "bash", "-c"])
        .args(["set -m; \"$@\" & wait $!", "bash"])
        .arg(record.get_program())
        .args(record.get_args());
    for (name, value) in record.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let left = Terminal::start(shell).wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(left.screen.contains("young man"), "{}", left.screen);
}

#[test]
fn nothing_is_in_colour_where_none_is_wanted() {
    let speakr = Speakr::new().env("NO_COLOR", "1");
    let args = ["record", "--device", &microphone("austen-0880.wav")];
    let left = Terminal::start(speakr.command(args)).wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(
        left.screen.contains("warning: not copied"),
        "{}",
        left.screen
    );
    assert!(!has_colour(&left.sent), "{:?}", left.sent);
    // The same, where nobody said so.
    let speakr = Speakr::new();
    let left = Terminal::start(speakr.command(["show", "zzzz"])).wait();
    assert_eq!(left.code, Some(2));
    assert!(has_colour(&left.sent), "{:?}", left.sent);
}

#[test]
fn a_terminal_that_can_only_print_gets_lines_alone() {
    let speakr = Speakr::new();
    let args = ["record", "--device", &microphone("austen-0880.wav")];
    let left = Terminal::start_dumb(speakr.command(args)).wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(!left.sent.contains(ESCAPE), "{:?}", left.sent);
    assert!(left.screen.contains("Recording"), "{}", left.screen);
}

#[test]
fn a_warning_while_somebody_speaks_stays_on_the_screen() {
    let speakr = Speakr::new();
    let words = "word ".repeat(400);
    let args = [
        "record",
        "--prompt",
        &words,
        "--device",
        &microphone("austen-0880.wav"),
    ];
    let left = Terminal::start(speakr.command(args)).wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(
        left.screen.contains("longer than the model takes"),
        "{}",
        left.screen
    );
    assert!(!left.screen.contains('●'), "{}", left.screen);
}

#[test]
fn the_bar_shows_how_far_it_is_and_leaves_nothing_between_the_texts() {
    let speakr = Speakr::new();
    let long = speakr.scratch().join("long.wav");
    wav::write(&long, &wav::read(&clip("jfk.wav")).repeat(4));
    let short = speakr.scratch().join("short.wav");
    fs::copy(clip("austen-0880.wav"), &short).unwrap();
    let args = [
        "transcribe",
        long.to_str().unwrap(),
        short.to_str().unwrap(),
    ];
    let left = Terminal::start(speakr.command(args)).wait();
    assert_eq!(left.code, Some(0), "{}", left.screen);
    assert!(left.sent.contains("% of 0:44"), "no bar was seen");
    assert!(left.sent.contains(" left"), "no time left was told");
    assert!(left.sent.contains("[1/2]") && left.sent.contains("[2/2]"));
    for leftover in ["[1/2]", "[2/2]", "left", "━", "⠁"] {
        assert!(
            !left.screen.contains(leftover),
            "{leftover}:\n{}",
            left.screen
        );
    }
    assert!(left.screen.contains("fellow Americans"), "{}", left.screen);
    assert!(left.screen.contains("young man"), "{}", left.screen);
}

#[test]
fn deleting_asks_and_anything_but_yes_deletes_nothing() {
    let speakr = Speakr::new();
    let path = clip("austen-0880.wav");
    let args = ["transcribe", "--json", path.to_str().unwrap()];
    let id = speakr.run(args).success().json()["recording_id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (answer, code, left_over) in [("n\r", 130, 1), ("\r", 130, 1), ("y\r", 0, 0)] {
        let mut terminal = Terminal::start(speakr.command(["rm", &id]));
        terminal.wait_for("for good, sound and text? [y/N]");
        terminal.press(answer);
        let left = terminal.wait();
        assert_eq!(left.code, Some(code), "{answer:?}: {}", left.screen);
        let list = speakr.run(["list", "--json"]).success().json();
        assert_eq!(list["count"], left_over, "{answer:?}");
    }
}

#[test]
fn tags_in_any_script_are_shown_whole() {
    let speakr = Speakr::new();
    let path = clip("austen-0880.wav");
    let tags = "שלום,日本語,🎙";
    let args = ["transcribe", "--tags", tags, path.to_str().unwrap()];
    let _ = speakr.run(args).success();
    let left = Terminal::start(speakr.command(["list"])).wait();
    assert_eq!(left.code, Some(0));
    for tag in tags.split(',') {
        assert!(left.screen.contains(tag), "{tag}: {}", left.screen);
    }
}
