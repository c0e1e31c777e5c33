//! Looks at the bus as its users do.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::stream::Stream;
use serde_json::Value;
use speakr_contract::Message;
use speakr_e2e::{platform::Platform, program::PATIENCE};
use speakr_nats::{Bus, BusConfig, Identity, Renewed, Request};
use uuid::Uuid;

/// A connection as `user`.
pub async fn connect(platform: &Platform, user: &str) -> Bus {
    let config = BusConfig {
        identity: Identity::Password {
            user: user.to_owned(),
            password: Renewed::fixed(platform.password(user)),
        },
        inbox_prefix: Some(format!("_INBOX_{user}")),
        ..BusConfig::new(&platform.nats_url(), "e2e")
    };
    Bus::connect(&config).await.unwrap()
}

/// Sends a command as a client does.
pub async fn send<M: Message>(bus: &Bus, command: &M, request: &Request) {
    let name = Uuid::new_v4().to_string();
    bus.publish(command, request, &name).await.unwrap();
}

/// A stream as it is now; waited for while it has no leader.
async fn stream(bus: &Bus, name: &str) -> Stream {
    let began = Instant::now();
    loop {
        match bus.jetstream().get_stream(name).await {
            Ok(stream) => return stream,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{name}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Messages in a stream.
pub async fn messages_in(bus: &Bus, name: &str) -> u64 {
    stream(bus, name).await.cached_info().state.messages
}

/// How often each event of `recording` is in the stream, by subject.
pub async fn count_events(bus: &Bus, recording: Uuid) -> HashMap<String, usize> {
    let stream = stream(bus, "SPEAKR_EVENTS").await;
    let state = &stream.cached_info().state;
    let mut counts = HashMap::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else {
            continue;
        };
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        if event["recording_id"] == recording.to_string() {
            *counts.entry(message.subject.to_string()).or_default() += 1;
        }
    }
    counts
}
