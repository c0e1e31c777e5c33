//! A start that is sent again while somebody speaks, as the contract allows it: whoever takes it,
//! nothing is lost, and nobody is told that it failed.
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

use std::time::{Duration, Instant};

use bus::{connect, count_events, messages_in, send};
use serde_json::{Map, Value, json};
use speakr_contract::{
    Message,
    commands::{RecordingStart, RecordingStop},
    events::{RecordingFinished, RecordingStarted, TranscriptionFailed, TranscriptionSucceeded},
    ids,
};
use speakr_e2e::{clip, platform::Platform, program::PATIENCE, wav};
use speakr_nats::{Request, audio::AudioSender, dead_letters};
use uuid::Uuid;

/// No command has an attempt to spare.
const SETTINGS: [(&str, &str); 1] = [("SPEAKR_MAX_ATTEMPTS", "1")];

/// How often the clip is said.
const TIMES: usize = 2;

/// The seconds in which the start is sent again.
const AGAIN: std::ops::Range<usize> = 3..9;

/// Says the clip as fast as somebody speaks, and sends the start again meanwhile; gives the
/// recording.
async fn speak(platform: &Platform) -> Uuid {
    let client = connect(platform, "cli").await;
    let request = Request::new(Uuid::new_v4());
    let id = ids::recording_id(request.correlation_id);
    let start = RecordingStart::default();
    send(&client, &start, &request).await;
    let speech = wav::read(&clip("jfk.wav")).repeat(TIMES);
    let mut sender = AudioSender::new(&client, id, request.clone());
    for (second, sound) in speech.chunks(16_000).enumerate() {
        sender.send(sound).await.unwrap();
        if AGAIN.contains(&second) {
            // Each time with another name, which the bus doesn't know.
            send(&client, &start, &request).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    sender.finish().await.unwrap();
    let stop = RecordingStop {
        recording_id: id,
        transcribe_on_stop: true,
        metadata: Map::new(),
    };
    send(&client, &stop, &request).await;
    id
}

/// All that was said became one text, which was told, and nothing else was.
async fn went_well(platform: &Platform, id: Uuid) {
    let query = json!({"query_text": "ask what you can do for your country"});
    let found = platform.query_until(&query, |a| a["count"] == 1).await;
    let result: &Value = &found["results"][0];
    assert_eq!(result["recording_id"], id.to_string(), "{result}");
    let text = result["transcribed_text"].as_str().unwrap().to_lowercase();
    let said = text.matches("fellow americans").count();
    assert_eq!(said, TIMES, "{text}");

    let operator = connect(platform, "operator").await;
    let began = Instant::now();
    for stream in ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"] {
        while messages_in(&operator, stream).await > 0 {
            assert!(began.elapsed() < PATIENCE, "messages are left in {stream}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let letters = dead_letters::list(&operator, 10).await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
    let events = count_events(&operator, id).await;
    for once in [RecordingStarted::SUBJECT, RecordingFinished::SUBJECT] {
        assert_eq!(events.get(once), Some(&1), "{once}: {events:?}");
    }
    assert!(events.contains_key(TranscriptionSucceeded::SUBJECT));
    assert!(!events.contains_key(TranscriptionFailed::SUBJECT));
}

#[tokio::test]
async fn a_start_that_is_sent_again_in_mid_sentence_waits_until_its_holder_has_ended() {
    let platform = Platform::start_with(&SETTINGS);
    let id = speak(&platform).await;
    went_well(&platform, id).await;
    let log = platform.transcriber.log();
    assert!(!log.contains("another writes this recording"), "{log}");
}

#[tokio::test]
async fn two_replicas_that_hold_one_recording_lose_no_word_and_no_attempt() {
    let platform = Platform::start_with(&SETTINGS);
    let other = platform.another_transcriber(&[], None).unwrap();
    let id = speak(&platform).await;
    went_well(&platform, id).await;
    let met = "another writes this recording";
    let logs = platform.transcriber.log() + &other.log();
    assert!(logs.contains(met), "they never met: {logs}");
}
