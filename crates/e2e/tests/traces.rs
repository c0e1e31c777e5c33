//! One trace from a client to the index, as a collector of OTLP sees it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "test code"
)]

#[path = "common/collector.rs"]
mod collector;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use collector::{Span, collect};
use speakr_e2e::{
    platform::Platform,
    program::{PATIENCE, microphone},
};

/// Spans by trace: service and name.
type Seen = Arc<Mutex<BTreeMap<String, BTreeSet<(String, String)>>>>;

#[test]
fn what_is_spoken_is_one_trace_from_the_command_to_the_index() {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let address = collect(move |span: Span| {
        let mut seen = noted.lock().unwrap();
        let of_trace = seen.entry(span.trace).or_default();
        of_trace.insert((span.service, span.name));
    });
    let platform = Platform::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let speakr = platform.client().env("TRACEPARENT", parent);
    let device = microphone("jfk.wav");
    let _ = speakr
        .run(["record", "--json", "--no-clipboard", "--device", &device])
        .success();
    let wanted: BTreeSet<(String, String)> = [
        ("speakr-transcriber", "command"),
        ("speakr-embedder", "event"),
    ]
    .map(|(service, name)| (service.to_owned(), name.to_owned()))
    .into();
    let began = Instant::now();
    while !seen
        .lock()
        .unwrap()
        .get(trace)
        .is_some_and(|spans| wanted.is_subset(spans))
    {
        assert!(began.elapsed() < PATIENCE, "{:?}", seen.lock().unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Neither its stop nor any event of it went into another trace.
    let others: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .filter(|(id, spans)| *id != trace && spans.iter().any(|span| wanted.contains(span)))
        .map(|(_, spans)| spans.clone())
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
