//! What one request did is found in the logs and traces, by its correlation id and its recording id.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Context,
    bus::Spoken,
    check::{Runner, Seen, ensure, failed, not_checked},
    health,
    settings::SERVICES,
    source::Source,
};

/// Words of the speech: no log may have them.
const SAID: &str = "fellow americans";

/// What each line has to have.
const FIELDS: [&str; 5] = ["time", "level", "service", "target", "message"];

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "log-of-http",
            "a request over HTTP is in the log, by correlation id and recording id",
            async {
                let source = logs(context)?;
                let stored = context.stored().await?;
                let ids = [stored.correlation_id.to_string(), stored.id.to_string()];
                lines(
                    context,
                    source,
                    &ids,
                    &["speakr-query-svc", "speakr-transcriber", "speakr-embedder"],
                )
                .await
            },
        )
        .await;
    runner
        .check(
            "log-of-bus",
            "speech over the bus is in the log, by correlation id and recording id",
            async {
                let source = logs(context)?;
                let spoken = context.spoken().await?;
                let ids = [spoken.correlation_id.to_string(), spoken.id.to_string()];
                lines(
                    context,
                    source,
                    &ids,
                    &["speakr-transcriber", "speakr-embedder"],
                )
                .await
            },
        )
        .await;
    runner
        .check("form", "each line of the log is JSON with time, level, service and message; none has what was said", async {
            let source = logs(context)?;
            form(context, source).await
        })
        .await;
    runner
        .check("trace", "speech over the bus is one trace from the command to the index", async {
            let source = context.settings.asked.traces.as_ref();
            let source = source.ok_or_else(|| {
                not_checked("where traces are isn't known: --traces FILE, FOLDER, command:… or a URL with {trace_id}")
            })?;
            trace(context, source, &context.spoken().await?).await
        })
        .await;
    runner
        .check("metrics", "what was done is counted", counted(context))
        .await;
}

fn logs(context: &Context) -> Seen<&Source> {
    context
        .settings
        .asked
        .logs
        .as_ref()
        .ok_or_else(|| not_checked("where logs are isn't known: --logs FILE, FOLDER or command:…"))
}

/// Text of the source about these ids.
async fn text(
    context: &Context,
    source: &Source,
    correlation: &str,
    recording: &str,
    trace: &str,
) -> Seen {
    let values = [
        ("correlation_id", correlation),
        ("recording_id", recording),
        ("trace_id", trace),
    ];
    source.text(&context.api.client, &values).await
}

/// The JSON object in a line. What collects logs puts its own words before it.
fn object(line: &str) -> Option<Value> {
    let start = line.find('{')?;
    let value: Value = serde_json::from_str(line[start..].trim_end()).ok()?;
    value.is_object().then_some(value)
}

/// Waits until each of `services` has a line with both ids.
async fn lines(context: &Context, source: &Source, ids: &[String; 2], services: &[&str]) -> Seen {
    let began = Instant::now();
    loop {
        let text = text(context, source, &ids[0], &ids[1], "").await?;
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines().filter_map(object) {
            if line["correlation_id"] == ids[0].as_str() && line["recording_id"] == ids[1].as_str()
            {
                let service = line["service"].as_str().unwrap_or_default();
                *found.entry(service.to_owned()).or_default() += 1;
            }
        }
        let missing: Vec<&&str> = services
            .iter()
            .filter(|s| !found.contains_key(**s))
            .collect();
        if missing.is_empty() {
            return Ok(format!("lines with both ids: {found:?}"));
        }
        ensure(began.elapsed() < context.settings.patience(), || {
            format!(
                "no line of {missing:?} has correlation_id {} and recording_id {}; {} lines were read",
                ids[0],
                ids[1],
                text.lines().count()
            )
        })?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn form(context: &Context, source: &Source) -> Seen {
    // Something was said before, whose words could be there.
    let stored = context.stored().await?;
    let ids = [stored.correlation_id.to_string(), stored.id.to_string()];
    let text = text(context, source, &ids[0], &ids[1], "").await?;
    ensure(!text.to_lowercase().contains(SAID), || {
        "the log has what was said".to_owned()
    })?;
    let (mut ours, mut others) = (0, BTreeSet::new());
    for line in text.lines().filter(|line| line.contains("speakr")) {
        let Some(object) = object(line) else {
            if line.trim_start().starts_with('{') {
                return Err(failed(format!("a line is no JSON: {line:.120}")));
            }
            others.insert(line.chars().take(60).collect::<String>());
            continue;
        };
        if object["service"]
            .as_str()
            .is_some_and(|s| s.starts_with("speakr-"))
        {
            for field in FIELDS {
                ensure(object[field].is_string(), || {
                    format!("a line has no {field}: {object}")
                })?;
            }
            ours += 1;
        }
    }
    ensure(ours > 0, || {
        format!("there is no line of the services, but {others:?}")
    })?;
    Ok(format!("{ours} lines of the services"))
}

async fn trace(context: &Context, source: &Source, spoken: &Spoken) -> Seen {
    let began = Instant::now();
    let (correlation, id) = (spoken.correlation_id.to_string(), spoken.id.to_string());
    let services = ["speakr-transcriber", "speakr-embedder"];
    loop {
        let text = text(context, source, &correlation, &id, &spoken.trace_id).await?;
        // A file of a collector has a batch a line: those with this trace name who took part.
        let of_trace: Vec<&str> = match source {
            Source::Address(_) => vec![text.as_str()],
            _ => text
                .lines()
                .filter(|line| line.contains(&spoken.trace_id))
                .collect(),
        };
        let has = |service: &&str| {
            of_trace
                .iter()
                .any(|batch| batch.contains(&spoken.trace_id) && batch.contains(*service))
        };
        if services.iter().all(has) {
            return Ok(format!(
                "trace {} has spans of {}",
                spoken.trace_id,
                services.join(" and ")
            ));
        }
        ensure(began.elapsed() < context.settings.patience(), || {
            let there: Vec<_> = services.iter().filter(|s| has(s)).collect();
            format!(
                "trace {} has spans of {there:?} alone, and not of {services:?}",
                spoken.trace_id
            )
        })?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Requests that the API has counted.
fn requests(metrics: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("speakr_http_request_duration_seconds_count"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn counted(context: &Context) -> Seen {
    let before = requests(&health::metrics(context, SERVICES[2]).await?);
    let api = &context.api;
    for _ in 0..3 {
        api.once(api.bare(reqwest::Method::GET, "/openapi.json"))
            .await?
            .expect(200)?;
    }
    // Where there are replicas the next may be another one, which counts for itself.
    let began = Instant::now();
    loop {
        let now = requests(&health::metrics(context, SERVICES[2]).await?);
        if now > before {
            return Ok(format!("{} requests more after three", now - before));
        }
        ensure(began.elapsed() < Duration::from_secs(30), || {
            format!("three requests were answered, and {before} are counted as before")
        })?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_behind_what_others_write_before_it() {
        assert_eq!(object("pod-1 {\"a\": 1}\n").unwrap()["a"], 1);
        assert!(object("no object").is_none());
        assert!(object("{broken").is_none());
    }

    #[test]
    fn requests_are_summed_over_all_labels() {
        let metrics = "speakr_http_request_duration_seconds_count{a=\"1\"} 2\n\
                       speakr_http_request_duration_seconds_count{a=\"2\"} 3\nother 7\n";
        assert!((requests(metrics) - 5.0).abs() < f64::EPSILON);
    }
}
