//! What goes wrong on the way: replicas that die or end, a server that is away, clients that vanish
//! or stutter, and messages that kill.

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

use speakr_contract::{
    audio::{CHUNK_SAMPLES, Chunk},
    commands::RecordingStart,
    events::{
        RecordingFinished, RecordingStarted, TranscriptionFailed, TranscriptionPartial,
        TranscriptionSucceeded,
    },
    ids, subjects,
};
use speakr_core::{RecordingState, ports::archive::Archive};
use speakr_nats::{audio::AudioSender, dead_letters};

use crate::support::{
    PATIENCE, Platform, Replica, is_the_speech, long_file, request, run_of, samples, stop,
};

/// Whether exactly the events of one recording that went well are in the stream.
async fn went_well_once(platform: &Platform, id: uuid::Uuid) {
    let stored = platform.stored(id).await;
    let kinds = [
        "recording.started",
        "recording.finished",
        "transcription.succeeded",
    ];
    assert_eq!(stored.len(), kinds.len(), "{stored:?}");
    for kind in kinds {
        assert_eq!(stored.get(kind), Some(&1), "{stored:?}");
    }
}

#[tokio::test]
async fn one_of_two_replicas_is_killed_and_the_other_finishes_its_recording() {
    let mut platform = Platform::start().await;
    let mut replicas = [platform.replica(&[]).await, platform.replica(&[]).await];
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    let (first, rest) = pcm.split_at(pcm.len() / 2);
    sender.send(first).await.unwrap();
    let _: TranscriptionPartial = platform.wait_for(id).await;
    let holds = |replica: &Replica| replica.logged(id).iter().any(|m| m == "recording");
    let holder = usize::from(!holds(&replicas[0]));
    assert!(holds(&replicas[holder]) && !holds(&replicas[1 - holder]));
    replicas[holder].kill();
    sender.send(rest).await.unwrap();
    sender.finish().await.unwrap();
    platform.send(&stop(id, true), &client).await;

    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    went_well_once(&platform, id).await;
    let again = replicas[1 - holder].metric("speakr_redeliveries_total", "recording.start");
    assert_eq!(again, Some(1.0));
}

#[tokio::test]
async fn a_run_whose_replica_is_killed_is_done_by_another() {
    let mut platform = Platform::start().await;
    let mut first = platform.replica(&[]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&run_of(long_file(4)), &client).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    first.kill();
    let _second = platform.replica(&[]).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert_eq!(succeeded.duration_ms, Some(44_000));
    assert_eq!(succeeded.transcribed_text.matches("fellow").count(), 4);
    platform.wait_until_all_is_answered().await;
    assert_eq!(platform.stored(id).await["transcription.succeeded"], 1);
}

#[tokio::test]
async fn a_replica_that_is_asked_to_end_hands_its_recording_to_another_at_once() {
    let mut platform = Platform::start().await;
    // No redelivery by time: only what is handed back comes again soon. And no attempt to spare.
    let slow = [("SPEAKR_ACK_WAIT", "600s"), ("SPEAKR_MAX_ATTEMPTS", "1")];
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
    platform.wait_until_all_is_answered().await;
    went_well_once(&platform, id).await;
}

#[tokio::test]
async fn a_run_that_is_too_long_for_the_deadline_is_handed_to_another() {
    let mut platform = Platform::start().await;
    let settings = [
        ("SPEAKR_ACK_WAIT", "600s"),
        ("SPEAKR_MAX_ATTEMPTS", "1"),
        ("SPEAKR_SHUTDOWN_DEADLINE", "4s"),
    ];
    let mut first = platform.replica(&settings).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&run_of(long_file(12)), &client).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    let began = std::time::Instant::now();
    let status = first.ask_to_end();
    assert!(status.success(), "{status}: {}", first.log());
    // The engine itself takes a moment to notice.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let _second = platform.replica(&settings).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert_eq!(succeeded.duration_ms, Some(132_000));
    assert!(
        succeeded.transcribed_text.matches("fellow").count() > 8,
        "{succeeded:?}"
    );
}

