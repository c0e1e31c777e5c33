//! A service that records with the microphone of its own machine: a real one, of a sound server.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

use std::time::Duration;

#[path = "common/bus.rs"]
mod bus;

use futures::StreamExt;
use serde_json::json;
use speakr_contract::{
    CaptureSide, Message,
    commands::{RecordingStart, RecordingStop},
    decode,
    events::{RecordingFinished, RecordingStarted, TranscriptionSucceeded},
    ids,
};
use speakr_e2e::{
    audio_server::{AudioServer, Hardware},
    clip,
    platform::{Platform, Role},
    program::PATIENCE,
    wav,
};
use speakr_nats::Request;
use uuid::Uuid;

/// The next event of its kind.
async fn next<M: Message>(events: &mut async_nats::Subscriber) -> M {
    let search = async {
        loop {
            let event = events.next().await.unwrap();
            if event.subject.as_str() == M::SUBJECT {
                return decode(&event.payload).unwrap();
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("no {} came", M::SUBJECT))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_beside_the_service_is_recorded_made_into_text_and_found() {
    let Some(room) = AudioServer::start(Hardware::Microphone) else {
        return;
    };
    let mut platform = Platform::start();
    platform.restart(
        Role::Transcriber,
        &[
            ("SPEAKR_HOST_CAPTURE", "1"),
            ("PULSE_SERVER", &room.address()),
        ],
    );
    let bus = bus::connect(&platform, "cli").await;
    let mut events = bus.client().subscribe("speakr.event.>").await.unwrap();
    bus.client().flush().await.unwrap();

    let request = Request::new(Uuid::new_v4());
    let id = ids::recording_id(request.correlation_id);
    let start = RecordingStart {
        capture: CaptureSide::Host,
        ..RecordingStart::default()
    };
    bus.publish(&start, &request, "start").await.unwrap();
    let started: RecordingStarted = next(&mut events).await;
    assert_eq!(started.recording_id, id);

    let spoken = wav::read(&clip("jfk.wav"));
    let playing = room.play(&spoken);
    tokio::task::block_in_place(|| playing.wait());
    // What was heard last is on its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stop = RecordingStop {
        recording_id: id,
        transcribe_on_stop: true,
        metadata: serde_json::Map::new(),
    };
    bus.publish(&stop, &request, "stop").await.unwrap();
    let finished: RecordingFinished = next(&mut events).await;
    assert_eq!(finished.recording_id, id);
    let made: TranscriptionSucceeded = next(&mut events).await;
    assert_eq!(made.recording_id, id);
    let text = &made.transcribed_text;
    assert!(
        text.contains("fellow Americans") && text.contains("for your country"),
        "{text}"
    );
    let length_ms = spoken.len() as u64 / 16;
    let duration_ms = made.duration_ms.unwrap();
    assert!(duration_ms >= length_ms, "{duration_ms} ms of {length_ms}");

    let query = json!({"query_text": "serving your nation"});
    let found = platform.query_until(&query, |a| a["count"] == 1).await;
    assert_eq!(found["results"][0]["recording_id"], id.to_string());
}
