//! Deleted recordings leave the streams of a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::Duration;

use futures::StreamExt;
use speakr_contract::{
    AudioData, Message, Metadata,
    commands::{RecordingStart, TranscriptionRun},
    decode,
    events::{RecordingDeleted, TranscriptionSucceeded},
    ids,
};
use speakr_core::{RecordingId, ports::copies::Copies};
use speakr_nats::{
    Bus, BusConfig, Queue, QueueConfig, Request, StreamCopies,
    audio::{self, AudioSender},
    intents::{Intents, Stop},
    streams,
};
use uuid::Uuid;

use crate::support::{commands, platform, request, work};

/// Something that only this recording says.
fn secret(of: &Request) -> String {
    format!("words of {}", of.correlation_id)
}

/// The event that the recording of this request is text.
fn said(request: &Request) -> TranscriptionSucceeded {
    TranscriptionSucceeded {
        event_id: Uuid::new_v4(),
        recording_id: ids::recording_id(request.correlation_id),
        transcribed_text: secret(request),
        tags: vec![],
        metadata: Metadata::default(),
        language: None,
        duration_ms: None,
        segments: None,
        transcript_path: None,
        model: None,
        created_at: None,
    }
}

/// Everything that a recording can leave in the streams: an event, a waiting command with its
/// sound, a dead letter, sound. Gives its id and its request.
async fn leave_copies(bus: &Bus) -> (Uuid, Request) {
    let request = request();
    let id = ids::recording_id(request.correlation_id);
    let key = |what: &str| format!("{what}-{id}");
    bus.publish(&said(&request), &request, &key("said"))
        .await
        .unwrap();
    // The first goes to the dead letters, the second waits.
    let queue = Queue::open(bus, commands(Duration::from_secs(30), 3))
        .await
        .unwrap();
    let start = RecordingStart {
        tags: vec![secret(&request)],
        ..RecordingStart::default()
    };
    bus.publish(&start, &request, &key("start")).await.unwrap();
    work(&queue).await.bury("a test").await.unwrap();
    let run = TranscriptionRun {
        audio_data: Some(AudioData(secret(&request).into_bytes())),
        tags: vec![secret(&request)],
        ..TranscriptionRun::default()
    };
    bus.publish(&run, &request, &key("run")).await.unwrap();
    let mut sound = AudioSender::new(bus, id, request.clone());
    sound.send(&[7; 3_200]).await.unwrap();
    sound.finish().await.unwrap();
    (id, request)
}

/// Messages in all streams that say `secret`.
async fn saying(bus: &Bus, secret: &str) -> usize {
    let mut found = 0;
    for name in [streams::COMMANDS, streams::EVENTS, streams::DEAD_LETTER] {
        let stream = bus.jetstream().get_stream(name).await.unwrap();
        let state = stream.cached_info().state.clone();
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                found += usize::from(String::from_utf8_lossy(&message.payload).contains(secret));
            }
        }
    }
    found
}

#[tokio::test]
async fn a_deleted_recording_leaves_every_stream_and_others_stay() {
    let (_nats, bus) = platform().await;
    let (gone, gone_request) = leave_copies(&bus).await;
    let (kept, kept_request) = leave_copies(&bus).await;
    assert_eq!(saying(&bus, &secret(&gone_request)).await, 3);

    let copies = StreamCopies::new(bus.clone());
    let id = RecordingId::from(gone);
    assert_eq!(copies.forget(id).await.unwrap(), 3);
    assert_eq!(saying(&bus, &secret(&gone_request)).await, 0);
    assert!(!audio::exists(&bus, gone).await.unwrap());
    assert_eq!(copies.forget(id).await.unwrap(), 0, "nothing is left");

    assert_eq!(saying(&bus, &secret(&kept_request)).await, 3);
    assert!(audio::exists(&bus, kept).await.unwrap());
}

