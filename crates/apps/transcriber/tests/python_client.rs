//! A client in another language that knows the contract alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{path::Path, process::Command};

use serde_json::Value;
use speakr_testkit::process::fetched;

use crate::support::{Platform, clip, is_the_speech};

#[tokio::test]
async fn a_python_program_records_stops_and_has_its_text() {
    let platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let python = fetched("natspy", "python").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/client.py");
    let url = platform.nats.url();
    let output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(script)
            .arg(url)
            .arg(clip())
            .output()
    })
    .await
    .unwrap()
    .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let heard: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = heard["recording_id"].as_str().unwrap();
    let order = heard["order"].as_array().unwrap();
    let kinds: Vec<_> = order.iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"recording.started"));
    assert_eq!(kinds.last(), Some(&"transcription.succeeded"));
    assert!(kinds.contains(&"transcription.partial"), "{kinds:?}");
    let succeeded = &heard["succeeded"];
    assert_eq!(succeeded["recording_id"], id);
    assert_eq!(succeeded["tags"], serde_json::json!(["from-python"]));
    assert!(is_the_speech(
        succeeded["transcribed_text"].as_str().unwrap()
    ));
    platform.wait_until_all_is_answered().await;
    let stored = platform.stored(id.parse().unwrap()).await;
    assert_eq!(stored["transcription.succeeded"], 1, "{stored:?}");
}
