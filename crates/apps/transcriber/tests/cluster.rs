//! The bus as production has it: three servers, of which one may be away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::{Duration, Instant};

use speakr_contract::{
    commands::RecordingStart,
    events::{RecordingFinished, TranscriptionPartial, TranscriptionSucceeded},
    ids,
};
use speakr_nats::audio::AudioSender;
use speakr_testkit::nats::Nats;

use crate::support::{PATIENCE, Platform, is_the_speech, request, samples, stop};

/// The number of the server that leads `stream`.
async fn leader_of(platform: &Platform, stream: &str) -> usize {
    let began = Instant::now();
    loop {
        if let Ok(stream) = platform.bus.jetstream().get_stream(stream).await
            && let Some(cluster) = &stream.cached_info().cluster
            && let Some(leader) = &cluster.leader
        {
            return leader.trim_start_matches('n').parse().unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "{stream} has no leader");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn server(platform: &mut Platform, number: usize) -> &mut Nats {
    match number {
        0 => &mut platform.nats,
        other => &mut platform.others[other - 1],
    }
}

#[tokio::test]
async fn streams_whose_leaders_die_in_mid_sentence_lose_no_word_and_say_nothing_twice() {
    let mut platform = Platform::start_on_cluster().await;
    let settings = [
        ("SPEAKR_STREAM_REPLICAS", "3"),
        ("SPEAKR_MAX_ATTEMPTS", "100"),
    ];
    let _replica = platform.replica(&settings).await;
    for stream in [
        "SPEAKR_COMMANDS",
        "SPEAKR_AUDIO",
        "SPEAKR_EVENTS",
        "KV_SPEAKR_ATTEMPTS",
        "KV_SPEAKR_RECORDINGS",
    ] {
        let (client, pcm) = (request(), samples());
        let id = ids::recording_id(client.correlation_id);
        platform.send(&RecordingStart::default(), &client).await;
        let mut sender = AudioSender::new(&platform.bus, id, client.clone());
        let (first, rest) = pcm.split_at(pcm.len() / 2);
        sender.send(first).await.unwrap();
        let _: TranscriptionPartial = platform.wait_for(id).await;
        let leader = leader_of(&platform, stream).await;
        server(&mut platform, leader).kill();
        let mut sent = sender.send(rest).await;
        let began = Instant::now();
        while let Err(error) = sent {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
            sent = sender.send(&[]).await;
        }
        while let Err(error) = sender.finish().await {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        platform.send_until_stored(&stop(id, true), &client).await;
        let finished: RecordingFinished = platform.wait_for(id).await;
        assert_eq!(finished.duration_ms, Some(pcm.len() as u64 / 16));
        let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
        assert!(is_the_speech(&succeeded.transcribed_text), "{succeeded:?}");
        server(&mut platform, leader).start_again().unwrap();
        platform.wait_until_all_is_answered().await;
        let stored = platform.stored(id).await;
        assert!(stored.values().all(|count| *count == 1), "{stored:?}");
        assert_eq!(stored.len(), 3, "{stored:?}");
    }
}
