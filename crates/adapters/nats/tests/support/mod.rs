//! A server and a connection to it.

#![allow(dead_code, reason = "no test uses all of it")]

use std::time::Duration;

use speakr_contract::commands::{RecordingCancel, RecordingStart};
use speakr_nats::{
    Bus, BusConfig, Delivery, Queue, QueueConfig, Request, Taken,
    streams::{self, StreamSettings},
};
use speakr_testkit::nats::Nats;
use uuid::Uuid;

/// A server and a connection that may do everything, with the streams made.
pub async fn platform() -> (Nats, Bus) {
    let nats = Nats::start().expect("a server");
    let bus = Bus::connect(&BusConfig::new(&nats.url(), "test"))
        .await
        .expect("a connection");
    streams::ensure(&bus, &StreamSettings::default())
        .await
        .expect("streams");
    (nats, bus)
}

/// The queue of commands that concern a capture.
pub fn commands(ack_wait: Duration, max_attempts: u64) -> QueueConfig {
    QueueConfig {
        stream: streams::COMMANDS,
        durable: streams::RECORDING_DURABLE,
        filter: speakr_contract::subjects::RECORDING_COMMANDS.to_owned(),
        ack_wait,
        max_attempts,
        max_ack_pending: 1_000,
    }
}

/// A request of its own.
pub fn request() -> Request {
    Request {
        correlation_id: Uuid::new_v4(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: None,
    }
}

/// Sends a start and gives its request.
pub async fn send_start(bus: &Bus) -> Request {
    let request = request();
    let id = request.correlation_id.to_string();
    bus.publish(&RecordingStart::default(), &request, &id)
        .await
        .expect("it is stored");
    request
}

/// Sends a cancel.
pub async fn send_cancel(bus: &Bus, id: &str) {
    let cancel = RecordingCancel {
        recording_id: Uuid::from_u128(1),
    };
    bus.publish(&cancel, &request(), id)
        .await
        .expect("it is stored");
}

/// The next message, or none within the time.
pub async fn take(queue: &Queue, patience: Duration) -> Option<Taken> {
    let began = std::time::Instant::now();
    while began.elapsed() < patience {
        if let Some(taken) = queue.next().await.expect("the queue answers") {
            return Some(taken);
        }
    }
    None
}

/// The next message, which must be work.
pub async fn work(queue: &Queue) -> Delivery {
    match take(queue, Duration::from_secs(20)).await {
        Some(Taken::Work(delivery)) => delivery,
        other => panic!("work was expected, not {other:?}"),
    }
}