/// Whether all of the sound of a recording is kept.
async fn is_captured(platform: &Platform, id: uuid::Uuid) -> bool {
    let recording = platform.archive.recording(id.into()).await;
    recording.is_ok_and(|recording| recording.state != RecordingState::Capturing)
}

#[tokio::test]
async fn a_message_that_kills_every_replica_ends_among_the_dead_letters() {
    let mut platform = Platform::start().await;
    let settings = [("SPEAKR_MAX_ATTEMPTS", "2"), ("SPEAKR_ACK_WAIT", "1s")];
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    {
        let _makes_the_streams = platform.replica(&settings).await;
    }
    platform.send(&run_of(long_file(4)), &client).await;
    for attempt in 1..=2 {
        let mut victim = platform.replica(&settings).await;
        let began = std::time::Instant::now();
        let begun = format!("\"attempt\":{attempt}");
        // In the middle of its work: the sound is kept, and the text isn't made.
        while !(victim.log().contains(&begun) && is_captured(&platform, id).await) {
            assert!(began.elapsed() < PATIENCE, "{}", victim.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        victim.kill();
    }
    let replica = platform.replica(&settings).await;
    let failed: TranscriptionFailed = platform.wait_for(id).await;
    let reason = "it was tried 2 times, and each time the work on it broke off";
    assert_eq!(failed.error, reason);
    platform.wait_until_all_is_answered().await;
    // Whoever waits is told once, and nothing else.
    let stored = platform.stored(id).await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(stored.get("transcription.failed"), Some(&1), "{stored:?}");
    let letters = dead_letters::list(&platform.bus, 10).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].subject, "speakr.command.transcription.run");
    assert_eq!(letters[0].reason, reason);
    assert_eq!(letters[0].correlation_id, Some(client.correlation_id));
    assert_eq!(replica.metric("speakr_dead_letters_total", ""), Some(1.0));

    // What was put aside can be sent again once the fault is mended.
    let command = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_speakr-transcriber"))
            .arg("dead-letters")
            .args(arguments)
            .env("NATS_URL", platform.nats.url())
            .output()
            .unwrap()
    };
    let listed = command(&["list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let letter: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(letter["sequence"], letters[0].sequence);
    let sequence = letters[0].sequence.to_string();
    assert!(command(&["replay", &sequence]).status.success());
    let again = command(&["replay", &sequence]);
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(said.contains("no dead letter"), "{said}");
    let _: TranscriptionSucceeded = platform.wait_for(id).await;
}

#[tokio::test]
async fn half_a_file_whose_command_was_put_aside_is_made_whole_when_it_is_sent_again() {
    let mut platform = Platform::start().await;
    let settings = [("SPEAKR_MAX_ATTEMPTS", "1"), ("SPEAKR_ACK_WAIT", "1s")];
    let mut victim = platform.replica(&settings).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&run_of(long_file(15)), &client).await;
    let began = std::time::Instant::now();
    while platform.archive.recording(id.into()).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "{}", victim.log());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    victim.kill();
    assert!(!is_captured(&platform, id).await, "it was kept too quickly");
    let _next = platform.replica(&settings).await;
    let _: TranscriptionFailed = platform.wait_for(id).await;
    platform.wait_until_all_is_answered().await;
    let letters = dead_letters::list(&platform.bus, 10).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let replayed = dead_letters::replay(&platform.bus, letters[0].sequence).await;
    assert!(replayed.unwrap());
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    let duration_ms = succeeded.duration_ms.unwrap();
    assert!((164_000..166_000).contains(&duration_ms), "{duration_ms}");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_costs_nothing() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[]).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    platform.send_sound(&client, &pcm).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    platform.nats.kill();
    let began = std::time::Instant::now();
    while replica
        .get("/health/ready")
        .is_none_or(|(status, _)| status == 200)
    {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(replica.get("/health").unwrap().0, 200, "it lives");
    // Longer than the server waits for the word that work goes on.
    tokio::time::sleep(Duration::from_secs(5)).await;
    platform.nats.start_again().unwrap();
    platform.send(&stop(id, true), &client).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    went_well_once(&platform, id).await;
    assert!(!replica.logged(id).iter().any(|m| m.contains("dead letter")));
}

