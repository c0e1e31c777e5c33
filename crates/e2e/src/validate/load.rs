//! The load that is expected, made for real, with what was measured beside its limits.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Context,
    api::{Api, SPEECH},
    bus,
    check::{Group, Runner, Seen, Unseen, ensure, failed, not_checked},
    health,
    settings::{Level, SERVICES},
};

/// What is built in.
const FILE: &str = include_str!("../../../../docs/load.toml");

/// The memory of a process, by the name that the services tell it under.
const MEMORY: &str = "process_resident_memory_bytes ";

/// How often the services are asked for it during the load.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the speech is.
const SPEECH_SECONDS: f64 = 11.0;

/// What is expected of one environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    seconds: u64,
    searches_per_second: f64,
    speakers: usize,
    files_per_minute: f64,
    recordings: usize,
    limits: Limits,
}

/// What is acceptable meanwhile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    search_p95_ms: f64,
    text_after_stop_p95_ms: f64,
    file_factor_p95: f64,
    errors_percent: f64,
    #[serde(default)]
    memory_mb: BTreeMap<String, f64>,
}

/// What was measured: milliseconds, and the most memory of each service in megabytes.
#[derive(Debug, Default)]
struct Measured {
    searches: Vec<f64>,
    texts: Vec<f64>,
    files: Vec<f64>,
    errors: Vec<String>,
    memory: BTreeMap<&'static str, f64>,
}

type Shared = Arc<Mutex<Measured>>;

impl Measured {
    fn requests(&self) -> usize {
        self.searches.len() + self.texts.len() + self.files.len() + self.errors.len()
    }
}

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    let measured = tokio::sync::OnceCell::new();
    let measure = || async {
        let result: &Seen<(Load, Shared)> = measured.get_or_init(|| make(context)).await;
        result.clone()
    };
    runner
        .check(
            "search",
            "searches are answered in time under the expected load",
            async {
                let (load, seen) = measure().await?;
                let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                judge("p95", &seen.searches, load.limits.search_p95_ms, "ms")
            },
        )
        .await;
    runner
        .check("speech", "text is there soon after the last word", async {
            let (load, seen) = measure().await?;
            bus::access(&context.settings)?;
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            judge("p95", &seen.texts, load.limits.text_after_stop_p95_ms, "ms")
        })
        .await;
    runner
        .check("files", "files become text in time", async {
            let (load, seen) = measure().await?;
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let factors: Vec<f64> = seen
                .files
                .iter()
                .map(|ms| ms / 1000.0 / SPEECH_SECONDS)
                .collect();
            judge(
                "p95",
                &factors,
                load.limits.file_factor_p95,
                "s for a second of sound",
            )
        })
        .await;
    runner
        .check("errors", "hardly a request fails", async {
            let (load, seen) = measure().await?;
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let all = seen.requests();
            ensure(all > 0, || "nothing was asked".to_owned())?;
            let percent = seen.errors.len() as f64 * 100.0 / all as f64;
            let told = format!(
                "{} of {all} failed: {percent:.2} %, at most {:.2} %",
                seen.errors.len(),
                load.limits.errors_percent
            );
            ensure(percent <= load.limits.errors_percent, || {
                let first: Vec<&String> = seen.errors.iter().take(3).collect();
                format!("{told}; {first:?}")
            })?;
            Ok(told)
        })
        .await;
    runner
        .check("memory", "services stay within their memory", async {
            let (load, seen) = measure().await?;
            memory(context, &seen, &load.limits.memory_mb).await
        })
        .await;
}

/// The 95th of a hundred, and the middle one, beside the limit.
fn judge(what: &str, values: &[f64], limit: f64, unit: &str) -> Seen {
    ensure(!values.is_empty(), || "nothing was measured".to_owned())?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let p95 = percentile(&sorted, 0.95);
    let told = format!(
        "{what} {p95:.2} {unit}, at most {limit:.2}; median {:.2}, highest {:.2}, of {}",
        percentile(&sorted, 0.5),
        sorted.last().copied().unwrap_or_default(),
        sorted.len()
    );
    ensure(p95 <= limit, || told.clone())?;
    Ok(told)
}

/// By the nearest rank.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The load of the environment.
fn expected(context: &Context) -> Seen<Load> {
    let asked = &context.settings.asked;
    let text = match &asked.load {
        None => FILE.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| failed(format!("--load {}: {error}", path.display())))?,
    };
    let mut all: BTreeMap<String, Load> =
        toml::from_str(&text).map_err(|error| failed(format!("the load file: {error}")))?;
    let names: Vec<String> = all.keys().cloned().collect();
    all.remove(&asked.environment).ok_or_else(|| {
        not_checked(format!(
            "no load is written down for the environment \"{}\", but for {names:?}: --environment NAME",
            asked.environment
        ))
    })
}

async fn make(context: &Context) -> Seen<(Load, Shared)> {
    let load = expected(context)?;
    let settings = &context.settings;
    if settings.asked.level != Level::Full && !settings.names(Group::Load) {
        return Err(not_checked(
            "it loads the platform: --level full, or name it with --group load",
        ));
    }
    context.api.need_token()?;
    let api = &context.api;
    for _ in 0..load.recordings {
        api.store(Uuid::new_v4()).await?;
    }
    api.query_until(&Api::meaning(&api.own.tag), |found| found["count"] != 0)
        .await?;
    let shared = Shared::default();
    let end = Instant::now() + Duration::from_secs(load.seconds);
    let searching = steadily(load.searches_per_second, end, async || {
        search(api, &shared).await
    });
    let sending = steadily(load.files_per_minute / 60.0, end, async || {
        send(api, &shared).await
    });
    let mut speaking = Vec::new();
    if settings.bus.is_some() {
        speaking.extend((0..load.speakers).map(|_| speak(context, end, &shared)));
    }
    tokio::join!(
        searching,
        sending,
        futures::future::join_all(speaking),
        watch_memory(context, end, &shared)
    );
    Ok((load, shared))
}

