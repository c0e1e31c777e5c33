//! What is deleted is gone from everywhere, whoever is killed meanwhile; so is what nobody asked to
//! keep.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "common/bus.rs"]
mod bus;
#[path = "common/files.rs"]
mod files;
#[path = "common/store.rs"]
mod store;

use std::time::{Duration, Instant};

use files::files_with;

use reqwest::Method;
use serde_json::{Value, json};
use speakr_contract::{
    AudioData, Message, commands::TranscriptionRun, events::TranscriptionSucceeded,
};
use speakr_core::{CorrelationId, RecordingId};
use speakr_e2e::{
    clip,
    platform::{Platform, Role},
    program::PATIENCE,
};
use speakr_nats::Request;
use speakr_testkit::s3::S3;
use uuid::Uuid;

/// Said in the recording, labelled and told of it: each in no other.
const WORDS: [&str; 3] = ["fellow", "quarterly-zebra", "walrus-in-metadata"];

/// Soon enough for a test to see.
const SWEPT_SOON: (&str, &str) = ("SPEAKR_SWEEP_AFTER", "2s");

/// Rows with `words` in them, in all tables of the platform.
fn rows_with(platform: &Platform, words: &str) -> Vec<String> {
    let tables = platform.sql(
        "SELECT string_agg(quote_ident(table_name), ' ') FROM information_schema.tables \
         WHERE table_schema = 'speakr' AND table_type = 'BASE TABLE'",
    );
    let mut found = Vec::new();
    for table in tables.split_whitespace() {
        let rows = platform.sql(&format!(
            "SELECT count(*) FROM speakr.{table} AS r WHERE r::text ILIKE '%{words}%'"
        ));
        if rows.trim() != "0" {
            found.push(format!("{table}: {}", rows.trim()));
        }
    }
    found
}

/// All places that still have anything of the recording.
async fn places_with(platform: &Platform, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, body) in store::versions(&platform.s3, "").await {
        let body = String::from_utf8_lossy(&body);
        let of_it = key.contains(id) && !key.starts_with("tombstones/");
        if of_it || WORDS.iter().any(|words| body.contains(words)) {
            found.push(format!("s3: {key}"));
        }
    }
    let streams = platform.nats.log();
    for words in WORDS {
        found.extend(files_with(streams.parent().unwrap(), words));
        found.extend(rows_with(platform, words));
    }
    for service in [
        &platform.transcriber,
        &platform.embedder,
        &platform.query_svc,
    ] {
        let log = service.log();
        found.extend(
            WORDS
                .iter()
                .filter(|words| log.contains(**words))
                .map(|words| format!("a log: {words}")),
        );
    }
    found
}

