//! Backups are made, put into an environment beside, and answer the same: with the point up to which
//! nothing is lost, and the time that each store takes.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    Context,
    api::Api,
    check::{Runner, Seen, ensure, failed, not_checked},
    source::shell,
};

/// How long one command may take where the file doesn't say.
const HOUR: u64 = 3600;

/// How backups are made and restored.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    beside: Beside,
    store: Vec<Store>,
}

/// The environment that they are put into.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beside {
    /// Where its API is.
    url: String,
    /// Makes it, empty: servers without services.
    prepare: Option<String>,
    /// Starts its services when all stores are there.
    start: Option<String>,
    /// Takes it away again.
    remove: Option<String>,
}

/// One store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Store {
    name: String,
    backup: String,
    restore: String,
    /// How much may be lost at most: how often its backup is made.
    point_seconds: u64,
    /// How long its restore may take.
    #[serde(default = "hour")]
    time_seconds: u64,
}

const fn hour() -> u64 {
    HOUR
}

/// What was seen of one store.
#[derive(Debug, Clone)]
struct Restored {
    store: Store,
    backup: Duration,
    restore: Duration,
    /// From the beginning of its backup until the loss.
    point: Duration,
}

/// What was seen of all.
#[derive(Debug, Clone)]
struct Drill {
    stores: Vec<Restored>,
    /// From the loss until searches answer as before.
    whole: Duration,
    compared: usize,
}

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    let drill = OnceCell::new();
    let plan = plan(context);
    let names: Vec<String> = match &plan {
        Ok(plan) => plan.store.iter().map(|store| store.name.clone()).collect(),
        Err(_) => ["database", "bucket", "streams"]
            .map(str::to_owned)
            .to_vec(),
    };
    let seen = || async {
        let plan = plan.clone()?;
        let drill: &Seen<Drill> = drill.get_or_init(|| rehearse(context, &plan)).await;
        drill.clone()
    };
    runner
        .check("same-answers", "restored beside, what was there before the backup is found, heard and exported as before", async {
            let drill = seen().await?;
            Ok(format!(
                "{} answers are the same, {:.1} s after the loss; what came after the backup is not there",
                drill.compared,
                drill.whole.as_secs_f64()
            ))
        })
        .await;
    for name in names {
        runner
            .check(
                &name,
                &format!("{name}: its recovery point and time are within their limits"),
                async {
                    let drill = seen().await?;
                    let found = drill.stores.iter().find(|one| one.store.name == name);
                    told(found.ok_or_else(|| failed("it wasn't restored"))?)
                },
            )
            .await;
    }
}

fn told(one: &Restored) -> Seen {
    let (point, time) = (one.point.as_secs_f64(), one.restore.as_secs_f64());
    let text = format!(
        "backup in {:.1} s; restored in {time:.1} s, at most {}; its point was {point:.1} s before the loss, at most {}",
        one.backup.as_secs_f64(),
        one.store.time_seconds,
        one.store.point_seconds
    );
    let within = time <= one.store.time_seconds as f64 && point <= one.store.point_seconds as f64;
    ensure(within, || text.clone())?;
    Ok(text)
}

fn plan(context: &Context) -> Seen<Plan> {
    let asked = &context.settings.asked;
    let path: &PathBuf = asked.recovery.as_ref().ok_or_else(|| {
        not_checked("how backups are made and restored isn't known: --recovery FILE")
    })?;
    if !context.settings.may_disrupt() {
        return Err(not_checked(
            "it makes and restores backups: --level full --allow-disruption",
        ));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("--recovery {}: {error}", path.display())))?;
    let plan: Plan = toml::from_str(&text)
        .map_err(|error| failed(format!("--recovery {}: {error}", path.display())))?;
    ensure(!plan.store.is_empty(), || "it names no store".to_owned())?;
    ensure(
        plan.beside.url.trim_end_matches('/') != context.settings.url,
        || "beside is the environment itself: nothing is restored over it".to_owned(),
    )?;
    Ok(plan)
}

async fn rehearse(context: &Context, plan: &Plan) -> Seen<Drill> {
    let removal = plan.beside.remove.as_deref();
    context.owe_command(removal);
    let seen = restore_beside(context, plan).await;
    if let Some(command) = removal {
        let removed = shell(command, Duration::from_secs(HOUR)).await;
        context.paid_command();
        removed?;
    }
    seen
}

