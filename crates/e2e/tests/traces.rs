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
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use collector::{Span, collect};
use speakr_e2e::{
    platform::Platform,
    program::{PATIENCE, Speakr, microphone},
};

/// A collector, and what came to it.
struct Collected {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collected {
    fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&spans);
        let address = collect(move |span: Span| noted.lock().unwrap().push(span));
        Self { address, spans }
    }

    /// A platform whose services tell it.
    fn platform(&self) -> Platform {
        Platform::start_with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.address),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ])
    }

    fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// Waits for a span that is as `wanted`; gives the first.
    fn wait(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let began = Instant::now();
        loop {
            if let Some(span) = self.all().into_iter().find(&wanted) {
                return span;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "no {what} among {:#?}",
                self.all()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn wait_for(&self, service: &str, name: &str) -> Span {
        let what = format!("{name} of {service}");
        self.wait(&what, |span| span.service == service && span.name == name)
    }

    /// The spans of our making that went into another trace than `trace`.
    fn beside(&self, trace: &str) -> Vec<Span> {
        let ours = ["command", "recording", "event"];
        let mut spans = self.all();
        spans.retain(|span| span.trace != trace && ours.contains(&span.name.as_str()));
        spans
    }
}

fn record(speakr: &Speakr) {
    let device = microphone("jfk.wav");
    let _ = speakr
        .run([
            "record",
            "--json",
            "--no-clipboard",
            "--tags",
            "secret-tag",
            "--device",
            &device,
        ])
        .success();
}

#[test]
fn what_is_spoken_is_one_trace_from_the_command_to_the_index() {
    let collected = Collected::start();
    let platform = collected.platform();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let caller = "b7ad6b7169203331";
    let speakr = platform
        .client()
        .env("TRACEPARENT", format!("00-{trace}-{caller}-01"))
        .env("SPEAKR_OTLP_ENDPOINT", &collected.address);
    record(&speakr);

    let command = collected.wait_for("speakr", "speakr record");
    assert_eq!((&*command.trace, &*command.parent), (trace, caller));
    let recording = collected.wait_for("speakr", "recording");
    assert_eq!((&*recording.trace, &recording.parent), (trace, &command.id));
    let of_start = collected.wait_for("speakr-transcriber", "command");
    assert_eq!((&*of_start.trace, &of_start.parent), (trace, &recording.id));
    let of_index = collected.wait_for("speakr-embedder", "event");
    assert_eq!(of_index.trace, trace);
    // What the index was told is part of what the transcriber did.
    let cause = collected.wait("cause of the event", |span| span.id == of_index.parent);
    assert_eq!(cause.service, "speakr-transcriber");
    // Neither its stop nor any event of it went into another trace.
    let others = collected.beside(trace);
    assert!(others.is_empty(), "{others:#?}");

    // No word of it, no file and no tag.
    for span in [&command, &recording] {
        for word in ["country", "jfk", "secret-tag"] {
            assert!(!span.told.contains(word), "{}", span.told);
        }
    }
    assert!(recording.told.contains("recording_id"), "{recording:?}");

    let found = speakr.run(["search", "--json", "country"]).success();
    assert!(found.stdout.contains("country"), "{}", found.stdout);
    let search = collected.wait_for("speakr", "speakr search");
    assert_eq!((&*search.trace, &*search.parent), (trace, caller));
    let answered = collected.wait("answer", |span| span.parent == search.id);
    assert_eq!(answered.service, "speakr-query-svc");
}

#[test]
fn without_a_caller_a_command_begins_a_trace_and_unasked_it_tells_a_collector_nothing() {
    let collected = Collected::start();
    let platform = collected.platform();
    // The variable that other programs go by is no leave to tell.
    let silent = platform
        .client()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collected.address)
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &collected.address);
    record(&silent);
    let untold = collected.wait_for("speakr-transcriber", "command").trace;
    let _ = collected.wait_for("speakr-embedder", "event");
    let told = |span: &Span| span.service == "speakr";
    assert!(!collected.all().iter().any(told), "{:#?}", collected.all());

    let speakr = platform
        .client()
        .env("SPEAKR_OTLP_ENDPOINT", &collected.address);
    // What stays on this machine is nobody's business.
    let _ = speakr.run(["list", "--local"]).answered();
    let _ = speakr.run(["show", "ffffffff"]).failure(3);
    let show = collected.wait_for("speakr", "speakr show");
    assert_eq!(show.parent, "", "nobody called");
    assert_ne!(show.trace, untold);
    let mine: Vec<_> = collected.all().into_iter().filter(told).collect();
    assert_eq!(mine.len(), 1, "{mine:#?}");
}

#[test]
fn a_collector_that_is_away_or_says_nothing_keeps_nobody_waiting() {
    let collected = Collected::start();
    let platform = collected.platform();
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("http://{}", deaf.local_addr().unwrap());
    for endpoint in ["http://127.0.0.1:9", &deaf] {
        let speakr = platform.client().env("SPEAKR_OTLP_ENDPOINT", endpoint);
        let began = Instant::now();
        let _ = speakr.run(["list"]).answered();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{endpoint}: {took:?}");
    }
    let wrong = platform
        .client()
        .env("SPEAKR_OTLP_ENDPOINT", "collector:4318");
    let said = wrong.run(["list"]).failure(2).stderr;
    assert!(said.contains("otlp_endpoint"), "{said}");
}
