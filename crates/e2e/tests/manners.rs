//! Commands and options that no other test gives: exports, completions, manual pages, logs, dates.

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
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use speakr_e2e::{
    Speakr, clip,
    program::{microphone, path_of},
};

#[test]
fn a_text_is_exported_in_every_format_and_by_the_ending_of_a_file() {
    let (speakr, id) = Speakr::with_a_recording("jfk.wav");
    for (format, sign) in [
        ("txt", "fellow Americans"),
        ("srt", " --> 00:00:"),
        ("vtt", "WEBVTT"),
        ("tsv", "start\tend\ttext"),
        ("json", "\"segments\""),
    ] {
        let printed = speakr.run(["export", &id, "--format", format]).success();
        assert!(
            printed.stdout.contains(sign),
            "{format}: {}",
            printed.stdout
        );
        let file = speakr.scratch().join(format!("a b.{format}"));
        let written = speakr
            .run(["export", &id, "-o", file.to_str().unwrap()])
            .success();
        assert_eq!(written.stdout, "");
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            printed.stdout,
            "{format}"
        );
    }
    let json = speakr.run(["export", "--json", &id]).success().json();
    assert_eq!(json, speakr.run(["show", "--json", &id]).success().json());
}

#[test]
fn json_and_another_format_contradict_each_other() {
    let (speakr, id) = Speakr::with_a_recording("jfk.wav");
    let file = speakr.scratch().join("out.srt");
    let jfk = path_of("jfk.wav");
    for args in [
        &["export", "--json", "--format", "srt", &id][..],
        &["export", "--json", "-o", file.to_str().unwrap(), &id],
        &["transcribe", "--json", "--format", "vtt", &jfk],
    ] {
        let refused = speakr.run(args).failure(2);
        assert!(refused.stderr.contains("--json asks for JSON"), "{args:?}");
        assert_eq!(refused.stdout, "", "{args:?}");
    }
    assert!(!file.exists());
    // A format that is set for all contradicts nothing.
    let set = Speakr::new().env("SPEAKR_FORMAT", "srt");
    let args = ["transcribe", "--json", "--no-save", &jfk];
    assert!(set.run(args).success().json()["segments"].is_array());
}

