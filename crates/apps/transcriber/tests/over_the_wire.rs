//! The real program on a real server, driven as any client drives it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::Duration;

use serde_json::json;
use speakr_contract::{
    AudioData, CaptureSide,
    commands::{RecordingCancel, RecordingStart, RecordingStop, TranscriptionRun},
    events::{
        RecordingCancelled, RecordingFinished, RecordingStarted, TranscriptionFailed,
        TranscriptionPartial, TranscriptionSucceeded,
    },
    ids,
};
use speakr_nats::{audio::AudioSender, dead_letters};

use crate::support::{Platform, clip, is_the_speech, request, samples};

fn stop(recording_id: uuid::Uuid, transcribe_on_stop: bool) -> RecordingStop {
    RecordingStop {
        recording_id,
        transcribe_on_stop,
        metadata: serde_json::from_value(json!({"room": "4.12"})).unwrap(),
    }
}

#[tokio::test]
async fn what_a_client_speaks_becomes_text_while_it_speaks_and_is_kept() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[]).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    let start = RecordingStart {
        tags: vec!["moon".to_owned()],
        metadata: serde_json::from_value(json!({"copy_to_clipboard": true})).unwrap(),
        ..RecordingStart::default()
    };
    platform.send(&start, &client).await;
    let started: RecordingStarted = platform.wait_for(id).await;
    assert_eq!(started.tags, ["moon"]);
    assert_eq!(started.metadata, start.metadata);

    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    let (first, rest) = pcm.split_at(pcm.len() / 2);
    sender.send(first).await.unwrap();
    let partial: TranscriptionPartial = platform.wait_for(id).await;
    assert!(!partial.text.is_empty() && partial.start_ms < partial.end_ms);
    sender.send(rest).await.unwrap();
    sender.finish().await.unwrap();
    platform.send(&stop(id, true), &client).await;

    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    assert_eq!(finished.metadata["room"], "4.12");
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    assert_eq!(succeeded.tags, ["moon"]);
    assert_eq!(succeeded.metadata["copy_to_clipboard"], true);
    assert!(!succeeded.segments.unwrap().is_empty());

    platform.wait_until_all_is_answered().await;
    assert_eq!(platform.messages_in("SPEAKR_AUDIO").await, 0);
    assert!(platform.kept(id).join("transcript.json").exists());
    let log = replica.log();
    assert!(!log.to_lowercase().contains("americans"), "{log}");
    assert!(log.contains(&id.to_string()) && log.contains(&client.correlation_id.to_string()));
}

#[tokio::test]
async fn a_file_in_a_message_becomes_text_and_once_however_often_it_is_sent() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    let run = TranscriptionRun {
        audio_data: Some(AudioData(std::fs::read(clip()).unwrap())),
        tags: vec!["a".to_owned()],
        ..TranscriptionRun::default()
    };
    platform.send(&run, &client).await;
    let first: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&first.transcribed_text), "{first:?}");
    // Sent again, as a client does that lost its answer.
    platform.send(&run, &client).await;
    let again: TranscriptionSucceeded = platform.wait_for(id).await;
    assert_eq!(again, first);
    platform.wait_until_all_is_answered().await;
    assert_eq!(
        platform.stored(id).await["speakr.event.transcription.succeeded"],
        1
    );

    // Another run of what is kept, with a tag more.
    let other = request();
    let run = TranscriptionRun {
        recording_id: Some(id),
        tags: vec!["b".to_owned()],
        ..TranscriptionRun::default()
    };
    platform.send(&run, &other).await;
    let second: TranscriptionSucceeded = platform.wait_for(id).await;
    assert_eq!(second.tags, ["a", "b"]);
    assert_ne!(second.event_id, first.event_id);
}

#[tokio::test]
async fn a_recording_without_text_is_kept_and_a_later_run_makes_its_text() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    platform.send_sound(&client, &samples()).await;
    platform.send(&stop(id, false), &client).await;
    let run = TranscriptionRun {
        recording_id: Some(id),
        ..TranscriptionRun::default()
    };
    // At once: the recording may not have ended yet.
    platform.send(&run, &client).await;
    let _: RecordingFinished = platform.wait_for(id).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    assert_eq!(
        platform.stored(id).await["speakr.event.transcription.succeeded"],
        1
    );
}

