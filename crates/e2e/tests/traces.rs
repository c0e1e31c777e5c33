//! One trace from a client to the index, as a collector of OTLP sees it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;
use speakr_e2e::{Speakr, clip, platform::Platform, program::PATIENCE};

/// Spans by trace: service and name.
type Seen = Arc<Mutex<BTreeMap<Vec<u8>, BTreeSet<(String, String)>>>>;

/// A collector; gives its address.
fn collect(seen: &Seen) -> String {
    let seen = Arc::clone(seen);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let take = async move |body: axum::body::Bytes| note(&seen, &body);
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(take));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        })
    });
    address
}

fn note(seen: &Seen, body: &[u8]) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut seen = seen.lock().unwrap();
    for of_service in request.resource_spans {
        let attributes = of_service.resource.unwrap().attributes;
        let name = attributes.into_iter().find(|a| a.key == "service.name");
        let Some(Value::StringValue(service)) = name.unwrap().value.unwrap().value else {
            panic!("a service without a name");
        };
        for span in of_service.scope_spans.into_iter().flat_map(|s| s.spans) {
            let trace = seen.entry(span.trace_id).or_default();
            trace.insert((service.clone(), span.name));
        }
    }
}

#[test]
fn what_is_spoken_is_one_trace_from_the_command_to_the_index() {
    let seen = Seen::default();
    let address = collect(&seen);
    let platform = Platform::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let speakr = platform
        .environment()
        .into_iter()
        .filter(|(name, _)| name.starts_with("NATS_") || name.starts_with("SPEAKR_API_"))
        .fold(Speakr::new(), |speakr, (name, value)| {
            speakr.env(name, value)
        });
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let speakr = speakr.env("TRACEPARENT", format!("00-{trace}-b7ad6b7169203331-01"));
    let device = format!("file:{}", clip("jfk.wav").display());
    let _ = speakr
        .run(["record", "--json", "--no-clipboard", "--device", &device])
        .success();
    let wanted: BTreeSet<(String, String)> = [
        ("speakr-transcriber", "command"),
        ("speakr-embedder", "event"),
    ]
    .map(|(service, name)| (service.to_owned(), name.to_owned()))
    .into();
    let trace = (0..32)
        .step_by(2)
        .map(|at| u8::from_str_radix(&trace[at..at + 2], 16).unwrap())
        .collect::<Vec<_>>();
    let began = Instant::now();
    while !seen
        .lock()
        .unwrap()
        .get(&trace)
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
        .filter(|(id, spans)| **id != trace && spans.iter().any(|span| wanted.contains(span)))
        .map(|(_, spans)| spans.clone())
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
