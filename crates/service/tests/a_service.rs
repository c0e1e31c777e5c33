//! A whole service: it starts, tells its health, and ends at SIGTERM. One process holds one
//! service, so this is one test.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    metrics::v1::{Metric, metric::Data},
};
use prost::Message;
use speakr_service::{
    Service,
    config::{Kind, Setting},
    health::Check,
    traces,
};
use tokio::sync::mpsc;

struct Store(AtomicBool);

#[async_trait::async_trait]
impl Check for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the store is away".to_owned())
        }
    }
}

struct Stuck;

#[async_trait::async_trait]
impl Check for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    async fn check(&self) -> Result<(), String> {
        std::future::pending().await
    }
}

const HOME: Setting = Setting::new("PATH", Kind::Text, "Where programs are.").required();

#[test]
fn a_service_tells_its_health_and_metrics_and_ends_in_order_at_sigterm() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    // Before any thread runs: the environment is the process's.
    #[allow(unsafe_code)]
    // SAFETY: this is the only test of the binary, and no other thread has started.
    unsafe {
        std::env::set_var("SPEAKR_HEALTH_ADDR", "127.0.0.1:0");
        std::env::set_var("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    }
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(live(collector));
}

/// What a collector was sent.
struct Collected {
    traces: mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
    metrics: mpsc::UnboundedReceiver<ExportMetricsServiceRequest>,
}

/// A collector.
fn collect(listener: std::net::TcpListener) -> Collected {
    let (tell_trace, traces) = mpsc::unbounded_channel();
    let (tell_metric, metrics) = mpsc::unbounded_channel();
    let take_trace = async move |body: axum::body::Bytes| {
        let sent = ExportTraceServiceRequest::decode(body).unwrap();
        tell_trace.send(sent).unwrap();
    };
    let take_metric = async move |body: axum::body::Bytes| {
        let sent = ExportMetricsServiceRequest::decode(body).unwrap();
        tell_metric.send(sent).unwrap();
    };
    let router = axum::Router::new()
        .route("/v1/traces", axum::routing::post(take_trace))
        .route("/v1/metrics", axum::routing::post(take_metric));
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Collected { traces, metrics }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn live(collector: std::net::TcpListener) {
    let mut collected = collect(collector);
    let service = Service::start("speakr-test", "1.2.3", &[&[HOME]])
        .await
        .unwrap();
    let url = format!("http://{}", service.health_address());
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();
    let early = get("/health/ready").await;
    assert_eq!(early.status(), 503, "nobody has said yet what it needs");
    let early: serde_json::Value = early.json().await.unwrap();
    assert_eq!(early["status"], "starting");
    let store = Arc::new(Store(AtomicBool::new(false)));
    service.needs(store.clone());

    assert_eq!(get("/health").await.status(), 200);
    let away = get("/health/ready").await;
    assert_eq!(away.status(), 503);
    let away: serde_json::Value = away.json().await.unwrap();
    assert_eq!(away["checks"][0]["name"], "store");
    assert_eq!(away["checks"][0]["reason"], "the store is away");
    store.0.store(true, Ordering::Relaxed);
    assert_eq!(get("/health/ready").await.status(), 200);

    metrics::histogram!("speakr_test_seconds").record(0.02);
    let text = get("/metrics").await.text().await.unwrap();
    assert!(
        text.contains("speakr_build_info{service=\"speakr-test\",version=\"1.2.3\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("speakr_test_seconds_bucket{le=\"0.025\"} 1"),
        "{text}"
    );
    if cfg!(target_os = "linux") {
        let memory = text
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        let bytes: f64 = memory.unwrap().parse().unwrap();
        assert!((1e6..1e10).contains(&bytes), "{bytes}");
    }

    service.needs(Arc::new(Stuck));
    let began = Instant::now();
    let stuck: serde_json::Value = get("/health/ready").await.json().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(stuck["checks"][1]["reason"], "no answer within 2 s");

    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let span = speakr_service::request_span!("hop", correlation_id = "c");
    traces::continue_in(&span, &format!("00-{trace_id}-b7ad6b7169203331-01"), None);
    let onward = span.in_scope(traces::current).unwrap();
    assert_eq!(&onward.traceparent[..36], format!("00-{trace_id}-"));
    // The hop is a span of its own.
    assert!(!onward.traceparent.contains("b7ad6b7169203331"));
    drop(span);

    let stop = service.shutdown().token();
    let health = service.health().clone();
    let work = service.tasks().spawn(async move {
        stop.cancelled().await;
        health.readiness().await.status
    });
    let ending = tokio::spawn(service.run_to_end());
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
        .unwrap();
    ending.await.unwrap().unwrap();
    assert_eq!(work.await.unwrap(), "ending");
    assert!(reqwest::get(format!("{url}/health")).await.is_err());

    let sent = collected.traces.recv().await.unwrap();
    let resource = &sent.resource_spans[0];
    let spans = &resource.scope_spans[0].spans;
    let hop = spans.iter().find(|s| s.name == "hop").unwrap();
    assert_eq!(hex(&hop.trace_id), trace_id);
    assert_eq!(hex(&hop.parent_span_id), "b7ad6b7169203331");
    assert_eq!(hex(&hop.span_id), onward.traceparent[36..52]);

    let sent = collected.metrics.recv().await.unwrap();
    let metrics = &sent.resource_metrics[0].scope_metrics[0].metrics;
    let seconds = metrics.iter().find(|m| m.name == "speakr_test_seconds");
    let Some(Data::Histogram(seconds)) = &seconds.unwrap().data else {
        panic!("{seconds:?}");
    };
    let point = &seconds.data_points[0];
    assert_eq!(point.count, 1);
    let bucket = point.explicit_bounds.iter().position(|b| *b == 0.025);
    assert_eq!(point.bucket_counts[bucket.unwrap()], 1, "{point:?}");
    assert!(metrics.iter().any(|m| m.name == "speakr_build_info"));
    let memory = |m: &Metric| m.name == "process_resident_memory_bytes";
    assert!(metrics.iter().any(memory) || !cfg!(target_os = "linux"));
}
