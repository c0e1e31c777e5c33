//! The adapters against servers that answer, and misbehave, over real HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use speakr_core::{
    CorrelationId, Tags,
    ports::{
        embedding::Embedder,
        speech::{DecodeOptions, SpeechEngine, SpeechError},
        transcription::{Transcription, TranscriptionError, TranscriptionRequest},
    },
};
use speakr_openai::{
    ApiKey, OpenAiClient, OpenAiConfig, OpenAiEmbedder, OpenAiEngine, OpenAiError,
    OpenAiTranscription,
};
use tokio_util::sync::CancellationToken;

/// Serves `router` on a free port; gives where its API begins.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn config(url: &str) -> OpenAiConfig {
    let key = ApiKey::new(|| Ok("right".to_owned()));
    OpenAiConfig {
        timeout: Duration::from_millis(500),
        ..OpenAiConfig::new(url.parse().unwrap(), Some(key))
    }
}

fn client(url: &str) -> OpenAiClient {
    OpenAiClient::new(config(url)).unwrap()
}

/// A server of the embeddings API. Its vectors count letters: texts of the same letters are alike.
async fn embeddings(headers: HeaderMap, Json(body): Json<Value>) -> Response {
    if headers
        .get("authorization")
        .is_none_or(|v| v != "Bearer right")
    {
        let error = json!({"error": {"message": "Incorrect API key", "type": "auth"}});
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let texts = body["input"].as_array().unwrap();
    let mut data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut letters = [0.0_f32; 26];
            for byte in text
                .as_str()
                .unwrap()
                .bytes()
                .filter(u8::is_ascii_lowercase)
            {
                letters[usize::from(byte - b'a')] += 1.0;
            }
            json!({"object": "embedding", "index": index, "embedding": letters.to_vec()})
        })
        .collect();
    // The order isn't promised: the index tells.
    data.reverse();
    Json(json!({"object": "list", "data": data, "model": body["model"]})).into_response()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[tokio::test]
async fn texts_become_vectors_of_unit_length_in_their_order() {
    let url = serve(Router::new().route("/v1/embeddings", post(embeddings))).await;
    let embedder = OpenAiEmbedder::connect(client(&url), "letters")
        .await
        .unwrap();
    assert_eq!(embedder.dimensions(), 26);
    assert_eq!(embedder.model_id(), "openai:letters");
    let texts: Vec<String> = (0..300)
        .map(|n| if n % 2 == 0 { "listen" } else { "budget" }.to_owned())
        .chain(["silent".to_owned()])
        .collect();
    let vectors = embedder.embed(&texts).await.unwrap();
    assert_eq!(vectors.len(), 301);
    assert!(vectors.iter().all(|v| (cosine(v, v) - 1.0).abs() < 1e-5));
    assert!(cosine(&vectors[300], &vectors[298]) > 0.999);
    assert!(cosine(&vectors[300], &vectors[299]) < 0.5);
}