async fn restore_beside(context: &Context, plan: &Plan) -> Seen<Drill> {
    let api = &context.api;
    api.need_token()?;
    let (before, _) = api.store(Uuid::new_v4()).await?;
    api.query_until(&Api::meaning(&api.own.tag), |found| holds(found, before))
        .await?;
    let was = answers(api, &api.own.tag, before).await?;
    let mut begun = Vec::new();
    for store in &plan.store {
        let at = Instant::now();
        shell(&store.backup, Duration::from_secs(HOUR)).await?;
        begun.push((at, at.elapsed()));
    }
    // Said after the backups: it has to be missing beside, or the backups were not what is looked at.
    let (after, _) = api.store(Uuid::new_v4()).await?;
    let loss = Instant::now();
    if let Some(command) = &plan.beside.prepare {
        shell(command, Duration::from_secs(HOUR)).await?;
    }
    let mut stores = Vec::new();
    for (store, (at, backup)) in plan.store.iter().zip(begun) {
        let restoring = Instant::now();
        shell(&store.restore, Duration::from_secs(HOUR)).await?;
        stores.push(Restored {
            store: store.clone(),
            backup,
            restore: restoring.elapsed(),
            point: loss.duration_since(at),
        });
    }
    if let Some(command) = &plan.beside.start {
        shell(command, Duration::from_secs(HOUR)).await?;
    }
    let token = context.settings.token.clone().unwrap_or_default();
    let beside = api.beside(&plan.beside.url, &token);
    reach(&beside, context.settings.patience()).await?;
    let is = answers(&beside, &api.own.tag, before).await?;
    let whole = loss.elapsed();
    ensure(is.len() == was.len(), || "other answers".to_owned())?;
    for ((what, was), (_, is)) in was.iter().zip(&is) {
        ensure(was == is, || {
            let short = |text: &str| text.chars().take(200).collect::<String>();
            format!(
                "{what} is another beside: {} and was {}",
                short(is),
                short(was)
            )
        })?;
    }
    let path = format!("/api/v1/recordings/{after}");
    let newer = beside
        .send(beside.request(Method::GET, &path))
        .await?
        .status;
    ensure(newer == 404, || {
        format!(
            "what was said after the backup is answered with {newer}: it isn't the backup that answers"
        )
    })?;
    Ok(Drill {
        stores,
        whole,
        compared: was.len(),
    })
}

async fn reach(api: &Api, patience: Duration) -> Seen<()> {
    let began = Instant::now();
    loop {
        let health = api.once(api.bare(Method::GET, "/health")).await;
        if health.is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        ensure(began.elapsed() < patience, || {
            format!("{} doesn't answer after {patience:?}", api.url)
        })?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn holds(found: &Value, id: Uuid) -> bool {
    let results = found["results"].as_array();
    results.is_some_and(|all| all.iter().any(|r| r["recording_id"] == id.to_string()))
}

/// What is asked before and after, with what was answered about this recording.
async fn answers(api: &Api, tag: &str, id: Uuid) -> Seen<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (text, mode) in [
        ("serving your nation", "semantic"),
        ("country", "keyword"),
        ("what you can do", "hybrid"),
    ] {
        let query = json!({"query_text": text, "filter_tags": [tag], "mode": mode, "limit": 100});
        let mut found = api.query(&query).await?;
        let results = found["results"].as_array_mut();
        // Only what was there before the backup; similarity and passages have to be the same.
        if let Some(results) = results {
            results.retain(|r| r["recording_id"] == id.to_string());
            for passage in results
                .iter_mut()
                .flat_map(|r| r["passages"].as_array_mut())
                .flatten()
            {
                // The score of a fused search depends on what else there is.
                passage["score"] = Value::Null;
            }
        }
        ensure(holds(&found, id), || {
            format!("\"{text}\" ({mode}) doesn't find it: {found}")
        })?;
        all.push((format!("\"{text}\" ({mode})"), found["results"].to_string()));
    }
    for path in ["", "/export?format=srt"] {
        let path = format!("/api/v1/recordings/{id}{path}");
        all.push((path.clone(), api.get(&path).await?.text()));
    }
    let sound = api.get(&format!("/api/v1/recordings/{id}/sound")).await?;
    all.push(("its sound".to_owned(), format!("{:?}", sound.body)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_takes_too_long_and_a_point_too_far_back_fail() {
        let seen = |restore: u64, point: u64| {
            let store = Store {
                name: "database".to_owned(),
                backup: String::new(),
                restore: String::new(),
                point_seconds: 60,
                time_seconds: 30,
            };
            told(&Restored {
                store,
                backup: Duration::from_secs(1),
                restore: Duration::from_secs(restore),
                point: Duration::from_secs(point),
            })
        };
        assert!(seen(30, 60).is_ok());
        assert!(seen(31, 60).is_err());
        assert!(seen(30, 61).is_err());
    }
}