/// Does it so often a second until the end, whether or not the last one is done, and waits for all.
async fn steadily(per_second: f64, end: Instant, one: impl AsyncFn()) {
    if per_second <= 0.0 {
        return;
    }
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    let mut under_way = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if Instant::now() >= end {
                    break;
                }
                under_way.push(one());
            }
            Some(()) = futures::StreamExt::next(&mut under_way), if !under_way.is_empty() => {}
        }
    }
    while futures::StreamExt::next(&mut under_way).await.is_some() {}
}

fn note(shared: &Shared, seen: Seen<f64>, of: impl FnOnce(&mut Measured) -> &mut Vec<f64>) {
    let mut measured = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match seen {
        Ok(ms) => of(&mut measured).push(ms),
        Err(Unseen::Failed(why) | Unseen::NotChecked(why)) => measured.errors.push(why),
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

async fn search(api: &Api, shared: &Shared) {
    let began = Instant::now();
    let seen = async {
        // Another question each time: what was asked before is remembered.
        let words = format!("serving your nation {}", Uuid::new_v4().simple());
        let query = serde_json::json!({"query_text": words, "limit": 10});
        let request = api
            .request(reqwest::Method::POST, "/api/v1/query")
            .json(&query);
        api.once(request).await?.expect(200)?;
        Ok(ms(began))
    };
    note(shared, seen.await, |m| &mut m.searches);
}

async fn send(api: &Api, shared: &Shared) {
    let began = Instant::now();
    let seen = async {
        let answer = api.transcribe(Uuid::new_v4(), SPEECH, &[]).await?;
        answer.expect(200)?;
        Ok(ms(began))
    };
    note(shared, seen.await, |m| &mut m.files);
}

/// One person who speaks, one recording after another.
async fn speak(context: &Context, end: Instant, shared: &Shared) {
    while Instant::now() < end {
        let spoken = bus::speak_at(&context.settings, &context.api.own, 1).await;
        let waited = spoken.map(|spoken| spoken.waited_for_text.as_secs_f64() * 1000.0);
        note(shared, waited, |m| &mut m.texts);
    }
}

/// Looks at the memory of the services all the while. Behind one address may be several replicas, of which one
/// answers at a time.
async fn watch_memory(context: &Context, end: Instant, shared: &Shared) {
    while Instant::now() < end {
        for service in SERVICES {
            // Why one doesn't tell it is said at the end.
            if let Ok(now) = resident_mb(context, service).await {
                note_memory(shared, service, now);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn note_memory(shared: &Shared, service: &'static str, now: f64) {
    let mut measured = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let most = measured.memory.entry(service).or_default();
    *most = most.max(now);
}

/// What a service has in use now, in megabytes.
async fn resident_mb(context: &Context, service: &str) -> Seen<f64> {
    let metrics = health::metrics(context, service).await?;
    let told = metrics.lines().find_map(|line| line.strip_prefix(MEMORY));
    let bytes = told.and_then(|bytes| bytes.parse::<f64>().ok());
    let bytes = bytes.ok_or_else(|| {
        not_checked(format!(
            "{service} doesn't tell its memory ({}): its system doesn't",
            MEMORY.trim_end()
        ))
    })?;
    Ok(bytes / 1e6)
}

async fn memory(context: &Context, shared: &Shared, limits: &BTreeMap<String, f64>) -> Seen {
    for service in SERVICES {
        let now = resident_mb(context, service).await?;
        note_memory(shared, service, now);
    }
    let measured = shared.lock().unwrap_or_else(PoisonError::into_inner);
    within(&measured.memory, limits)
}

/// The most that each service had, beside its limit.
fn within(most: &BTreeMap<&'static str, f64>, limits: &BTreeMap<String, f64>) -> Seen {
    let (mut told, mut holds) = (Vec::new(), true);
    for (service, mb) in most {
        let limit = limits.get(*service);
        holds &= limit.is_none_or(|limit| mb <= limit);
        told.push(match limit {
            Some(limit) => format!("{service} {mb:.0} MB, at most {limit:.0}"),
            None => format!("{service} {mb:.0} MB, without a limit"),
        });
    }
    let told = told.join("; ");
    ensure(holds, || told.clone())?;
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_environment_has_its_load_and_limits() {
        let all: BTreeMap<String, Load> = toml::from_str(FILE).unwrap();
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["dev", "local", "prod", "staging"]);
        for (name, load) in &all {
            let mut limited: Vec<&str> = load.limits.memory_mb.keys().map(String::as_str).collect();
            let mut services = SERVICES;
            limited.sort_unstable();
            services.sort_unstable();
            assert_eq!(limited, services, "{name}");
        }
    }

    #[test]
    fn memory_beyond_its_limit_fails_and_is_told_beside_it() {
        let limits = BTreeMap::from([("embedder".to_owned(), 400.0)]);
        let most = |embedder| BTreeMap::from([("embedder", embedder), ("query_svc", 9e9)]);
        let told = within(&most(400.0), &limits).unwrap();
        assert_eq!(
            told,
            "embedder 400 MB, at most 400; query_svc 9000000000 MB, without a limit"
        );
        assert!(within(&most(401.0), &limits).is_err());
    }

    #[test]
    fn a_measure_beyond_its_limit_fails() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&values, 0.95) - 95.0).abs() < f64::EPSILON);
        assert!(judge("p95", &values, 95.0, "ms").is_ok());
        assert!(judge("p95", &values, 94.0, "ms").is_err());
        assert!(judge("p95", &[], 94.0, "ms").is_err());
    }
}
