//! A client in another language that knows the contract alone, as the user that clients have.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use speakr_e2e::{clip, platform::Platform, requirement};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_program_records_stops_has_its_text_and_finds_it() {
    let Some(python) = requirement::fetched("natspy", "python") else {
        return;
    };
    let platform = Platform::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/bus_client.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(platform.nats.url())
        .args(["cli", platform.password("cli")])
        .arg(clip("jfk.wav"));
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let heard: Value = serde_json::from_slice(&output.stdout).unwrap();
    let order = heard["order"].as_array().unwrap();
    let kinds: Vec<_> = order.iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"recording.started"));
    assert_eq!(kinds.last(), Some(&"transcription.succeeded"));
    assert!(kinds.contains(&"transcription.partial"), "{kinds:?}");
    let succeeded = &heard["succeeded"];
    assert_eq!(succeeded["recording_id"], heard["recording_id"]);
    assert_eq!(succeeded["tags"], json!(["from-python"]));
    let text = succeeded["transcribed_text"].as_str().unwrap();
    assert!(text.contains("fellow Americans"), "{text}");

    let query = json!({"query_text": "serving your nation", "filter_tags": ["from-python"]});
    let found = platform
        .query_until(&query, |answer| answer["count"] == 1)
        .await;
    let result = &found["results"][0];
    assert_eq!(result["recording_id"], heard["recording_id"]);
    assert!(
        result["passages"][0]["end_ms"].as_u64() > Some(0),
        "{found}"
    );
}
