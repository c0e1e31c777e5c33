//! The endpoint that is compatible with OpenAI's API: by their own client, and by ours.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{path::Path, process::Command, time::Duration};

use reqwest::{Method, multipart};
use serde_json::{Value, json};
use speakr_core::{
    CorrelationId, Language, Tags,
    ports::{
        speech::{DecodeOptions, SpeechEngine},
        transcription::{Transcription, TranscriptionError, TranscriptionRequest},
    },
};
use speakr_e2e::{Speakr, api_server::ApiServer, clip, platform::Platform, requirement};
use speakr_openai::{ApiKey, OpenAiClient, OpenAiConfig, OpenAiEngine, OpenAiTranscription};
use tokio_util::sync::CancellationToken;

/// Has OpenAI's own client ask the API at `url`, as `token`.
fn ask_as_openais_client(url: &str, token: &str) {
    let Some(python) = requirement::fetched("openai", "python") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/openai_client.py");
    let output = Command::new(python)
        .arg(script)
        .args([url, token, clip("jfk.wav").to_str().unwrap()])
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = got["json"].as_str().unwrap();
    assert!(
        text.contains("ask not what your country can do for you"),
        "{got:#}"
    );
    assert_eq!(got["text"].as_str().unwrap().trim(), text);
    assert!(got["srt"].as_str().unwrap().starts_with("1\n00:00:"));
    assert!(got["vtt"].as_str().unwrap().starts_with("WEBVTT"));
    assert_eq!(got["verbose"]["text"], text);
    assert!((got["verbose"]["duration"].as_f64().unwrap() - 11.0).abs() < 0.1);
    assert!(!got["verbose"]["segments"].as_array().unwrap().is_empty());
    let words = got["verbose"]["words"].as_array().unwrap().len();
    assert_eq!(words, text.split_whitespace().count());
    assert_eq!(got["deltas"], text);
    assert_eq!(got["done"], text);
    let error = &got["errors"];
    assert_eq!(error["key"][0], "AuthenticationError", "{error}");
    let unknown = json!(["NotFoundError", 404, NO_SUCH_MODEL, "model_not_found"]);
    assert_eq!(error["model"], unknown);
}

const NO_SUCH_MODEL: &str = "there is no speech model \"no-such-model\"";

#[test]
fn openais_own_client_works_unchanged() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    ask_as_openais_client(&server.url, server.token.as_deref().unwrap());
}

#[test]
fn openais_own_client_works_unchanged_with_the_platform() {
    let platform = Platform::start();
    ask_as_openais_client(&platform.url(), platform.token());
}

#[tokio::test]
async fn a_model_that_is_not_there_has_one_answer_on_one_machine_and_on_the_platform() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let platform = Platform::start();
    let here = server.request(Method::POST, "/v1/audio/transcriptions");
    let there = platform.request(Method::POST, "/v1/audio/transcriptions");
    for request in [here, there] {
        let file = std::fs::read(clip("jfk.wav")).unwrap();
        let form = multipart::Form::new()
            .part("file", multipart::Part::bytes(file).file_name("jfk.wav"))
            .text("model", "no-such-model");
        let answer = request.multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 404);
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "urn:speakr:problem:model-not-found");
        assert_eq!(problem["detail"], NO_SUCH_MODEL);
        let error = json!({
            "message": NO_SUCH_MODEL, "type": "invalid_request_error",
            "code": "model_not_found", "param": "model",
        });
        assert_eq!(problem["error"], error);
    }
}

fn client(server: &ApiServer, token: &str) -> OpenAiClient {
    let token = token.to_owned();
    let url = format!("{}/v1", server.url).parse().unwrap();
    let mut config = OpenAiConfig::new(url, Some(ApiKey::new(move || Ok(token.clone()))));
    config.timeout = Duration::from_secs(120);
    OpenAiClient::new(config).unwrap()
}

fn request() -> TranscriptionRequest {
    TranscriptionRequest {
        correlation_id: CorrelationId::random(),
        created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        file: clip("jfk.wav"),
        file_name: Some("jfk.wav".to_owned()),
        options: DecodeOptions {
            word_timestamps: true,
            ..DecodeOptions::default()
        },
        tags: Tags::new(["speech"]),
        metadata: serde_json::Map::new(),
        keep: false,
    }
}

#[tokio::test]
async fn our_own_adapter_makes_text_of_files_and_of_pieces() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let client = client(&server, server.token.as_deref().unwrap());
    let cancel = CancellationToken::new();
    let transcription = OpenAiTranscription::new(client.clone(), "whisper-1");
    let transcript = transcription
        .transcribe(&request(), &(), &cancel)
        .await
        .unwrap();
    assert!(
        transcript.text.contains("ask not what your country"),
        "{transcript:?}"
    );
    assert_eq!(transcript.language, Some(Language::english()));
    assert_eq!(transcript.duration_ms, 11_000);
    let words = transcript
        .segments
        .iter()
        .flat_map(|s| s.words.iter().flatten())
        .count();
    assert_eq!(words, transcript.text.split_whitespace().count());

    let wav = std::fs::read(clip("jfk.wav")).unwrap();
    let data = wav.windows(4).position(|w| w == b"data").unwrap() + 8;
    let pcm = wav[data..]
        .chunks_exact(2)
        .map(|b| i16::from_le_bytes([b[0], b[1]]));
    let engine = OpenAiEngine::new(client, "whisper-1");
    let options = DecodeOptions::default();
    let decoded = engine
        .decode(pcm.collect(), &options, &cancel)
        .await
        .unwrap();
    let heard = speakr_core::transcript::join_texts(&decoded.segments);
    assert_eq!(heard, transcript.text);
}

#[tokio::test]
async fn our_own_adapter_tells_a_wrong_token_and_an_unknown_model_apart() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let cancel = CancellationToken::new();
    let wrong = OpenAiTranscription::new(client(&server, "wrong"), "whisper-1");
    let error = wrong
        .transcribe(&request(), &(), &cancel)
        .await
        .unwrap_err();
    assert!(
        matches!(error, TranscriptionError::Unauthorised { .. }),
        "{error}"
    );
    let token = server.token.clone().unwrap();
    let unknown = OpenAiTranscription::new(client(&server, &token), "no-such-model");
    let error = unknown
        .transcribe(&request(), &(), &cancel)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no-such-model"), "{error}");
}
