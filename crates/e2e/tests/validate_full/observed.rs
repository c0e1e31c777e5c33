//! What one request did is found in logs and traces, and a service that is stopped is missed.

use std::{fs, io::Write};

use serde_json::json;
use speakr_e2e::{platform::Platform, validation::validator};

use crate::{
    collector::{Span, collect},
    operator::{Operator, stop_and_start},
};

const ARGUMENTS: [&str; 5] = [
    "--group",
    "observability,health",
    "--level",
    "full",
    "--allow-disruption",
];

#[test]
#[ignore = "takes minutes: make validate-test"]
fn a_request_is_found_in_logs_and_traces_and_a_stopped_service_is_away_and_comes_back() {
    let operator = Operator::new();
    let traces = operator.write("traces.json", "");
    let file = traces.clone();
    // A line a span, as a collector writes them to a file.
    let address = collect(move |span: Span| {
        let line = json!({"traceId": span.trace, "service": span.service, "name": span.name});
        let mut out = fs::OpenOptions::new().append(true).open(&file).unwrap();
        writeln!(out, "{line}").unwrap();
    });
    let mut platform = Platform::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    let logs = platform.transcriber.log_file().parent().unwrap();
    let logs = logs.display().to_string();
    let stop = operator.command("stop-{service}");
    let run = |platform: &mut Platform, logs: &str, traces: &str, start: &str, more: &[&str]| {
        let given = ["--logs", logs, "--traces", traces, "--stop", &stop];
        let arguments = [&ARGUMENTS[..], &given, &["--start", start], more].concat();
        let mut command = validator(platform, &arguments);
        operator.run(&mut command, |what| {
            if what != "nothing" {
                stop_and_start(platform, what);
            }
        })
    };
    let start = operator.command("start-{service}");
    let seen = run(&mut platform, &logs, &traces, &start, &[]);
    // The services were stopped and came back; there is no Prometheus whose alert could go off.
    seen.passes_but(&[
        "health.embedder-stopped",
        "health.query_svc-stopped",
        "health.transcriber-stopped",
    ]);
    for service in ["embedder", "query_svc", "transcriber"] {
        let detail = &seen.details[&format!("health.{service}-stopped")];
        assert!(detail.contains("ready"), "{detail}");
        assert!(detail.contains("no Prometheus"), "{detail}");
    }

    // A service that isn't started again is told of, and so is a log of somebody else.
    let others = operator.write("others.log", "{\"service\": \"speakr-embedder\"}\n");
    let start = operator.command("nothing");
    let more = ["--patience", "10"];
    let seen = run(&mut platform, &others, &others, &start, &more);
    seen.fails(&[
        "health.transcriber-stopped",
        "observability.form",
        "observability.log-of-bus",
        "observability.log-of-http",
        "observability.trace",
    ]);
}
