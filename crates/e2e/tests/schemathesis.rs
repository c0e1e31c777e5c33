//! The query API against its own OpenAPI document: schemathesis sends what the document allows, and what
//! it doesn't, and looks at every answer.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use speakr_e2e::{Speakr, api_server::ApiServer, requirement::fetched};

/// Answers that it holds against the document.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,ignored_auth,use_after_free";

/// Sends what there is to send, but for `without` methods; a seed makes it the same each time.
fn hold_against_the_document(url: &str, token: &str, recording: &str, without: &[&str]) {
    let Some(schemathesis) = fetched("schemathesis", "schemathesis") else {
        return;
    };
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let scratch = tempfile::tempdir().unwrap();
    let parameters = format!("[parameters]\nrecording_id = \"{recording}\"\n");
    std::fs::write(scratch.path().join("schemathesis.toml"), parameters).unwrap();
    let mut command = std::process::Command::new(schemathesis);
    command.args(["run", document, "--url", url]);
    for method in without {
        command.args(["--exclude-method", method]);
    }
    let output = command
        .current_dir(scratch.path())
        .arg("--header")
        .arg(format!("Authorization: Bearer {token}"))
        .args(["--checks", CHECKS, "--phases", "coverage,fuzzing"])
        .args([
            "--max-examples",
            "30",
            "--seed",
            "1",
            "--no-shrink",
            "--continue-on-failure",
        ])
        .args(["--request-timeout", "60"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_openapi_document_tells_of() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let token = server.token.as_deref().unwrap();
    let stored = server.transcribe("pv-en.wav", &[("store", "true")]).await;
    let stored: serde_json::Value = stored.json().await.unwrap();
    let recording = stored["recording_id"].as_str().unwrap();
    // As long as it is there, the recording is what most operations are asked about.
    tokio::task::block_in_place(|| {
        hold_against_the_document(&server.url, token, recording, &["DELETE"]);
        hold_against_the_document(&server.url, token, recording, &[]);
    });
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_platform_is_one_that_the_openapi_document_tells_of() {
    let platform = speakr_e2e::platform::Platform::start();
    let stored = platform.transcribe("pv-en.wav", &[("store", "true")]).await;
    let recording = stored["recording_id"].as_str().unwrap();
    tokio::task::block_in_place(|| {
        let (url, token) = (platform.url(), platform.token());
        hold_against_the_document(&url, token, recording, &["DELETE"]);
        hold_against_the_document(&url, token, recording, &[]);
    });
}
