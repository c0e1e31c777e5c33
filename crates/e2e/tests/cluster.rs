//! The platform on a bus of three servers with the shipped users, of which one may be away.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    reason = "test code"
)]

#[path = "common/bus.rs"]
mod bus;

use std::time::{Duration, Instant};

use bus::{connect, count_events, messages_in};
use serde_json::json;
use speakr_contract::{
    Message,
    commands::{RecordingStart, RecordingStop},
    ids,
};
use speakr_e2e::{
    clip,
    platform::{Options, Platform},
    program::PATIENCE,
    wav,
};
use speakr_nats::{Bus, Request, audio::AudioSender};
use speakr_testkit::nats::Nats;
use uuid::Uuid;

const PAUSE: Duration = Duration::from_millis(100);

/// When a server dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// In mid-sentence.
    Speaking,
    /// As soon as all is said: while the text is made and made findable.
    Said,
}

/// The number of the server that leads `stream`.
async fn leader_of(operator: &Bus, stream: &str) -> usize {
    let began = Instant::now();
    loop {
        if let Ok(stream) = operator.jetstream().get_stream(stream).await
            && let Some(cluster) = &stream.cached_info().cluster
            && let Some(leader) = &cluster.leader
        {
            return leader.trim_start_matches('n').parse().unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "{stream} has no leader");
        tokio::time::sleep(PAUSE).await;
    }
}

fn server(platform: &mut Platform, number: usize) -> &mut Nats {
    match number {
        0 => &mut platform.nats,
        other => &mut platform.other_nats[other - 1],
    }
}

/// Sends a command as often as it takes.
async fn send_until_stored<M: Message>(bus: &Bus, command: &M, request: &Request) {
    let name = Uuid::new_v4().to_string();
    let began = Instant::now();
    while let Err(error) = bus.publish(command, request, &name).await {
        assert!(began.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test]
async fn what_is_said_while_a_leader_dies_is_found_once_by_the_services_with_their_own_users() {
    let mut platform = Platform::start_as(&Options {
        with_cluster: true,
        settings: [("SPEAKR_ACK_WAIT", "3s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Options::default()
    });
    let (client, operator) = (
        connect(&platform, "cli").await,
        connect(&platform, "operator").await,
    );
    for stream in [
        "SPEAKR_COMMANDS",
        "SPEAKR_AUDIO",
        "SPEAKR_EVENTS",
        "SPEAKR_DEAD_LETTER",
        "KV_SPEAKR_ATTEMPTS",
        "KV_SPEAKR_RECORDINGS",
    ] {
        let known = operator.jetstream().get_stream(stream).await.unwrap();
        assert_eq!(known.cached_info().config.num_replicas, 3, "{stream}");
    }
    let speech = wav::read(&clip("jfk.wav"));
    for (number, (stream, moment)) in [
        ("SPEAKR_COMMANDS", Moment::Speaking),
        ("SPEAKR_AUDIO", Moment::Speaking),
        ("KV_SPEAKR_RECORDINGS", Moment::Speaking),
        ("KV_SPEAKR_ATTEMPTS", Moment::Said),
        ("SPEAKR_EVENTS", Moment::Said),
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request::new(Uuid::new_v4());
        let id = ids::recording_id(request.correlation_id);
        let start = RecordingStart {
            tags: vec![format!("say-{number}")],
            ..RecordingStart::default()
        };
        send_until_stored(&client, &start, &request).await;
        let mut sender = AudioSender::new(&client, id, request.clone());
        let (first, rest) = speech.split_at(speech.len() / 2);
        sender.send(first).await.unwrap();
        let leader = leader_of(&operator, stream).await;
        if moment == Moment::Speaking {
            server(&mut platform, leader).kill();
        }
        let began = Instant::now();
        let mut sent = sender.send(rest).await;
        while let Err(error) = sent {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(PAUSE).await;
            sent = sender.send(&[]).await;
        }
        while let Err(error) = sender.finish().await {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(PAUSE).await;
        }
        let stop = RecordingStop {
            recording_id: id,
            transcribe_on_stop: true,
            metadata: serde_json::Map::new(),
        };
        send_until_stored(&client, &stop, &request).await;
        if moment == Moment::Said {
            server(&mut platform, leader).kill();
        }
        let query = json!({
            "query_text": "ask what you can do for your country",
            "filter_tags": [format!("say-{number}")],
        });
        let found = platform.query_until(&query, |a| a["count"] == 1).await;
        let result = &found["results"][0];
        assert_eq!(result["recording_id"], id.to_string(), "{result}");
        let text = result["transcribed_text"].as_str().unwrap().to_lowercase();
        assert_eq!(text.matches("fellow americans").count(), 1, "{text}");
        server(&mut platform, leader).start_again().unwrap();
        let began = Instant::now();
        for waiting in ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"] {
            while messages_in(&operator, waiting).await > 0 {
                assert!(began.elapsed() < PATIENCE, "messages are left in {waiting}");
                tokio::time::sleep(PAUSE).await;
            }
        }
        let mut events = count_events(&operator, id).await;
        while events.len() < 4 && began.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
            events = count_events(&operator, id).await;
        }
        assert_eq!(events.len(), 4, "{stream}, {moment:?}: {events:?}");
        assert!(events.values().all(|count| *count == 1), "{events:?}");
    }
    for service in [
        &platform.transcriber,
        &platform.embedder,
        &platform.query_svc,
    ] {
        let log = service.log().to_lowercase();
        assert!(!log.contains("permissions violation"), "{log}");
    }
}