#[tokio::test]
async fn a_key_that_is_not_taken_or_not_there_is_told_and_not_tried_again() {
    let url = serve(Router::new().route("/v1/embeddings", post(embeddings))).await;
    let key = ApiKey::new(|| Ok("wrong".to_owned()));
    let wrong = OpenAiConfig::new(url.parse().unwrap(), Some(key));
    let began = Instant::now();
    let error = OpenAiEmbedder::connect(OpenAiClient::new(wrong).unwrap(), "m")
        .await
        .unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(400));
    assert!(
        matches!(error, OpenAiError::Unauthorised { status: 401, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("Incorrect API key"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"));

    let gone = ApiKey::new(|| Err("its file is gone".to_owned()));
    let gone = OpenAiConfig::new(url.parse().unwrap(), Some(gone));
    let error = OpenAiEmbedder::connect(OpenAiClient::new(gone).unwrap(), "m")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("its file is gone"), "{error}");
}

/// A server whose first `times` answers are `first`, and then `then`; and how often it was asked.
async fn first_then(
    times: u32,
    first: impl Fn() -> Response + Clone + Send + Sync + 'static,
    then: Value,
) -> (String, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let handler = move || {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        let answer = if n < times {
            first()
        } else {
            Json(then.clone()).into_response()
        };
        async move { answer }
    };
    let router = Router::new()
        .route("/v1/embeddings", post(handler.clone()))
        .route("/v1/audio/transcriptions", post(handler));
    (serve(router).await, asked)
}

fn too_many(seconds: u32) -> Response {
    let headers = [("retry-after", seconds.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, headers, "slow down").into_response()
}

fn one_vector() -> Value {
    json!({"data": [{"index": 0, "embedding": [3.0, 4.0]}]})
}

#[tokio::test]
async fn too_many_requests_are_waited_for_as_the_server_asks() {
    let (url, asked) = first_then(1, || too_many(1), one_vector()).await;
    let began = Instant::now();
    let embedder = OpenAiEmbedder::connect(client(&url), "m").await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(embedder.dimensions(), 2);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_instead() {
    let (url, asked) = first_then(u32::MAX, || too_many(3_600), Value::Null).await;
    let error = OpenAiEmbedder::connect(client(&url), "m")
        .await
        .unwrap_err();
    let OpenAiError::TooMany {
        retry_after,
        reason,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*retry_after, Some(Duration::from_secs(3_600)));
    assert_eq!(reason, "slow down");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_and_its_words_are_told_in_the_end() {
    let fails = || (StatusCode::BAD_GATEWAY, "<html>\nbad\u{1b}[31m gateway").into_response();
    let (url, asked) = first_then(2, fails, one_vector()).await;
    OpenAiEmbedder::connect(client(&url), "m").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    let (url, asked) = first_then(u32::MAX, fails, Value::Null).await;
    let error = OpenAiEmbedder::connect(client(&url), "m")
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenAiError::Server { status: 502, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("gateway"));
    assert!(!error.to_string().contains(['\u{1b}', '\n']), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_server_that_says_nothing_or_is_not_there_is_told() {
    let silent = Router::new().route(
        "/v1/embeddings",
        post(async || tokio::time::sleep(Duration::from_secs(60)).await),
    );
    let error = OpenAiEmbedder::connect(client(&serve(silent).await), "m")
        .await
        .unwrap_err();
    assert!(matches!(error, OpenAiError::TimedOut { .. }), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let away = client(&format!("http://127.0.0.1:{port}/v1"));
    let error = OpenAiEmbedder::connect(away, "m").await.unwrap_err();
    assert!(matches!(error, OpenAiError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for_are_refused() {
    for answer in [
        json!({}),
        json!("hello"),
        json!({"data": []}),
        json!({"data": [{"index": 5, "embedding": [1.0]}]}),
        json!({"data": [{"index": 0, "embedding": [0.0, 0.0]}]}),
        json!({"data": [{"index": 0, "embedding": []}]}),
        json!({"data": [{"index": 0, "embedding": ["a"]}]}),
    ] {
        let (url, _) = first_then(0, || too_many(1), answer.clone()).await;
        let error = OpenAiEmbedder::connect(client(&url), "m")
            .await
            .unwrap_err();
        assert!(
            matches!(error, OpenAiError::Malformed { .. }),
            "{answer}: {error}"
        );
    }
}

#[tokio::test]
async fn a_redirect_does_not_take_the_key_elsewhere() {
    let (elsewhere, asked) = first_then(0, || too_many(1), one_vector()).await;
    let away = move || {
        let headers = [("location", format!("{elsewhere}/embeddings"))];
        (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
    };
    let (url, _) = first_then(u32::MAX, away, Value::Null).await;
    let error = OpenAiEmbedder::connect(client(&url), "m")
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenAiError::Refused { status: 307, .. }),
        "{error}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

fn spoken() -> Value {
    json!({
        "task": "transcribe", "language": "english", "duration": 1.5, "text": "Hello world. Bye.",
        "segments": [
            {"id": 0, "start": 0.0, "end": 0.9, "text": " Hello world.", "avg_logprob": -0.2},
            {"id": 1, "start": 0.9, "end": 7.0, "text": " Bye.", "avg_logprob": -0.4},
        ],
        "words": [
            {"word": "Hello", "start": 0.0, "end": 0.4},
            {"word": "world.", "start": 0.4, "end": 0.9},
            {"word": "Bye.", "start": 1.0, "end": 1.4},
        ],
    })
}

#[tokio::test]
async fn a_piece_of_sound_becomes_segments_within_it() {
    let (url, _) = first_then(0, || too_many(1), spoken()).await;
    let engine = OpenAiEngine::new(client(&url), "whisper-1");
    let token = CancellationToken::new();
    let decoded = engine
        .decode(vec![0; 16_000 * 3 / 2], &DecodeOptions::default(), &token)
        .await
        .unwrap();
    assert_eq!(decoded.language.unwrap().as_str(), "en");
    assert_eq!(decoded.segments[0].text, "Hello world.");
    assert_eq!(decoded.segments[0].words.as_ref().unwrap().len(), 2);
    assert_eq!(
        (decoded.segments[1].start_ms, decoded.segments[1].end_ms),
        (900, 1_500)
    );
    assert!((decoded.mean_log_probability + 0.3).abs() < 1e-6);
}

#[tokio::test]
async fn a_cancelled_piece_ends_at_once() {
    let silent = Router::new().route(
        "/v1/audio/transcriptions",
        post(async || tokio::time::sleep(Duration::from_secs(60)).await),
    );
    let engine = OpenAiEngine::new(client(&serve(silent).await), "whisper-1");
    let token = CancellationToken::new();
    token.cancel();
    let error = engine
        .decode(vec![0; 16_000], &DecodeOptions::default(), &token)
        .await
        .unwrap_err();
    assert!(matches!(error, SpeechError::Cancelled));
}

fn request(file: &std::path::Path) -> TranscriptionRequest {
    TranscriptionRequest {
        correlation_id: CorrelationId::random(),
        created_at: jiff::Timestamp::now(),
        file: file.to_owned(),
        file_name: Some("talk.mp3".to_owned()),
        options: DecodeOptions::default(),
        tags: Tags::new(["a"]),
        metadata: speakr_core::recording::Metadata::new(),
        keep: false,
    }
}

#[tokio::test]
async fn a_file_becomes_a_transcript_and_each_failure_its_own_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sound").unwrap();
    let ask = async |url: &str| {
        let transcription = OpenAiTranscription::new(client(url), "whisper-1");
        let token = CancellationToken::new();
        transcription
            .transcribe(&request(file.path()), &(), &token)
            .await
    };
    let (url, _) = first_then(0, || too_many(1), spoken()).await;
    let transcript = ask(&url).await.unwrap();
    assert_eq!(transcript.text, "Hello world. Bye.");
    assert_eq!(transcript.duration_ms, 1_500);

    let (url, _) = first_then(u32::MAX, || too_many(100), Value::Null).await;
    let error = ask(&url).await.unwrap_err();
    assert!(
        matches!(
            error,
            TranscriptionError::Busy {
                retry_after_s: Some(100),
                ..
            }
        ),
        "{error}"
    );
    let unauthorised = || StatusCode::UNAUTHORIZED.into_response();
    let (url, _) = first_then(u32::MAX, unauthorised, Value::Null).await;
    let error = ask(&url).await.unwrap_err();
    assert!(
        matches!(error, TranscriptionError::Unauthorised { .. }),
        "{error}"
    );
    let bad = || {
        (
            StatusCode::BAD_REQUEST,
            r#"{"error":{"message":"no sound"}}"#,
        )
            .into_response()
    };
    let (url, _) = first_then(u32::MAX, bad, Value::Null).await;
    let error = ask(&url).await.unwrap_err();
    assert!(error.to_string().contains("no sound"), "{error}");
    assert!(matches!(error, TranscriptionError::Refused { .. }));
    let wrong = json!({"text": "a", "segments": [{"start": 1e300, "end": 2.0, "text": "a"}]});
    let (url, _) = first_then(0, bad, wrong).await;
    assert!(matches!(
        ask(&url).await,
        Err(TranscriptionError::Failed { .. })
    ));
}
