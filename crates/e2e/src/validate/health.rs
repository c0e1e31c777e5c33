//! Every service says how it is, and monitoring hears when one is away.

use serde_json::Value;

use super::{
    Context,
    check::{Runner, Seen, ensure, failed, not_checked},
    fault,
    settings::SERVICES,
};

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check("api", "the API's /health answers without a token", async {
            let api = &context.api;
            let answer = api.once(api.bare(reqwest::Method::GET, "/health")).await?;
            let told = answer.expect(200)?.json()?;
            Ok(told.to_string())
        })
        .await;
    for service in SERVICES {
        runner
            .check(
                service,
                &format!("{service} lives, is ready, and measures itself"),
                well(context, service),
            )
            .await;
    }
    runner
        .check(
            "one-version",
            "all services are of one version",
            one_version(context),
        )
        .await;
    for service in SERVICES {
        runner
            .check(
                &format!("{service}-stopped"),
                &format!("{service} stopped: its /health is away, its alert goes off and ends"),
                async {
                    let fault = fault::of(context, service).await?;
                    Ok(fault.told())
                },
            )
            .await;
    }
}

fn address<'a>(context: &'a Context, service: &str) -> Seen<&'a str> {
    let found = context.settings.health.get(service);
    found.map(String::as_str).ok_or_else(|| {
        not_checked(format!(
            "its address isn't known: --health {service}=URL, or SPEAKR_{}_HEALTH",
            service.to_uppercase()
        ))
    })
}

async fn get(context: &Context, service: &str, path: &str) -> Seen<(u16, String)> {
    let base = address(context, service)?;
    let answer = context
        .api
        .client
        .get(format!("{base}{path}"))
        .send()
        .await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Whether the service says now that it is ready.
pub(super) async fn is_ready(context: &Context, service: &str) -> bool {
    matches!(get(context, service, "/health/ready").await, Ok((200, _)))
}

/// Whether the service answers at all.
pub(super) async fn lives(context: &Context, service: &str) -> bool {
    matches!(get(context, service, "/health").await, Ok((200, _)))
}

async fn well(context: &Context, service: &str) -> Seen {
    let (status, text) = get(context, service, "/health").await?;
    ensure(status == 200, || format!("/health: {status} {text}"))?;
    let (status, text) = get(context, service, "/health/ready").await?;
    ensure(status == 200, || format!("/health/ready: {status} {text}"))?;
    let told: Value = serde_json::from_str(&text)?;
    let checks = told["checks"].as_array().cloned().unwrap_or_default();
    ensure(
        !checks.is_empty() && checks.iter().all(|c| c["ok"] == true),
        || format!("/health/ready names nothing that it looked at, or what isn't well: {told}"),
    )?;
    let names: Vec<&str> = checks.iter().filter_map(|c| c["name"].as_str()).collect();
    let metrics = metrics(context, service).await?;
    ensure(metrics.contains("speakr_build_info{"), || {
        "/metrics has no speakr_build_info, by which monitoring knows that it is there".to_owned()
    })?;
    Ok(format!("ready, with {}", names.join(", ")))
}

/// What it measures.
pub(super) async fn metrics(context: &Context, service: &str) -> Seen<String> {
    let (status, text) = get(context, service, "/metrics").await?;
    ensure(status == 200, || format!("/metrics: {status}"))?;
    Ok(text)
}

async fn one_version(context: &Context) -> Seen {
    let mut versions = Vec::new();
    for service in SERVICES {
        let metrics = metrics(context, service).await?;
        let version = metrics
            .lines()
            .find(|line| line.starts_with("speakr_build_info{"))
            .and_then(|line| line.split("version=\"").nth(1)?.split('"').next())
            .ok_or_else(|| failed(format!("{service} doesn't tell its version")))?;
        versions.push(version.to_owned());
    }
    ensure(versions.iter().all(|v| *v == versions[0]), || {
        format!("{SERVICES:?} have the versions {versions:?}")
    })?;
    Ok(versions[0].clone())
}