/// Waits until nothing is left of the recording anywhere.
async fn until_gone(platform: &Platform, id: &str) {
    let began = Instant::now();
    loop {
        let left = places_with(platform, id).await;
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "left: {left:#?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn keep(platform: &Platform) -> String {
    let client = bus::connect(platform, "cli").await;
    let run = TranscriptionRun {
        audio_data: Some(AudioData(std::fs::read(clip("jfk.wav")).unwrap())),
        tags: vec![WORDS[1].to_owned()],
        metadata: [("note".to_owned(), json!(WORDS[2]))].into_iter().collect(),
        ..TranscriptionRun::default()
    };
    let request = Request::new(Uuid::new_v4());
    bus::send(&client, &run, &request).await;
    let query = json!({"query_text": "serving your nation", "filter_tags": [WORDS[1]]});
    platform.query_until(&query, |a| a["count"] == 1).await;
    RecordingId::from_correlation(CorrelationId::from(request.correlation_id)).to_string()
}

#[tokio::test]
async fn nothing_that_is_deleted_is_left_in_store_streams_tables_and_logs() {
    let platform = Platform::start();
    let id = keep(&platform).await;
    let before = places_with(&platform, &id).await;
    // This test sees what there is.
    for place in ["s3: recordings/", "passages", "word_counts", "recordings:"] {
        assert!(before.iter().any(|p| p.contains(place)), "{before:#?}");
    }
    assert!(before.iter().any(|p| p.contains(".blk")), "{before:#?}");
    for words in WORDS {
        assert_ne!(rows_with(&platform, words), Vec::<String>::new(), "{words}");
    }
    let answer = platform
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
    // At once: whoever was told so relies on it.
    assert_eq!(places_with(&platform, &id).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deletion_whose_service_is_killed_is_finished_by_the_next() {
    let mut platform = Platform::start_with(&[SWEPT_SOON]);
    // From before anything is written to after all is done.
    for after_ms in [0, 5, 15, 30, 60, 120] {
        let id = keep(&platform).await;
        let request = platform.request(Method::DELETE, &format!("/api/v1/recordings/{id}"));
        let deletion = tokio::spawn(request.send());
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        platform.query_svc.kill();
        let heard = deletion.await.unwrap().is_ok();
        platform.restart(Role::QuerySvc, &[SWEPT_SOON]);
        let begun = store::versions(&platform.s3, "")
            .await
            .iter()
            .any(|(key, _)| key.starts_with("condemned/") || key == &format!("tombstones/{id}"));
        if heard || begun {
            until_gone(&platform, &id).await;
        } else {
            // It never came to that: asked again, it is done.
            platform
                .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
                .send()
                .await
                .unwrap();
            assert_eq!(places_with(&platform, &id).await, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn who_hangs_up_has_the_recording_deleted_all_the_same() {
    let platform = Platform::start();
    let id = keep(&platform).await;
    let request = platform.request(Method::DELETE, &format!("/api/v1/recordings/{id}"));
    let gave_up = request.timeout(Duration::from_millis(30)).send().await;
    drop(gave_up);
    let asked = store::versions(&platform.s3, "condemned/").await;
    let deleted = store::versions(&platform.s3, "tombstones/").await;
    assert!(
        !asked.is_empty() || !deleted.is_empty(),
        "the request didn't come through in time"
    );
    until_gone(&platform, &id).await;
}

#[tokio::test]
async fn what_nobody_asked_to_keep_goes_though_the_service_is_killed_in_the_middle() {
    let mut platform = Platform::start_with(&[SWEPT_SOON]);
    let form = reqwest::multipart::Form::new()
        .text("model", "whisper-1")
        .text("tags", WORDS[1])
        .part(
            "file",
            reqwest::multipart::Part::bytes(std::fs::read(clip("jfk.wav")).unwrap())
                .file_name("jfk.wav"),
        );
    let request = platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .multipart(form);
    let asking = tokio::spawn(request.send());
    let began = Instant::now();
    let id = loop {
        let kept = store::versions(&platform.s3, "recordings/").await;
        if let Some((key, _)) = kept.first() {
            break key.split('/').nth(1).unwrap().to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "nothing was begun");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    platform.query_svc.kill();
    let _ = asking.await.unwrap();
    // The transcriber goes on: nobody told it to stop.
    let transcript = format!("recordings/{id}/transcript.json");
    while store::versions(&platform.s3, &transcript).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "no text came of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    platform.restart(Role::QuerySvc, &[("SPEAKR_SWEEP_AFTER", "10s")]);
    let found = platform
        .request(Method::POST, "/api/v1/query")
        .json(&json!({"query_text": "country"}))
        .send()
        .await
        .unwrap();
    let found: Value = found.json().await.unwrap();
    assert_eq!(found["count"], 0, "it is not for anybody to find: {found}");
    until_gone(&platform, &id).await;
}

#[tokio::test]
async fn what_is_deleted_while_its_text_is_made_is_in_no_dead_letter() {
    let platform = Platform::start();
    let mut met = 0;
    for _ in 0..5 {
        let correlation_id = CorrelationId::random();
        let id = RecordingId::from_correlation(correlation_id).to_string();
        let form = reqwest::multipart::Form::new()
            .text("model", "whisper-1")
            .text("store", "true")
            .text("tags", WORDS[1])
            .part(
                "file",
                reqwest::multipart::Part::bytes(std::fs::read(clip("jfk.wav")).unwrap())
                    .file_name("jfk.wav"),
            );
        let request = platform
            .request(Method::POST, "/v1/audio/transcriptions")
            .header("Speakr-Correlation-Id", correlation_id.to_string())
            .multipart(form);
        let asking = tokio::spawn(request.send());
        let began = Instant::now();
        let folder = format!("recordings/{id}/");
        while store::versions(&platform.s3, &folder).await.is_empty() {
            assert!(began.elapsed() < PATIENCE, "nothing was begun");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let deleted = platform
            .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
            .send()
            .await
            .unwrap();
        let (status, said) = (deleted.status(), deleted.text().await.unwrap());
        assert_eq!(status, 204, "{said}\n{}", platform.query_svc.log());
        let answer = asking.await.unwrap().unwrap();
        met += usize::from(answer.status() == 422);
        // A dead letter would come after whoever asked was told.
        tokio::time::sleep(Duration::from_millis(500)).await;
        until_gone(&platform, &id).await;
    }
    assert!(met > 0, "no deletion met a text that was being made");
}

#[tokio::test]
async fn who_waits_for_the_text_of_what_another_deletes_is_told_so() {
    let mut platform = Platform::start();
    // Nobody who could tell of it over the bus, as where the text was made just before.
    platform.transcriber.kill();
    let correlation_id = CorrelationId::random();
    let id = RecordingId::from_correlation(correlation_id).to_string();
    // Too large for a message: its sound is in the store before anybody works on it.
    let mut file = std::fs::read(clip("jfk.wav")).unwrap();
    file.extend(b"JUNK");
    file.extend(7_000_000_u32.to_le_bytes());
    file.resize(file.len() + 7_000_000, 0);
    let form = reqwest::multipart::Form::new()
        .text("model", "whisper-1")
        .text("store", "true")
        .part(
            "file",
            reqwest::multipart::Part::bytes(file).file_name("jfk.wav"),
        );
    let request = platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .header("Speakr-Correlation-Id", correlation_id.to_string())
        .multipart(form);
    let asking = tokio::spawn(request.send());
    let began = Instant::now();
    let command = "speakr.command.transcription.run";
    while !platform.heard().kinds.contains_key(command) {
        assert!(began.elapsed() < PATIENCE, "nothing was asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deleted = platform
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 204);
    let answer = tokio::time::timeout(Duration::from_secs(30), asking);
    let answer = answer.await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), 422);
    let said = answer.text().await.unwrap();
    assert!(said.contains("deleted"), "{said}");
}

#[tokio::test]
async fn what_came_into_the_store_after_its_deletion_is_found_and_taken_away() {
    let mut platform = Platform::start();
    let id = keep(&platform).await;
    let answer = platform
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
    // As a transcriber leaves it that is killed right after it wrote.
    store::client(&platform.s3)
        .put_object()
        .bucket(S3::BUCKET)
        .key(format!("recordings/{id}/sound/0000000000000000.pcm"))
        .body(WORDS[0].as_bytes().to_vec().into())
        .send()
        .await
        .unwrap();
    assert!(!places_with(&platform, &id).await.is_empty());
    platform.restart(Role::QuerySvc, &[]);
    until_gone(&platform, &id).await;
}

#[tokio::test]
async fn a_text_that_is_told_after_its_deletion_stays_in_no_stream() {
    let platform = Platform::start();
    let id = keep(&platform).await;
    let deleted = platform
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.status(), 204);
    // As a transcriber tells it that was cut off from the bus meanwhile.
    let transcriber = bus::connect(&platform, "transcriber").await;
    let event = TranscriptionSucceeded {
        event_id: Uuid::new_v4(),
        recording_id: id.parse().unwrap(),
        transcribed_text: format!("My {} Americans", WORDS[0]),
        tags: vec![WORDS[1].to_owned()],
        metadata: serde_json::Map::new(),
        language: None,
        duration_ms: None,
        segments: None,
        transcript_path: None,
        model: None,
        created_at: None,
    };
    let (request, name) = (Request::new(Uuid::new_v4()), event.event_id.to_string());
    transcriber.publish(&event, &request, &name).await.unwrap();
    until_gone(&platform, &id).await;
    let operator = bus::connect(&platform, "operator").await;
    let events = bus::count_events(&operator, event.recording_id).await;
    assert!(
        !events.contains_key(TranscriptionSucceeded::SUBJECT),
        "{events:?}"
    );
}

#[tokio::test]
async fn what_is_older_than_it_may_become_goes() {
    let mut platform = Platform::start();
    let id = keep(&platform).await;
    let young = platform
        .transcribe("jfk.wav", &[("store", "true"), ("tags", "young")])
        .await;
    let young = young["recording_id"].as_str().unwrap();
    let _ = platform.sql(&format!(
        "UPDATE speakr.recordings SET created_ns = created_ns - 8 * 86400 * 1000000000::bigint WHERE id = '{id}'"
    ));
    platform.restart(Role::QuerySvc, &[("SPEAKR_RETENTION_DAYS", "7")]);
    let began = Instant::now();
    loop {
        let answer = platform
            .request(Method::GET, &format!("/api/v1/recordings/{id}"))
            .send()
            .await;
        // The first may use a connection to the service that was.
        if answer.as_ref().is_ok_and(|a| a.status() == 410) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = platform
        .request(Method::GET, &format!("/api/v1/recordings/{young}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}
