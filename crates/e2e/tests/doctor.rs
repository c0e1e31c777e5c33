//! What `speakr doctor` finds, and which mend it names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(target_os = "linux")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use speakr_e2e::{
    Finished, Speakr,
    audio_server::{AudioServer, Hardware},
    clip,
    display::XServer,
    requirement::need,
};

/// Whether every check that isn't well names its mend.
#[track_caller]
fn each_names_its_mend(done: &Finished) {
    let report = done.json();
    for check in report["checks"].as_array().unwrap() {
        let mend = &check["mend"];
        if check["status"] == "ok" {
            assert!(mend.is_null(), "{check}");
        } else {
            assert!(!text(mend).trim().is_empty(), "{check}");
        }
    }
}

/// The check of this name; the first where there are several.
fn check(done: &Finished, name: &str) -> Value {
    let report = done.json();
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .cloned()
        .unwrap_or_else(|| panic!("{report}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[test]
fn on_a_machine_that_has_everything_all_is_well() {
    let Some(server) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let (Some(desktop), Some(_)) = (XServer::start(), need("xclip", "xclip")) else {
        return;
    };
    let speakr = Speakr::new()
        .env("PULSE_SERVER", server.address())
        .env("DISPLAY", &desktop.display);
    let done = speakr.run(["doctor", "--json"]).success();
    assert_eq!(done.json()["ok"], true);
    each_names_its_mend(&done);
    for name in [
        "ffmpeg",
        "clipboard",
        "model",
        "processor",
        "disk",
        "recordings",
    ] {
        assert_eq!(check(&done, name)["status"], "ok", "{}", done.stdout);
    }
    // The room is silent but for what the test plays.
    let microphone = check(&done, "microphone");
    assert_ne!(microphone["status"], "failed", "{microphone}");
    assert!(
        text(&microphone["message"]).contains("Virtual microphone"),
        "{microphone}"
    );
    // A look makes no data folder.
    assert!(!speakr.home().exists());
}

#[test]
fn what_is_missing_comes_with_its_mend_and_a_failure() {
    let speakr = Speakr::new()
        .env("SPEAKR_FFMPEG", "/nowhere/ffmpeg")
        .env("SPEAKR_MODEL", "base");
    let done = speakr.run(["doctor", "--json"]).failure(1);
    assert_eq!(done.json()["ok"], false);
    each_names_its_mend(&done);
    let ffmpeg = check(&done, "ffmpeg");
    assert_eq!(ffmpeg["status"], "failed");
    assert!(text(&ffmpeg["mend"]).contains("install ffmpeg"), "{ffmpeg}");
    assert_eq!(check(&done, "microphone")["status"], "failed");
    let model = check(&done, "model");
    assert_eq!(model["status"], "failed");
    assert!(format!("{model}").contains("models pull base"), "{model}");
    let clipboard = check(&done, "clipboard");
    assert_eq!(clipboard["status"], "warning");
    assert!(
        text(&clipboard["message"]).contains("DISPLAY"),
        "{clipboard}"
    );
    let said = speakr.run(["doctor"]).failure(1);
    assert!(said.stdout.contains("MISSING  ffmpeg"), "{}", said.stdout);
}

#[test]
fn without_a_microphone_it_says_where_to_look() {
    let Some(server) = AudioServer::start(Hardware::Loudspeaker) else {
        return;
    };
    let speakr = Speakr::new().env("PULSE_SERVER", server.address());
    let done = speakr.run(["doctor", "--json"]).failure(1);
    each_names_its_mend(&done);
    let microphone = check(&done, "microphone");
    assert_eq!(microphone["status"], "failed", "{microphone}");
    assert!(
        text(&microphone["mend"]).contains("speakr devices"),
        "{microphone}"
    );
}

#[test]
fn a_library_in_trouble_is_described() {
    let speakr = Speakr::new();
    for name in ["jfk.wav", "LJ001-0005.wav"] {
        let _ = speakr.run(["transcribe".into(), clip(name)]).success();
    }
    let done = speakr.run(["doctor", "--json"]);
    assert_eq!(
        check(&done, "recordings")["status"],
        "ok",
        "{}",
        done.stdout
    );
    assert_eq!(check(&done, "index")["status"], "ok", "{}", done.stdout);

    let recordings = speakr.home().join("recordings");
    let damaged = fs::read_dir(&recordings)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // A description alone would be made again from what lies beside it.
    for file in fs::read_dir(&damaged).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    fs::write(damaged.join("recording.json"), "{").unwrap();
    fs::set_permissions(&recordings, fs::Permissions::from_mode(0o755)).unwrap();
    let done = speakr.run(["doctor", "--json"]).failure(1);
    let report = done.json();
    let found: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["name"] == "recordings")
        .collect();
    assert!(
        found
            .iter()
            .any(|check| text(&check["message"]).contains("1 of 2 are damaged")),
        "{report}"
    );
    assert!(
        found
            .iter()
            .any(|check| text(&check["mend"]).starts_with("chmod 700")),
        "{report}"
    );
}
