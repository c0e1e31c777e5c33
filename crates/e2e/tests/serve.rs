//! `speakr serve` over HTTP, with real speech.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use speakr_e2e::{
    Speakr,
    api_server::{ApiServer, problem, with_a_recording},
    program::PATIENCE,
};

#[tokio::test]
async fn what_was_sent_is_found_by_its_meaning_heard_labelled_exported_and_deleted() {
    let speakr = Speakr::new();
    let (server, id) = with_a_recording(&speakr).await;
    let get = async |path: &str| server.request(Method::GET, path).send().await.unwrap();

    // "country" and "citizen" aren't in the query.
    let query = json!({"query_text": "serving your nation", "filter_tags": ["history"], "mode": "semantic"});
    let found = server
        .request(Method::POST, "/api/v1/query")
        .json(&query)
        .send()
        .await
        .unwrap();
    assert_eq!(found.status(), 200);
    assert!(found.headers().contains_key("x-request-id"));
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["count"], 1, "{found}");
    let result = &found["results"][0];
    assert_eq!(result["recording_id"], id.as_str());
    assert!(
        result["transcribed_text"]
            .as_str()
            .unwrap()
            .contains("country")
    );
    assert!(result["similarity"].as_f64().unwrap() > 0.2, "{found}");
    assert!(result["passages"][0]["end_ms"].as_u64().unwrap() > 5_000);
    assert_eq!(result["metadata"]["file_name"], "jfk.wav");
    let none = json!({"query_text": "serving your nation", "filter_tags": ["history", "music"]});
    let none: Value = server
        .request(Method::POST, "/api/v1/query")
        .json(&none)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(none, json!({"results": [], "count": 0}));

    let path = "/api/v1/recordings?tags=speech,history&limit=5";
    let list = server.told(path).await;
    assert_eq!(list["recordings"][0]["recording_id"], id.as_str());
    let shown = server.told(&format!("/api/v1/recordings/{id}")).await;
    assert!(!shown["segments"].as_array().unwrap().is_empty());
    assert_eq!(shown["state"], "transcribed");
    let srt = get(&format!("/api/v1/recordings/{id}/export?format=srt")).await;
    assert!(srt.text().await.unwrap().starts_with("1\n00:00:0"));
    problem(
        get(&format!("/api/v1/recordings/{id}/export?format=docx")).await,
        400,
        "malformed",
    )
    .await;

    let tags = server
        .request(Method::PATCH, &format!("/api/v1/recordings/{id}/tags"))
        .json(&json!({"add": ["new'; drop table recordings; --"], "remove": ["history"]}))
        .send()
        .await
        .unwrap();
    let tags: Value = tags.json().await.unwrap();
    assert_eq!(
        tags["tags"],
        json!(["new'; drop table recordings; --", "speech"])
    );

    let sound = format!("/api/v1/recordings/{id}/sound");
    let whole = get(&sound).await;
    assert_eq!(whole.headers()["content-type"], "audio/flac");
    let etag = whole.headers()["etag"].clone();
    let whole = whole.bytes().await.unwrap();
    assert_eq!(&whole[..4], b"fLaC");
    let part = server
        .request(Method::GET, &sound)
        .header(header::RANGE, "bytes=100-199")
        .header(header::IF_RANGE, etag)
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes 100-199/{}", whole.len()).as_str()
    );
    assert_eq!(part.bytes().await.unwrap(), whole[100..200]);
    let past = server
        .request(Method::GET, &sound)
        .header(header::RANGE, "bytes=99999999-")
        .send()
        .await
        .unwrap();
    problem(past, 416, "range").await;

    let deleted = server
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    problem(get(&format!("/api/v1/recordings/{id}")).await, 410, "gone").await;
    let list = server.told("/api/v1/recordings").await;
    assert_eq!(list["count"], 0);
    assert!(!speakr.home().join("recordings").join(&id).exists());
}

#[tokio::test]
async fn every_format_of_openai_is_answered_and_nothing_is_kept_unasked() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let text = async |format: &str| {
        let answer = server
            .transcribe("jfk.wav", &[("response_format", format)])
            .await;
        assert_eq!(answer.status(), 200, "{format}");
        answer.text().await.unwrap()
    };
    let plain: Value = serde_json::from_str(&text("json").await).unwrap();
    assert!(
        plain["text"].as_str().unwrap().contains("ask not"),
        "{plain}"
    );
    assert_eq!(plain["usage"], json!({"type": "duration", "seconds": 11}));
    assert_eq!(
        text("text").await,
        format!("{}\n", plain["text"].as_str().unwrap())
    );
    assert!(text("srt").await.starts_with("1\n00:00:0"));
    assert!(text("vtt").await.starts_with("WEBVTT\n\n00:00:0"));

    let fields = [
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
    ];
    let words: Value = server
        .transcribe("jfk.wav", &fields)
        .await
        .json()
        .await
        .unwrap();
    assert!(words["words"].as_array().unwrap().len() > 10, "{words}");
    assert!(words.get("segments").is_none());
    assert_eq!(words["language"], "english");

    let streamed = server.transcribe("jfk.wav", &[("stream", "true")]).await;
    assert_eq!(streamed.headers()["content-type"], "text/event-stream");
    let streamed = streamed.text().await.unwrap();
    let events: Vec<Value> = streamed
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let deltas: String = events
        .iter()
        .filter(|e| e["type"] == "transcript.text.delta")
        .map(|e| e["delta"].as_str().unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "transcript.text.done");
    assert_eq!(last["text"], deltas);
    assert_eq!(deltas, plain["text"].as_str().unwrap());

    let list = server.told("/api/v1/recordings").await;
    assert_eq!(list["count"], 0);
    let uploads: Vec<_> = std::fs::read_dir(speakr.home().join("run"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("serve-"))
        .flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten())
        .collect();
    assert!(uploads.is_empty(), "{uploads:?}");
}

#[tokio::test]
async fn what_waits_to_be_read_for_its_meaning_is_found_by_it_while_it_serves() {
    let (speakr, id) = Speakr::with_a_recording("jfk.wav");
    // An index that is lost is made anew with the words alone.
    for file in ["index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"] {
        std::fs::remove_file(speakr.home().join(file)).ok();
    }
    let server = ApiServer::start(&speakr, &[]);
    let query = json!({"query_text": "serving your nation", "mode": "semantic"});
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let asked = server.request(Method::POST, "/api/v1/query").json(&query);
        let found: Value = asked.send().await.unwrap().json().await.unwrap();
        if found["count"] == 1 {
            break found;
        }
        assert!(Instant::now() < deadline, "{found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(found["results"][0]["recording_id"], id.as_str());
}

#[tokio::test]
async fn the_same_request_again_makes_no_second_recording() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let send = async || {
        let file = std::fs::read(speakr_e2e::clip("jfk.wav")).unwrap();
        let part = reqwest::multipart::Part::bytes(file).file_name("jfk.wav");
        let form = reqwest::multipart::Form::new()
            .text("model", "whisper-1")
            .text("store", "true")
            .part("file", part);
        let request = server
            .request(Method::POST, "/v1/audio/transcriptions")
            .multipart(form);
        let request = request.header(
            "Speakr-Correlation-Id",
            "9b2f6a53-7a34-4e0c-9f57-0f4a7d2a4a11",
        );
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first, second);
    let list = server.told("/api/v1/recordings").await;
    assert_eq!(list["count"], 1);
}
