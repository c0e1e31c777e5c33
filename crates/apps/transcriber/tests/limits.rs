//! How much a replica takes on, what it tells of itself, and what is too large.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use speakr_contract::{
    audio::{Chunk, MAX_CHUNK_BYTES},
    commands::{RecordingCancel, RecordingStart, TranscriptionRun},
    events::{
        RecordingCancelled, RecordingFinished, RecordingStarted, TranscriptionPartial,
        TranscriptionSucceeded,
    },
    ids, subjects,
};
use speakr_nats::{BusConfig, BusError, Identity, Renewed, audio::AudioSender};
use speakr_testkit::nats::Nats;

use crate::support::{
    PATIENCE, Platform, Replica, clip, is_the_speech, request, run_of, samples, stop,
};

/// What the bus keeps of a message's size for headers.
const FOR_HEADERS: usize = 8 * 1024;

#[tokio::test]
async fn many_at_once_share_one_model_and_one_decoder_and_all_become_text() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[("SPEAKR_DECODERS", "2")]).await;
    let clients: Vec<_> = (0..6).map(|_| request()).collect();
    for (i, client) in clients.iter().enumerate() {
        if i % 2 == 0 {
            let run = run_of(std::fs::read(clip()).unwrap());
            platform.send(&run, client).await;
        } else {
            platform.send(&RecordingStart::default(), client).await;
            platform.send_sound(client, &samples()).await;
            let id = ids::recording_id(client.correlation_id);
            platform.send(&stop(id, true), client).await;
        }
    }
    for client in &clients {
        let id = ids::recording_id(client.correlation_id);
        let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
        assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    }
    platform.wait_until_all_is_answered().await;
    let runs = replica.metric("speakr_real_time_factor_count", "");
    assert_eq!(runs, Some(3.0));
    // The last is counted a moment after its answer.
    let began = Instant::now();
    while replica.metric("speakr_command_seconds_count", "") != Some(9.0) {
        assert!(began.elapsed() < PATIENCE, "{}", replica.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_replica_without_room_leaves_a_start_to_another() {
    let mut platform = Platform::start().await;
    let full = platform.replica(&[("SPEAKR_RECORDINGS", "1")]).await;
    let (first, second) = (request(), request());
    let (a, b) = (
        ids::recording_id(first.correlation_id),
        ids::recording_id(second.correlation_id),
    );
    platform.send(&RecordingStart::default(), &first).await;
    let _: RecordingStarted = platform.wait_for(a).await;
    platform.send(&RecordingStart::default(), &second).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(full.logged(b).is_empty(), "{:?}", full.logged(b));
    assert_eq!(full.metric("speakr_recordings_held", ""), Some(1.0));
    let other = platform.replica(&[]).await;
    let _: RecordingStarted = platform.wait_for(b).await;
    let began = Instant::now();
    while !other.logged(b).iter().any(|m| m == "recording") {
        assert!(began.elapsed() < PATIENCE, "{}", other.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_text_too_large_for_a_message_comes_without_its_parts_and_says_where_they_are() {
    let max_payload = 64 * 1024;
    let nats = Nats::start_with_max_payload(max_payload).expect("a server");
    let mut platform = Platform::start_on(nats).await;
    let _replica = platform.replica(&[]).await;
    let recorded = request();
    let id = ids::recording_id(recorded.correlation_id);
    platform.send(&RecordingStart::default(), &recorded).await;
    platform.send_sound(&recorded, &samples()).await;
    platform.send(&stop(id, true), &recorded).await;
    let mut event: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(event.segments.is_some());
    event.segments = None;
    let without = speakr_contract::encode(&event).unwrap().len();

    // Metadata that leaves room for the text and for no more.
    let filler = max_payload - FOR_HEADERS - without - 40;
    let run = TranscriptionRun {
        recording_id: Some(id),
        metadata: serde_json::from_value(json!({"filler": "x".repeat(filler)})).unwrap(),
        ..TranscriptionRun::default()
    };
    platform.send(&run, &request()).await;
    let large: TranscriptionSucceeded = platform.wait_for(id).await;
    assert_eq!(large.segments, None);
    assert_eq!(large.transcribed_text, event.transcribed_text);
    assert_eq!(
        large.transcript_path,
        Some(format!("recordings/{id}/transcript.json"))
    );
    let kept = platform.kept(id).await.unwrap().unwrap();
    assert!(!kept.segments.is_empty());
}

#[tokio::test]
async fn it_tells_how_it_is_and_what_it_does() {
    let platform = Platform::start().await;
    let replica = platform
        .replica(&[
            ("SPEAKR_COMMANDS_MAX_MB", "11"),
            ("SPEAKR_AUDIO_MAX_MB", "12"),
            ("SPEAKR_EVENTS_MAX_MB", "13"),
            ("SPEAKR_DEAD_LETTER_MAX_MB", "14"),
        ])
        .await;
    assert_eq!(replica.get("/health").unwrap().0, 200);
    let (status, body) = replica.get("/health/ready").unwrap();
    assert_eq!(status, 200, "{body}");
    for check in ["nats", "s3", "commands"] {
        assert!(body.contains(&format!("\"{check}\"")), "{body}");
    }
    let began = Instant::now();
    let measured = [
        ("speakr_queue_waiting", ""),
        ("speakr_queue_working", ""),
        ("speakr_stream_messages", "SPEAKR_DEAD_LETTER"),
    ];
    while measured
        .iter()
        .any(|(name, of)| replica.metric(name, of).is_none())
    {
        assert!(began.elapsed() < PATIENCE, "{:?}", replica.get("/metrics"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(replica.metric("speakr_decode_errors_total", ""), Some(0.0));
    const MIB: f64 = 1024.0 * 1024.0;
    for (stream, max_mib) in [
        ("SPEAKR_COMMANDS", 11.0),
        ("SPEAKR_AUDIO", 12.0),
        ("SPEAKR_EVENTS", 13.0),
        ("SPEAKR_DEAD_LETTER", 14.0),
    ] {
        let of = |name| replica.metric(name, stream);
        assert_eq!(
            of("speakr_stream_max_bytes"),
            Some(max_mib * MIB),
            "{stream}"
        );
        assert_eq!(of("speakr_stream_bytes"), Some(0.0), "{stream}");
        assert_eq!(of("speakr_stream_messages"), Some(0.0), "{stream}");
    }
}

#[tokio::test]
async fn a_client_that_a_full_bus_refuses_goes_on_when_there_is_room() {
    let mut platform = Platform::start().await;
    let replica = platform
        .replica(&[
            ("SPEAKR_AUDIO_MAX_MB", "1"),
            ("SPEAKR_CLIENT_PATIENCE", "4s"),
        ])
        .await;
    let (waits, fills) = (request(), request());
    let (id, other) = (
        ids::recording_id(waits.correlation_id),
        ids::recording_id(fills.correlation_id),
    );
    let pcm = samples();
    let (first, rest) = pcm.split_at(5 * 16_000);
    platform.send(&RecordingStart::default(), &waits).await;
    let mut sender = AudioSender::new(&platform.bus, id, waits.clone());
    sender.send(first).await.unwrap();
    let _: RecordingStarted = platform.wait_for(id).await;
    platform.send(&RecordingStart::default(), &fills).await;
    let mut filler = AudioSender::new(&platform.bus, other, fills.clone());
    while !matches!(filler.send(&pcm).await, Err(BusError::Full { .. })) {}
    // A sender is some messages ahead of what it knows to be stored.
    let refused = match sender.send(rest).await {
        Ok(()) => sender.finish().await.map(drop),
        refused => refused,
    };
    assert!(matches!(refused, Err(BusError::Full { .. })), "{refused:?}");
    // Three times what a client is given otherwise.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(
        replica.metric("speakr_vanished_clients_total", ""),
        Some(0.0)
    );

    let cancel = RecordingCancel {
        recording_id: other,
    };
    platform.send(&cancel, &fills).await;
    let _: RecordingCancelled = platform.wait_for(other).await;
    let began = Instant::now();
    while sender.finish().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "there is no room again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    platform.send(&stop(id, true), &waits).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    assert_eq!(
        replica.metric("speakr_vanished_clients_total", ""),
        Some(0.0)
    );
}

#[tokio::test]
async fn the_rights_that_the_shipped_configuration_gives_are_enough() {
    let password = |user: &str| format!("{user}{}", std::process::id());
    let users = ["transcriber", "embedder", "query_svc", "cli", "operator"];
    let environment = users.map(|user| {
        let name = format!("SPEAKR_NATS_{}_PASSWORD", user.to_uppercase());
        (name, format!("\"{}\"", password(user)))
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/nats/nats-server.conf");
    let nats = Nats::start_shipped(&file, environment.into()).expect("the shipped config starts");
    let mut config = BusConfig::new(&nats.url(), "cli");
    config.identity = Identity::Password {
        user: "cli".to_owned(),
        password: Renewed::fixed(password("cli")),
    };
    config.inbox_prefix = Some("_INBOX_cli".to_owned());
    let mut platform = Platform::start_as(nats, config).await;
    let password = password("transcriber");
    let settings = [
        ("NATS_USER", "transcriber"),
        ("NATS_PASSWORD", password.as_str()),
    ];
    let mut replica = platform.replica(&settings).await;
    let (client, cancelled) = (request(), request());
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    platform.send_sound(&client, &samples()).await;
    platform.send(&stop(id, true), &client).await;
    let _: TranscriptionPartial = platform.wait_for(id).await;
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
    let id = ids::recording_id(cancelled.correlation_id);
    platform.send(&RecordingStart::default(), &cancelled).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    platform
        .send(&RecordingCancel { recording_id: id }, &cancelled)
        .await;
    let _: RecordingCancelled = platform.wait_for(id).await;
    platform.send(&run_of(b"poison".to_vec()), &request()).await;
    let began = Instant::now();
    let measured = ["speakr_dead_letters_total", "speakr_queue_waiting"];
    while measured
        .iter()
        .any(|name| replica.metric(name, "").is_none())
    {
        assert!(began.elapsed() < PATIENCE, "{}", replica.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = replica.ask_to_end();
    assert!(status.success(), "{status}: {}", replica.log());
    let log = replica.log().to_lowercase();
    assert!(!log.contains("violation"), "{log}");
}

#[tokio::test]
async fn without_a_bus_it_lives_and_says_that_it_is_not_ready() {
    let mut platform = Platform::start().await;
    platform.nats.kill();
    let mut replica = platform.replica_that_starts(&[]);
    let began = Instant::now();
    let (status, body) = loop {
        assert!(began.elapsed() < PATIENCE, "{}", replica.log());
        match replica.get("/health/ready") {
            Some(ready) if ready.1.contains("nats") => break ready,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    assert_eq!(status, 503, "{body}");
    assert_eq!(replica.get("/health").unwrap().0, 200);
    let status = replica.ask_to_end();
    assert!(status.success(), "{status}: {}", replica.log());
}

/// Ten seconds of sound are a message as long as may be.
const MESSAGES_A_MINUTE: u64 = 6;

/// Records so many minutes of speech that come as fast as the bus takes them; gives the recording, and the
/// most memory that the replica took meanwhile.
async fn minutes_at_once(
    platform: &mut Platform,
    replica: &Replica,
    minutes: u64,
    transcribe: bool,
) -> (uuid::Uuid, u64) {
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    platform.send(&RecordingStart::default(), &client).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    let pcm = samples();
    let mut speech = pcm.iter().copied().cycle();
    let count = minutes * MESSAGES_A_MINUTE;
    let send = async {
        for number in 0..=count {
            let chunk = if number == count {
                Chunk::End { count }
            } else {
                let pcm = speech.by_ref().take(MAX_CHUNK_BYTES / 2).collect();
                Chunk::Sound { number, pcm }
            };
            let ((name, value), payload) = chunk.write();
            let mut headers = async_nats::HeaderMap::new();
            headers.insert(name, value.as_str());
            let jetstream = platform.bus.jetstream().clone();
            let stored = jetstream
                .publish_with_headers(subjects::audio(id), headers, payload.into())
                .await
                .unwrap();
            stored.await.unwrap();
        }
        platform.send(&stop(id, transcribe), &client).await;
        let finished: RecordingFinished = platform.wait_for(id).await;
        assert_eq!(finished.duration_ms, Some(minutes * 60_000));
    };
    tokio::pin!(send);
    let mut most = 0;
    loop {
        most = most.max(replica.resident_bytes().expect("its memory"));
        if tokio::time::timeout(Duration::from_millis(50), &mut send)
            .await
            .is_ok()
        {
            return (id, most);
        }
    }
}

/// How much more memory an hour may take than nine minutes. All of it is 115 MB.
const MOST_BESIDE: u64 = 40_000_000;

#[tokio::test]
async fn an_hour_of_speech_that_comes_at_once_is_not_all_held_in_memory() {
    let mut platform = Platform::start().await;
    let replica = platform.replica(&[]).await;
    // The decoder's own memory grows with the longest piece that it has had.
    let (id, _) = minutes_at_once(&mut platform, &replica, 2, true).await;
    let _: TranscriptionSucceeded = platform.wait_for(id).await;
    let (short, before) = minutes_at_once(&mut platform, &replica, 9, false).await;
    let (long, most) = minutes_at_once(&mut platform, &replica, 60, false).await;
    let beside = most.saturating_sub(before);
    assert!(beside < MOST_BESIDE, "{beside} bytes beside {before}");
    let told = |id| replica.logged(id).iter().any(|m| m.contains("faster"));
    assert!(!told(short) && told(long), "{}", replica.log());
}
