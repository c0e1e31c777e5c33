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

use futures::TryStreamExt;
use serde_json::json;
use speakr_contract::{
    AudioData, CaptureSide,
    commands::{RecordingCancel, RecordingStart, TranscriptionRun},
    events::{
        RecordingCancelled, RecordingFinished, RecordingStarted, TranscriptionFailed,
        TranscriptionPartial, TranscriptionSucceeded,
    },
    ids,
};
use speakr_core::ports::archive::Archive;
use speakr_nats::{audio::AudioSender, dead_letters};

use crate::support::{Platform, clip, is_the_speech, long_file, request, run_of, samples, stop};

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
    let mut stop = stop(id, true);
    stop.metadata.insert("room".to_owned(), json!("4.12"));
    platform.send(&stop, &client).await;

    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    assert_eq!(finished.metadata["room"], "4.12");
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    assert_eq!(succeeded.tags, ["moon"]);
    assert_eq!(succeeded.metadata["copy_to_clipboard"], true);
    assert!(!succeeded.segments.unwrap().is_empty());

    platform.wait_until_all_is_answered().await;
    let kept = platform.kept(id).await.unwrap().unwrap();
    assert_eq!(kept.text, succeeded.transcribed_text);
    let sound = platform.archive.sound_file(id.into()).await.unwrap();
    assert_eq!(
        finished.audio_file_path,
        format!("recordings/{id}/audio.wav")
    );
    let sound = sound.read(0..sound.bytes()).await.unwrap();
    let sound = sound.try_collect::<Vec<_>>().await.unwrap().concat();
    let spoken: Vec<u8> = pcm.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert!(sound.starts_with(b"RIFF") && sound.ends_with(&spoken));
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
    assert_eq!(platform.stored(id).await["transcription.succeeded"], 1);

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
    assert_eq!(platform.stored(id).await["transcription.succeeded"], 1);
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
    // What the client says before it has heard of it does no harm.
    sender.send(&samples()[64_000..]).await.unwrap();
    sender.finish().await.unwrap();
    platform.send(&stop(id, true), &client).await;
    platform.wait_until_all_is_answered().await;
    assert!(platform.kept(id).await.is_none());
    let stored = platform.stored(id).await;
    assert_eq!(stored.get("recording.cancelled"), Some(&1));
    assert_eq!(stored.get("transcription.succeeded"), None);
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
        platform.kept(id).await.is_none(),
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
async fn a_cancel_during_the_decoding_ends_it_and_leaves_nothing() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&run_of(long_file(16)), &client).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    platform
        .send(&RecordingCancel { recording_id: id }, &client)
        .await;
    let _: RecordingCancelled = platform.wait_for(id).await;
    platform.wait_until_all_is_answered().await;
    assert!(platform.kept(id).await.is_none());
    let stored = platform.stored(id).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
}

#[tokio::test]
async fn the_microphone_of_the_service_records_where_its_operator_allows_it() {
    let mut platform = Platform::start().await;
    let device = format!("file:{}", clip().display());
    let host = [
        ("SPEAKR_HOST_CAPTURE", "1"),
        ("SPEAKR_HOST_DEVICE", device.as_str()),
    ];
    let _replica = platform.replica(&host).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    let start = RecordingStart {
        capture: CaptureSide::Host,
        ..RecordingStart::default()
    };
    platform.send(&start, &client).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    platform.send(&stop(id, true), &client).await;
    let finished: RecordingFinished = platform.wait_for(id).await;
    let heard_ms = finished.duration_ms.unwrap();
    assert!(
        (1_000..11_000).contains(&heard_ms),
        "stopped in its middle: {heard_ms}"
    );
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(
        succeeded.transcribed_text.starts_with("And so"),
        "{succeeded:?}"
    );
}

#[tokio::test]
async fn a_command_without_a_correlation_id_has_one_and_traces_go_through() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let mut headers = async_nats::HeaderMap::new();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    headers.insert("traceparent", trace);
    let run = speakr_contract::encode(&run_of(std::fs::read(clip()).unwrap())).unwrap();
    let mut events = platform
        .bus
        .client()
        .subscribe("speakr.event.transcription.succeeded")
        .await
        .unwrap();
    let sent = platform
        .bus
        .jetstream()
        .publish_with_headers("speakr.command.transcription.run", headers, run.into())
        .await
        .unwrap()
        .await
        .unwrap();
    let derived = ids::correlation_of_sequence("SPEAKR_COMMANDS", sent.sequence);
    let id = ids::recording_id(derived);
    let _: TranscriptionSucceeded = platform.wait_for(id).await;
    let event = futures::StreamExt::next(&mut events).await.unwrap();
    let headers = event.headers.unwrap();
    assert_eq!(headers.get("traceparent").unwrap().as_str(), trace);
    let correlation = headers.get("Speakr-Correlation-Id").unwrap().as_str();
    assert_eq!(correlation, derived.to_string());
}