#[tokio::test]
async fn what_a_stop_told_of_a_deleted_recording_goes_and_that_it_was_cancelled_stays() {
    let (_nats, bus) = platform().await;
    let intents = Intents::open(&bus).await.unwrap();
    let copies = StreamCopies::new(bus.clone());
    for cancelled in [false, true] {
        let id = Uuid::new_v4();
        let mut metadata = Metadata::default();
        metadata.insert("note".to_owned(), format!("walrus {id}").into());
        let stop = Stop {
            transcribe: true,
            metadata,
        };
        intents.stop(id, stop).await.unwrap();
        if cancelled {
            intents.cancel(id).await.unwrap();
        }
        assert_eq!(copies.forget(RecordingId::from(id)).await.unwrap(), 1);
        let left = intents.get(id).await.unwrap();
        assert_eq!((left.stop, left.cancelled), (None, cancelled));
        assert_eq!(copies.forget(RecordingId::from(id)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_lay_there_before_is_not_looked_at_again() {
    let (_nats, bus) = platform().await;
    let (before, _) = leave_copies(&bus).await;
    let copies = StreamCopies::from_now_on(bus.clone()).await.unwrap();
    let (after, request) = leave_copies(&bus).await;
    assert_eq!(copies.forget(RecordingId::from(before)).await.unwrap(), 0);
    assert_eq!(copies.forget(RecordingId::from(after)).await.unwrap(), 3);
    assert_eq!(saying(&bus, &secret(&request)).await, 0);
}

/// Takes the event that is the newest in the stream out of it, in both ways that there are.
async fn take_out(bus: &Bus, of: &Request, from_queue: bool) {
    let id = ids::recording_id(of.correlation_id);
    if !from_queue {
        let copies = StreamCopies::new(bus.clone());
        assert_eq!(copies.forget(id.into()).await.unwrap(), 1);
        return;
    }
    let events = QueueConfig {
        stream: streams::EVENTS,
        durable: streams::EMBEDDER_DURABLE,
        filter: TranscriptionSucceeded::SUBJECT.to_owned(),
        ..commands(Duration::from_secs(30), 3)
    };
    let queue = Queue::open(bus, events).await.unwrap();
    loop {
        let delivery = work(&queue).await;
        if delivery.request == *of {
            return delivery.erase(id).await.unwrap();
        }
        delivery.done().await.unwrap();
    }
}

#[tokio::test]
async fn what_comes_again_after_a_deletion_and_a_killed_server_is_still_dropped() {
    for from_queue in [false, true] {
        let (mut nats, bus) = platform().await;
        let (kept, gone) = (request(), request());
        for of in [&kept, &gone] {
            let id = of.correlation_id.to_string();
            bus.publish(&said(of), of, &id).await.unwrap();
        }
        take_out(&bus, &gone, from_queue).await;
        assert_eq!(saying(&bus, &secret(&gone)).await, 0);

        nats.kill();
        nats.start_again().unwrap();
        let bus = Bus::connect(&BusConfig::new(&nats.url(), "test"))
            .await
            .unwrap();
        let id = kept.correlation_id.to_string();
        bus.publish(&said(&kept), &kept, &id).await.unwrap();
        assert_eq!(saying(&bus, &secret(&kept)).await, 1, "{from_queue}");
    }
}

#[tokio::test]
async fn that_a_recording_is_deleted_is_told_and_stays_known() {
    let (_nats, bus) = platform().await;
    let mut heard = bus
        .client()
        .subscribe(RecordingDeleted::SUBJECT)
        .await
        .unwrap();
    let (id, _) = leave_copies(&bus).await;
    let copies = StreamCopies::new(bus.clone());
    for time in 1..=2 {
        copies.forget(id.into()).await.unwrap();
        let told = heard.next().await.unwrap();
        let event: RecordingDeleted = decode(&told.payload).unwrap();
        assert_eq!(event.recording_id, id);
        assert_eq!(saying(&bus, &id.to_string()).await, time);
    }
}