#[test]
fn what_has_no_json_says_so() {
    let speakr = Speakr::new();
    for args in [
        &["completions", "--json", "bash"][..],
        &["man", "--json"],
        &["config", "example", "--json"],
    ] {
        let refused = speakr.run(args).failure(2);
        assert!(
            refused.stderr.contains("no JSON"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    let made = speakr.run(["config", "init", "--json"]).success().json();
    assert_eq!(made["config_exists"], true);
    let path = made["config_path"].as_str().unwrap();
    assert!(fs::read_to_string(path).unwrap().contains("#model"));
}

#[test]
fn completions_name_every_command_and_the_shell_reads_them() {
    let speakr = Speakr::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = speakr.run(["completions", shell]).success().stdout;
        for command in ["transcribe", "search", "retry"] {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
    let script = speakr.run(["completions", "bash"]).success().stdout;
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(bash.wait().unwrap().success());
}

#[test]
fn there_is_a_manual_page_and_one_for_each_command() {
    let speakr = Speakr::new();
    let page = speakr.run(["man"]).success().stdout;
    assert!(page.contains(".TH speakr 1"), "{}", &page[..200]);
    let folder = speakr.scratch().join("man pages");
    let _ = speakr
        .run(["man", "--output-dir", folder.to_str().unwrap()])
        .success();
    for name in ["speakr.1", "speakr-record.1", "speakr-models-pull.1"] {
        assert!(folder.join(name).is_file(), "no {name}");
    }
}

#[test]
fn an_english_model_refuses_to_translate_and_names_one_that_does() {
    let speakr = Speakr::new();
    let args = ["transcribe", "--translate", &path_of("jfk.wav")];
    let refused = speakr.run(args).failure(4);
    assert!(
        refused.stderr.contains("can't translate"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("models pull base"),
        "{}",
        refused.stderr
    );
}

#[test]
fn prompt_and_vocabulary_reach_the_decoder_and_what_is_too_long_is_told() {
    let speakr = Speakr::new();
    let words = speakr.scratch().join("words.txt");
    fs::write(&words, "\u{feff}Americans\r\n\r\n  Kennedy \n").unwrap();
    let jfk = path_of("jfk.wav");
    let file = words.to_str().unwrap();
    let args = [
        "transcribe",
        "--json",
        "--prompt",
        "A speech.",
        "--vocabulary",
        file,
        &jfk,
    ];
    let done = speakr.run(args).success();
    assert!(!done.stderr.contains("prompt"), "{}", done.stderr);
    let id = done.json()["recording_id"].as_str().unwrap().to_owned();
    assert_eq!(
        speakr.described(&id)["options"]["prompt"],
        "A speech. Americans, Kennedy"
    );

    fs::write(&words, "Americans\n".repeat(600)).unwrap();
    let args = ["transcribe", "--no-save", "--vocabulary", file, &jfk];
    let done = speakr.run(args).success();
    assert!(
        done.stderr.contains("longer than the model takes"),
        "{}",
        done.stderr
    );
    let gone = ["transcribe", "--vocabulary", "/no such/words", &jfk];
    assert!(
        speakr
            .run(gone)
            .failure(1)
            .stderr
            .contains("/no such/words")
    );
}

#[test]
fn a_search_looks_at_the_times_that_it_is_told() {
    let (speakr, _) = Speakr::with_a_recording("jfk.wav");
    let count = |args: &[&str], code: i32| {
        let mut search = vec!["search", "--json", "country"];
        search.extend(args);
        let done = speakr.run(search);
        assert_eq!(done.code, Some(code), "{args:?}: {}", done.stderr);
        done.json()["count"].clone()
    };
    assert_eq!(count(&["--since", "1h"], 0), 1);
    assert_eq!(count(&["--since", "today", "--until", "2999-01-01"], 0), 1);
    assert_eq!(count(&["--until", "1 hour ago"], 3), 0);
    assert_eq!(count(&["--since", "2999-01-01T08:00"], 3), 0);
    let _ = speakr
        .run(["search", "country", "--since", "soon"])
        .failure(2);
}

#[test]
fn a_search_that_finds_nothing_ends_with_3_whoever_reads_it() {
    let speakr = Speakr::new();
    let told = speakr.run(["search", "anything"]).failure(3);
    assert!(told.stderr.contains("nothing was found"), "{}", told.stderr);
    let answered = speakr.run(["search", "--json", "anything"]).failure(3);
    assert_eq!(answered.json(), json!({"results": [], "count": 0}));
    // An empty listing is no failure.
    assert_eq!(speakr.run(["list", "--json"]).success().json()["count"], 0);
}

#[test]
fn a_search_prints_the_score_that_its_order_follows() {
    let (speakr, id) = Speakr::with_a_recording("jfk.wav");
    let _ = speakr.run(["tag", &id, "work"]).success();
    for mode in ["keyword", "hybrid", "semantic"] {
        let args = ["search", "--json", "--mode", mode, "fellow Americans"];
        let found = speakr.run(args).success().json();
        let score = found["results"][0]["passages"][0]["score"]
            .as_f64()
            .unwrap();
        let printed = speakr
            .run(["search", "--mode", mode, "fellow Americans"])
            .success()
            .stdout;
        let shown = format!("{score:.2}");
        assert!(printed.starts_with(&shown), "{mode}: {shown} in {printed}");
        let date = found["results"][0]["created_at"].as_str().unwrap();
        let year = date.split('-').next().unwrap();
        for told in [year, "work", "0:0", "fellow Americans"] {
            assert!(printed.contains(told), "{mode}: {told} in {printed}");
        }
    }
}

#[test]
fn logs_come_when_they_are_wanted_and_without_what_was_said() {
    let jfk = path_of("jfk.wav");
    let args = ["transcribe", "--json", "--no-save", &jfk];
    let silent = Speakr::new().run(args).success();
    assert!(!silent.stderr.contains("INFO"), "{}", silent.stderr);
    let asked = ["transcribe", "-v", "--json", "--no-save", &jfk];
    let set = Speakr::new().env("SPEAKR_LOG", "speakr=info");
    for told in [Speakr::new().run(asked), set.run(args)] {
        let told = told.success();
        assert!(told.stderr.contains("INFO"), "{}", told.stderr);
        assert!(told.stderr.contains("transcribed"), "{}", told.stderr);
        assert!(!told.stderr.contains("Americans"), "{}", told.stderr);
        assert!(told.json()["text"].is_string());
    }
    // What the libraries have to say comes when it is asked for by name.
    let asked = ["transcribe", "-vv", "--json", "--no-save", &jfk];
    let debug = Speakr::new().run(asked).success();
    assert!(debug.stderr.contains("DEBUG"), "{}", debug.stderr);
    assert!(!debug.stderr.contains("tract"), "{}", debug.stderr);
}

#[test]
fn what_is_older_than_the_days_to_keep_is_deleted_and_told() {
    let (speakr, old) = Speakr::with_a_recording("jfk.wav");
    let args = ["transcribe", "--json", &path_of("austen-0880.wav")];
    let new = speakr.run(args).success().json();
    // As if it had been spoken long ago.
    let folder = speakr.folder_of(&old);
    for name in ["recording.json", "transcript.json"] {
        let file = folder.join(name);
        let mut document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        document["created_at"] = "2020-01-01T00:00:00Z".into();
        fs::write(&file, document.to_string()).unwrap();
    }
    let _ = speakr.run(["reindex"]).success();
    assert_eq!(speakr.run(["list", "--json"]).success().json()["count"], 2);
    let mut keeping = speakr.command(["list", "--json"]);
    keeping.env("SPEAKR_RETENTION_DAYS", "30");
    let told = speakr.run_command(keeping).success();
    assert!(
        told.stderr.contains("older than 30 days"),
        "{}",
        told.stderr
    );
    let left = told.json();
    assert_eq!(left["count"], 1);
    assert_eq!(left["recordings"][0]["recording_id"], new["recording_id"]);
    assert!(!folder.exists());
    let _ = speakr.run(["show", &old]).failure(3);
}

#[test]
fn names_that_look_like_options_are_files_after_two_dashes() {
    let speakr = Speakr::new();
    for name in ["--json", "-x.wav", "--"] {
        fs::copy(clip("austen-0880.wav"), speakr.scratch().join(name)).unwrap();
    }
    let mut command = speakr.command(["transcribe", "--no-save", "--", "--json", "-x.wav", "--"]);
    command.current_dir(speakr.scratch());
    let done = speakr.run_command(command).success();
    let texts = done.stdout.to_lowercase();
    assert_eq!(texts.matches("young man").count(), 3, "{}", done.stdout);
}

#[test]
fn a_limit_of_0_is_none_on_the_command_line_too() {
    let speakr = Speakr::new().env("SPEAKR_MAX_DURATION", "1s");
    let device = microphone("austen-0880.wav");
    let args = ["record", "--json", "--no-clipboard", "--device", &device];
    let short = speakr.run(args).success().json();
    assert_eq!(short["duration_ms"], 1_000);
    for none in ["0", "off"] {
        let mut lifted = args.to_vec();
        lifted.extend(["--max-duration", none]);
        let whole = speakr.run(lifted).success().json();
        assert!(
            whole["duration_ms"].as_u64().unwrap() > 2_000,
            "{none}: {whole}"
        );
    }
}

#[test]
fn what_failed_is_told_with_what_to_do_next() {
    let speakr = Speakr::new();
    let folder = speakr.scratch().join("in");
    fs::create_dir(&folder).unwrap();
    let args = [
        "transcribe",
        "--no-save",
        folder.to_str().unwrap(),
        &path_of("austen-0880.wav"),
    ];
    let done = speakr.run(args).failure(1);
    assert!(done.stderr.contains("is a folder"), "{}", done.stderr);
    assert!(done.stderr.contains("--recursive"), "{}", done.stderr);
    assert!(done.stdout.contains("young man"), "{}", done.stdout);
}
