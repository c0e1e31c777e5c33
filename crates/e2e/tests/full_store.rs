//! A store of record without room: what is said meanwhile waits in the bus.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    dead_code,
    unreachable_pub,
    reason = "test code"
)]

#[path = "common/bus.rs"]
mod bus;
#[path = "common/store.rs"]
mod store;

use std::time::{Duration, Instant};

use aws_sdk_s3::{Client, primitives::ByteStream};
use bus::{connect, count_events, messages_in, send};
use serde_json::{Map, Value, json};
use speakr_contract::{
    commands::{RecordingStart, RecordingStop},
    ids,
};
use speakr_e2e::{
    clip,
    platform::{Options, Platform},
    program::PATIENCE,
    requirement, wav,
};
use speakr_nats::{Request, audio::AudioSender, dead_letters};
use speakr_testkit::s3::{Kind, S3};
use uuid::Uuid;

/// Room for the sound of this test, several times.
const ROOM: u64 = 32_000_000;

/// How often the clip is said before the store is full, and after.
const TIMES: usize = 3;

/// How long the store stays full.
const FULL_FOR: Duration = Duration::from_secs(12);

/// Fills the store to the last kilobytes with objects of somebody else; gives their keys.
async fn fill(client: &Client) -> Vec<String> {
    let mut keys = Vec::new();
    for bytes in [1_000_000, 100_000, 10_000, 4_000] {
        loop {
            let key = format!("ballast/{}", keys.len());
            let put = client
                .put_object()
                .bucket(S3::BUCKET)
                .key(&key)
                .body(ByteStream::from(vec![b'x'; bytes]));
            // One that was refused may be there in part.
            keys.push(key);
            if put.send().await.is_err() {
                break;
            }
        }
    }
    keys
}

async fn make_room(client: &Client) {
    let list = client.list_object_versions().bucket(S3::BUCKET);
    let page = list.prefix("ballast/").send().await.unwrap();
    for version in page.versions() {
        client
            .delete_object()
            .bucket(S3::BUCKET)
            .key(version.key().unwrap())
            .set_version_id(version.version_id().map(ToOwned::to_owned))
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_store_that_fills_up_in_mid_sentence_loses_no_word_and_has_them_once_there_is_room() {
    if requirement::own_mounts().is_none() {
        eprintln!("skipped: SPEAKR_TEST_SKIP lists mount, and a full store takes a small disk");
        return;
    }
    if !Kind::installed().unwrap().contains(&Kind::Versitygw) {
        eprintln!("skipped: moto's store is as large as memory; a full one takes versitygw");
        return;
    }
    let platform = Platform::start_as(&Options {
        store_room: Some(ROOM),
        ..Options::default()
    });
    let (client_bus, operator) = (
        connect(&platform, "cli").await,
        connect(&platform, "operator").await,
    );
    let store = store::client(&platform.s3);
    let speech = wav::read(&clip("jfk.wav")).repeat(TIMES);
    let request = Request::new(Uuid::new_v4());
    let id = ids::recording_id(request.correlation_id);
    send(&client_bus, &RecordingStart::default(), &request).await;
    let mut sender = AudioSender::new(&client_bus, id, request.clone());
    sender.send(&speech).await.unwrap();
    let began = Instant::now();
    while !store::versions(&platform.s3, "recordings/")
        .await
        .iter()
        .any(|(_, body)| body.len() > 100_000)
    {
        assert!(began.elapsed() < PATIENCE, "{}", platform.transcriber.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fill(&store).await;
    sender.send(&speech).await.unwrap();
    sender.finish().await.unwrap();
    let stop = RecordingStop {
        recording_id: id,
        transcribe_on_stop: true,
        metadata: Map::new(),
    };
    send(&client_bus, &stop, &request).await;

    tokio::time::sleep(FULL_FOR).await;
    let log = platform.transcriber.log();
    assert!(log.contains("no space left in s3://speakr/"), "{log}");
    assert!(log.contains("a command waits for what it needs"), "{log}");
    assert_eq!(messages_in(&operator, "SPEAKR_COMMANDS").await, 1, "{log}");
    let chunks = 2 * speech.len().div_ceil(1_600) as u64;
    let kept = messages_in(&operator, "SPEAKR_AUDIO").await;
    assert!(kept >= chunks, "{kept} of {chunks} messages of sound");
    let succeeded = "speakr.event.transcription.succeeded";
    let events = count_events(&operator, id).await;
    assert!(!events.contains_key(succeeded), "{events:?}");

    make_room(&store).await;
    let query = json!({"query_text": "ask what you can do for your country"});
    let found = platform.query_until(&query, |a| a["count"] == 1).await;
    let result: &Value = &found["results"][0];
    assert_eq!(result["recording_id"], id.to_string(), "{result}");
    let text = result["transcribed_text"].as_str().unwrap().to_lowercase();
    let said = text.matches("fellow americans").count();
    assert_eq!(said, 2 * TIMES, "{text}");
    let events = count_events(&operator, id).await;
    assert!(events.values().all(|count| *count == 1), "{events:?}");
    assert!(events.contains_key(succeeded), "{events:?}");
    let failed = "speakr.event.transcription.failed";
    assert!(!events.contains_key(failed), "{events:?}");
    let letters = dead_letters::list(&operator, 10).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    let began = Instant::now();
    for stream in ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"] {
        while messages_in(&operator, stream).await > 0 {
            assert!(began.elapsed() < PATIENCE, "messages are left in {stream}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