const STREAMS: [&str; 6] = [
    "KV_SPEAKR_ATTEMPTS",
    "KV_SPEAKR_RECORDINGS",
    "SPEAKR_AUDIO",
    "SPEAKR_EVENTS",
    "SPEAKR_DEAD_LETTER",
    "SPEAKR_COMMANDS",
];

#[tokio::test]
async fn a_stream_that_is_lost_alone_is_missed_and_made_again() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[]).await;
    for stream in STREAMS {
        let deleted = platform.bus.jetstream().delete_stream(stream).await;
        deleted.unwrap();
        let began = std::time::Instant::now();
        while platform.bus.jetstream().get_stream(stream).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "{stream}: {}", replica.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform
        .send_until_stored(&RecordingStart::default(), &client)
        .await;
    let _: RecordingStarted = platform.wait_for(id).await;
    platform.send_sound(&client, &pcm).await;
    platform.send(&stop(id, true), &client).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
}

#[tokio::test]
async fn streams_that_are_lost_are_made_again() {
    let mut platform = Platform::start().await;
    let mut replica = platform.replica(&[]).await;
    for stream in STREAMS {
        let deleted = platform.bus.jetstream().delete_stream(stream).await;
        deleted.unwrap();
    }
    let (client, run) = (request(), run_of(long_file(1)));
    let id = ids::recording_id(client.correlation_id);
    platform.send_until_stored(&run, &client).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    replica.wait_until_ready(PATIENCE).unwrap();
}

#[tokio::test]
async fn a_store_that_is_away_for_a_while_costs_nothing() {
    let mut platform = Platform::start().await;
    let settings = [("SPEAKR_MAX_ATTEMPTS", "1")];
    let replica = platform.replica(&settings).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    platform.s3.kill();
    platform.send_sound(&client, &pcm).await;
    platform.send(&stop(id, true), &client).await;
    let began = std::time::Instant::now();
    while !replica.logged(id).iter().any(|m| m.contains("waits for")) {
        assert!(began.elapsed() < PATIENCE, "{}", replica.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    platform.s3.start_again().unwrap();
    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    went_well_once(&platform, id).await;
}

#[tokio::test]
async fn a_client_that_vanishes_has_its_recording_finished() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[("SPEAKR_CLIENT_PATIENCE", "4s")]).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut sender = AudioSender::new(&platform.bus, id, client.clone());
    sender.send(&samples()).await.unwrap();
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    platform.wait_until_all_is_answered().await;
    assert_eq!(
        replica.metric("speakr_vanished_clients_total", ""),
        Some(1.0)
    );
}

#[tokio::test]
async fn sound_that_comes_twice_and_out_of_order_is_put_in_order() {
    let mut platform = Platform::start().await;
    let _replica = platform.replica(&[]).await;
    let (client, pcm) = (request(), samples());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let mut chunks: Vec<Chunk> = pcm
        .chunks(CHUNK_SAMPLES)
        .zip(0..)
        .map(|(pcm, number)| Chunk::Sound {
            number,
            pcm: pcm.to_vec(),
        })
        .collect();
    let count = chunks.len() as u64;
    // The end mark before the end, each five backwards, and each of those twice.
    chunks.insert(chunks.len() - 3, Chunk::End { count });
    let muddled = chunks
        .chunks(5)
        .flat_map(|five| five.iter().rev().chain(five));
    for chunk in muddled {
        let ((name, value), payload) = chunk.write();
        let mut headers = async_nats::HeaderMap::new();
        // No id of its own, by which the server would drop the repeat.
        headers.insert(name, value.as_str());
        let subject = subjects::audio(id);
        let sent = platform
            .bus
            .jetstream()
            .publish_with_headers(subject, headers, payload.into());
        sent.await.unwrap().await.unwrap();
    }
    platform.send(&stop(id, true), &client).await;
    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    assert_eq!(succeeded.transcribed_text.matches("fellow").count(), 1);
}