#[tokio::test]
async fn a_cancelled_recording_leaves_nothing_and_makes_no_text() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    sender.send(&samples()[..64_000]).await.unwrap();
    let _: RecordingStarted = platform.wait_for(id).await;
    platform
        .send(&RecordingCancel { recording_id: id }, &client)
        .await;
    let _: RecordingCancelled = platform.wait_for(id).await;
    platform.send(&stop(id, true), &client).await;
    platform.wait_until_all_is_answered().await;
    assert!(!platform.kept(id).exists());
    assert_eq!(platform.messages_in("SPEAKR_AUDIO").await, 0);
    let stored = platform.stored(id).await;
    assert_eq!(stored.get("speakr.event.recording.cancelled"), Some(&1));
    assert_eq!(stored.get("speakr.event.transcription.succeeded"), None);
}

#[tokio::test]
async fn what_can_not_be_served_is_said_and_put_among_the_dead_letters() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let no_sound = request();
    let run = TranscriptionRun {
        audio_data: Some(AudioData(b"this is no sound".to_vec())),
        ..TranscriptionRun::default()
    };
    platform.send(&run, &no_sound).await;
    let id = ids::recording_id(no_sound.correlation_id);
    let failed: TranscriptionFailed = platform.wait_for(id).await;
    assert!(failed.error.contains("audio_data"), "{}", failed.error);
    assert!(
        !platform.kept(id).exists(),
        "what is no sound leaves no trace"
    );

    let host = request();
    let start = RecordingStart {
        capture: CaptureSide::Host,
        ..RecordingStart::default()
    };
    platform.send(&start, &host).await;
    let failed: TranscriptionFailed = platform
        .wait_for(ids::recording_id(host.correlation_id))
        .await;
    assert!(
        failed.error.contains("SPEAKR_HOST_CAPTURE"),
        "{}",
        failed.error
    );

    // No JSON at all, and no correlation id.
    platform
        .bus
        .jetstream()
        .publish("speakr.command.transcription.run", "poison".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let stream = platform
        .bus
        .jetstream()
        .get_stream("SPEAKR_COMMANDS")
        .await
        .unwrap();
    let last = stream.cached_info().state.last_sequence;
    let derived = ids::correlation_of_sequence("SPEAKR_COMMANDS", last);
    let failed: TranscriptionFailed = platform.wait_for(ids::recording_id(derived)).await;
    assert!(failed.error.contains("expected value"), "{}", failed.error);

    platform.wait_until_all_is_answered().await;
    let letters = dead_letters::list(&platform.bus, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "{letters:#?}");
    assert!(letters.iter().all(|letter| !letter.reason.is_empty()));
}

#[tokio::test]
async fn a_replica_that_is_killed_in_the_middle_loses_nothing() {
    let mut platform = Platform::start().await;
    let mut first = platform.replica(&[]).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    sender.send(&pcm[..pcm.len() / 2]).await.unwrap();
    let _: TranscriptionPartial = platform.wait_for(id).await;
    first.kill();
    sender.send(&pcm[pcm.len() / 2..]).await.unwrap();
    sender.finish().await.unwrap();
    platform.send(&stop(id, true), &client).await;

    let _second = platform.replica(&[]).await;
    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    let stored = platform.stored(id).await;
    for kind in [
        "recording.started",
        "recording.finished",
        "transcription.succeeded",
    ] {
        assert_eq!(
            stored.get(&format!("speakr.event.{kind}")),
            Some(&1),
            "{stored:?}"
        );
    }
    assert_eq!(platform.messages_in("SPEAKR_AUDIO").await, 0);
}

#[tokio::test]
async fn a_replica_that_is_asked_to_end_hands_its_recording_to_another_at_once() {
    let mut platform = Platform::start().await;
    // No redelivery by time: only what is handed back comes again soon.
    let slow = [("SPEAKR_ACK_WAIT", "600s")];
    let mut first = platform.replica(&slow).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    let _second = platform.replica(&slow).await;
    let status = first.ask_to_end();
    assert!(status.success(), "{status}: {}", first.log());
    platform.send_sound(&client, &samples()).await;
    platform.send(&stop(id, true), &client).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
}

#[tokio::test]
async fn a_client_that_vanishes_has_its_recording_finished() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[("SPEAKR_CLIENT_PATIENCE", "4s")]).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    sender.send(&pcm).await.unwrap();
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    assert!(platform.messages_in("SPEAKR_AUDIO").await < 2);
    drop(sender);
    tokio::time::sleep(Duration::from_millis(10)).await;
}
