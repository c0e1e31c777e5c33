//! The `speakr` program that drives a platform: the same commands, the same words.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use speakr_e2e::{
    Speakr, clip,
    platform::{Platform, Role},
    program::{PATIENCE, microphone},
};

fn count(speakr: &Speakr, arguments: &[&str]) -> u64 {
    let listed = speakr.run(arguments).success().json();
    listed["count"].as_u64().unwrap()
}

/// Asks until `done` says so of the answer: the index follows the text.
fn until(speakr: &Speakr, arguments: &[&str], done: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = speakr.run(arguments).answered().json();
        if done(&answer) {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{answer}");
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn what_is_spoken_goes_to_the_platform_and_is_found_labelled_exported_and_deleted_from_here() {
    let platform = Platform::start();
    let speakr = platform.client();
    let checked = speakr.run(["doctor", "--json"]);
    let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
    let status = |name: &str| {
        let checks = checked["checks"].as_array().unwrap();
        let check = checks.iter().find(|c| c["name"] == name);
        check.map(|c| c["status"].clone())
    };
    assert_eq!(status("bus"), Some("ok".into()), "{checked}");
    assert_eq!(status("query API"), Some("ok".into()), "{checked}");

    let device = microphone("jfk.wav");
    let record = [
        "record",
        "--json",
        "--no-clipboard",
        "--tags",
        "speech,history",
        "--device",
        &device,
    ];
    let recorded = speakr.run(record).success();
    let text = recorded.json();
    assert!(text["text"].as_str().unwrap().contains("country"), "{text}");
    assert!(!text["segments"].as_array().unwrap().is_empty(), "{text}");
    assert!(text["latency_ms"].is_u64(), "{text}");
    assert!(
        recorded.stderr.contains("Saved on the platform"),
        "{}",
        recorded.stderr
    );
    let id = text["recording_id"].as_str().unwrap();

    // It is there, and not here any more.
    let listed = until(&speakr, &["list", "--json"], |listed| {
        listed["recordings"][0]["state"] == "transcribed"
    });
    assert_eq!(listed["recordings"][0]["recording_id"], id);
    assert_eq!(count(&speakr, &["--local", "list", "--json"]), 0);
    let found = until(
        &speakr,
        &[
            "search",
            "--json",
            "--tags",
            "history",
            "serving your nation",
        ],
        |found| found["count"] == 1,
    );
    assert_eq!(found["results"][0]["recording_id"], id);
    assert!(found["results"][0]["passages"][0]["start_ms"].is_u64());

    let short = &id[..8];
    let shown = speakr.run(["show", "--json", short]).success().json();
    assert_eq!(shown["text"], text["text"]);
    let srt = speakr.run(["export", "--format", "srt", short]).success();
    assert!(srt.stdout.starts_with("1\n00:00:0"), "{}", srt.stdout);
    let tagged = speakr
        .run(["tag", "--json", short, "new", "--remove", "history"])
        .success()
        .json();
    assert_eq!(tagged["tags"], serde_json::json!(["new", "speech"]));
    let _ = speakr.run(["rm", "--yes", short]).success();
    assert_eq!(count(&speakr, &["list", "--json"]), 0);
    let gone = speakr.run(["show", short]).failure(3);
    assert!(gone.stderr.contains(short), "{}", gone.stderr);
}

#[test]
fn files_small_and_large_and_standard_input_become_text_there() {
    let platform = Platform::start();
    let speakr = platform.client();
    let file = clip("jfk.wav");
    let small = speakr
        .run(["transcribe".as_ref(), "--json".as_ref(), file.as_os_str()])
        .success()
        .json();
    assert!(
        small["text"].as_str().unwrap().contains("country"),
        "{small}"
    );
    assert_eq!(small["metadata"]["file_name"], "jfk.wav");

    // Larger than a message of the shipped server config.
    let large = speakr.scratch().join("large.wav");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-ar", "96000", "-ac", "2", "-c:a", "pcm_f32le"])
        .arg(&large)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(large.metadata().unwrap().len() > 8_000_000);
    let sent = speakr
        .run(["transcribe".as_ref(), "--json".as_ref(), large.as_os_str()])
        .success()
        .json();
    assert!(sent["text"].as_str().unwrap().contains("country"), "{sent}");

    let mut command = speakr.command(["transcribe", "--json", "-"]);
    command.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
    let piped = speakr.run_command(command).success().json();
    assert!(
        piped["text"].as_str().unwrap().contains("country"),
        "{piped}"
    );
    assert_eq!(count(&speakr, &["list", "--json"]), 3);
    assert_eq!(count(&speakr, &["--local", "list", "--json"]), 0);

    let kept = speakr.run([
        "transcribe".as_ref(),
        "--no-save".as_ref(),
        file.as_os_str(),
    ]);
    assert!(kept.failure(2).stderr.contains("--local"));
    let wrong = speakr.scratch().join("wrong.wav");
    std::fs::write(&wrong, "this is no sound").unwrap();
    let refused = speakr
        .run(["transcribe".as_ref(), wrong.as_os_str()])
        .failure(1);
    assert!(
        refused.stderr.contains("no text of it"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_connection_that_is_lost_while_somebody_speaks_costs_no_word() {
    let mut platform = Platform::start();
    let speakr = platform.client();
    let device = microphone("jfk.wav");
    let mut speaking = speakr.start(["record", "--json", "--no-clipboard", "--device", &device]);
    speaking.wait_for("The platform at");
    thread::sleep(Duration::from_secs(3));
    platform.nats.kill();
    thread::sleep(Duration::from_secs(4));
    platform.nats.start_again().unwrap();
    let text = speaking.wait().success().json();
    let said = text["text"].as_str().unwrap();
    assert!(said.contains("fellow Americans"), "{text}");
    assert!(said.trim_end().ends_with("for your country."), "{text}");
    assert!(text["duration_ms"].as_u64().unwrap() > 10_900, "{text}");
}

#[test]
fn without_the_platform_the_sound_is_kept_and_a_retry_sends_it() {
    let platform = Platform::start();
    let speakr = platform.client();
    let nobody = speakr_testkit::process::free_port().unwrap();
    let device = microphone("jfk.wav");
    let mut command = speakr.command(["record", "--no-clipboard", "--device", &device]);
    command.env("NATS_URL", format!("nats://127.0.0.1:{nobody}"));
    let failed = speakr.run_command(command).failure(1);
    assert!(
        failed.stderr.contains("can't connect to NATS"),
        "{}",
        failed.stderr
    );
    assert!(failed.stderr.contains("speakr retry"), "{}", failed.stderr);
    let kept = speakr.run(["--local", "list", "--json"]).success().json();
    assert_eq!(kept["recordings"][0]["state"], "failed", "{kept}");

    let sent = speakr.run(["retry", "--json"]).success().json();
    assert_eq!(sent["count"], 1, "{sent}");
    let listed = until(&speakr, &["list", "--json"], |listed| {
        listed["recordings"][0]["state"] == "transcribed"
    });
    assert_eq!(
        listed["recordings"][0]["recording_id"],
        kept["recordings"][0]["recording_id"]
    );
    assert!(
        listed["recordings"][0]["text"]
            .as_str()
            .unwrap()
            .contains("country")
    );
    assert_eq!(count(&speakr, &["--local", "list", "--json"]), 0);
    let wrong = speakr.command(["list"]);
    let mut wrong = wrong;
    wrong.env("SPEAKR_API_TOKEN", "no-such-token");
    let refused = speakr.run_command(wrong).failure(1);
    assert!(
        refused.stderr.contains("SPEAKR_API_TOKEN"),
        "{}",
        refused.stderr
    );
    assert!(
        !refused.stderr.contains("no-such-token"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_killed_program_leaves_its_sound_here_and_a_retry_sends_all_of_it() {
    let mut platform = Platform::start();
    platform.restart(Role::Transcriber, &[("SPEAKR_CLIENT_PATIENCE", "3s")]);
    let speakr = platform.client();
    let device = microphone("jfk.wav");
    let mut speaking = speakr.start(["record", "--no-clipboard", "--device", &device]);
    speaking.wait_for("The platform at");
    thread::sleep(Duration::from_secs(6));
    speaking.signal("KILL");
    drop(speaking);
    // The platform makes the text of what came.
    let part = until(&speakr, &["list", "--json"], |listed| {
        listed["recordings"][0]["state"] == "transcribed"
    });
    let kept = speakr.run(["--local", "list", "--json"]).success().json();
    assert_eq!(kept["count"], 1, "{kept}");
    let sent = speakr.run(["retry", "--json"]).success().json();
    assert_eq!(sent["count"], 1, "{sent}");
    // What was sent before the end and what was kept may end a moment apart: one recording, whole.
    let listed = until(&speakr, &["list", "--json"], |listed| listed["count"] == 1);
    let (before, now) = (&part["recordings"][0], &listed["recordings"][0]);
    assert!(
        now["duration_ms"].as_u64() >= before["duration_ms"].as_u64(),
        "{before} {now}"
    );
    assert_eq!(count(&speakr, &["--local", "list", "--json"]), 0);
}

#[test]
fn what_is_being_transcribed_is_listed_as_that_and_nobody_is_asked_to_try_again() {
    // An engine elsewhere that takes its time.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", silent.local_addr().unwrap());
    let platform = Platform::start_with(&[("SPEAKR_ENGINE", "openai"), ("OPENAI_BASE_URL", &url)]);
    let speakr = platform.client();
    let device = microphone("jfk.wav");
    let speaking = speakr.start(["record", "--no-clipboard", "--device", &device]);
    let began = Instant::now();
    loop {
        let listed = speakr.run(["list"]).success().stdout;
        if listed.contains("(being transcribed)") {
            assert!(!listed.contains("retry"), "{listed}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{listed}");
        thread::sleep(Duration::from_millis(200));
    }
    speaking.signal("KILL");
}

#[test]
fn what_is_cancelled_is_neither_here_nor_there() {
    let platform = Platform::start();
    let speakr = platform.client();
    let device = microphone("jfk.wav");
    let mut speaking = speakr.start(["record", "--no-clipboard", "--device", &device]);
    speaking.wait_for("The platform at");
    let log = |words: &str| {
        let began = Instant::now();
        while !platform.transcriber.log().contains(words) {
            assert!(began.elapsed() < PATIENCE, "{}", platform.transcriber.log());
            thread::sleep(Duration::from_millis(100));
        }
    };
    log("\"message\":\"recording\"");
    let _ = speakr.run(["cancel"]).success();
    let ended = speaking.wait().failure(130);
    assert!(ended.stderr.contains("discarded"), "{}", ended.stderr);
    assert_eq!(count(&speakr, &["--local", "list", "--json"]), 0);
    log("\"message\":\"cancel\"");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(count(&speakr, &["list", "--json"]), 0);
}

/// A real microphone and a real clipboard here, everything else there: from the first word to the
/// moment that is found.
#[cfg(target_os = "linux")]
#[test]
fn what_a_microphone_hears_is_on_the_clipboard_and_found_at_its_moment_on_the_platform() {
    use speakr_e2e::{
        audio_server::{AudioServer, Hardware},
        display::XServer,
        requirement::need,
        wav,
    };
    let (Some(sound), Some(display), Some(_)) = (
        AudioServer::start(Hardware::Microphone),
        XServer::start(),
        need("xclip", "xclip"),
    ) else {
        return;
    };
    let platform = Platform::start();
    let speakr = platform
        .client()
        .env("PULSE_SERVER", sound.address())
        .env("DISPLAY", &display.display);
    let mut recording = speakr.start(["record", "--json"]);
    recording.wait_for("Recording");
    sound.play(&wav::read(&clip("jfk.wav"))).wait();
    thread::sleep(Duration::from_millis(300));
    let _ = speakr.run(["stop"]).success();
    let transcript = recording.wait().success().json();
    let text = transcript["text"].as_str().unwrap();
    assert!(text.to_lowercase().contains("your country"), "{text}");
    assert_eq!(display.paste(), text);
    let found = until(
        &speakr,
        &[
            "search",
            "serving your nation",
            "--mode",
            "semantic",
            "--json",
        ],
        |answer| answer["count"] == 1,
    );
    let result = &found["results"][0];
    assert_eq!(result["recording_id"], transcript["recording_id"]);
    let passage = &result["passages"][0];
    let (start_ms, end_ms) = (
        passage["start_ms"].as_u64().unwrap(),
        passage["end_ms"].as_u64().unwrap(),
    );
    assert!(start_ms < end_ms && end_ms <= transcript["duration_ms"].as_u64().unwrap());
}
