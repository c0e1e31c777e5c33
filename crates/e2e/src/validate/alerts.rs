//! The rules are there, each says what to do, and a fault that is real reaches somebody and is taken back.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Context,
    check::{Runner, Seen, ensure, failed, not_checked},
    fault,
    settings::SERVICES,
};

/// The rules as this version ships them.
const RULES: &str = include_str!("../../../../k8s/monitoring/alerts.yaml");

/// The runbook, in a checkout.
const RUNBOOK: &str = "docs/runbook.md";

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "rules",
            "monitoring has every rule of this version, and none fails",
            rules(context),
        )
        .await;
    runner
        .check(
            "targets",
            "monitoring hears all three services",
            targets(context),
        )
        .await;
    runner
        .check(
            "steps",
            "every alert leads to a heading of the runbook",
            async {
                let source = context.settings.asked.source.as_deref();
                let source = source
                    .ok_or_else(|| not_checked("no checkout of the source: --source FOLDER"))?;
                let path = source.join(RUNBOOK);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| failed(format!("{}: {error}", path.display())))?;
                steps(RULES, &text)
            },
        )
        .await;
    runner
        .check(
            "quiet",
            "no alert is firing before anything is done",
            quiet(context),
        )
        .await;
    for service in SERVICES {
        runner
            .check(
                &format!("{service}-reaches"),
                &format!("{service} stopped: somebody hears of it, and hears that it is over"),
                async {
                    let fault = fault::happened(context, service).await?;
                    let (on, off) = fault.heard?;
                    Ok(format!(
                        "the webhook heard it {:.0} s after the stop, and of its end {:.0} s after the start",
                        on.as_secs_f64(),
                        off.as_secs_f64()
                    ))
                },
            )
            .await;
    }
}

/// The value behind `key` in each line that begins with it.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim().strip_prefix(key))
        .map(str::trim)
}

fn shipped() -> BTreeSet<String> {
    values(RULES, "- alert:").map(str::to_owned).collect()
}

async fn ask(context: &Context, path: &str) -> Seen<Value> {
    let url = format!("{}{path}", fault::prometheus(context)?);
    let answer = context.api.client.get(&url).send().await?;
    let status = answer.status();
    ensure(status.is_success(), || format!("{url} answered {status}"))?;
    Ok(answer.json().await?)
}

async fn rules(context: &Context) -> Seen {
    let told = ask(context, "/api/v1/rules?type=alert").await?;
    let mut there = BTreeSet::new();
    for group in told["data"]["groups"].as_array().into_iter().flatten() {
        for rule in group["rules"].as_array().into_iter().flatten() {
            let name = rule["name"].as_str().unwrap_or_default();
            if !name.starts_with("Speakr") {
                continue;
            }
            ensure(rule["health"] != "err", || {
                format!("{name} fails: {}", rule["lastError"])
            })?;
            let leads = rule["annotations"]["runbook"].is_string()
                && rule["annotations"]["summary"].is_string();
            ensure(leads, || {
                format!("{name} says neither what it is nor what to do")
            })?;
            there.insert(name.to_owned());
        }
    }
    let missing: Vec<String> = shipped().difference(&there).cloned().collect();
    ensure(missing.is_empty(), || {
        format!("these rules aren't there: {missing:?}")
    })?;
    Ok(format!("{} rules", there.len()))
}

async fn targets(context: &Context) -> Seen {
    let told = ask(context, "/api/v1/query?query=speakr_build_info").await?;
    let series = told["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let heard: BTreeSet<&str> = series
        .iter()
        .filter_map(|s| s["metric"]["service"].as_str())
        .collect();
    for service in SERVICES {
        let name = format!("speakr-{}", service.replace('_', "-"));
        ensure(heard.contains(name.as_str()), || {
            format!("nothing is heard of {name}, but of {heard:?}")
        })?;
    }
    Ok(format!(
        "{} series of {} services",
        series.len(),
        heard.len()
    ))
}

async fn quiet(context: &Context) -> Seen {
    let told = ask(context, "/api/v1/alerts").await?;
    let alerts = told["data"]["alerts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let firing: Vec<String> = alerts
        .iter()
        .filter(|alert| alert["state"] == "firing")
        .filter_map(|alert| alert["labels"]["alertname"].as_str())
        .filter(|name| name.starts_with("Speakr"))
        .map(str::to_owned)
        .collect();
    ensure(firing.is_empty(), || format!("firing: {firing:?}"))?;
    Ok("none of the platform's".to_owned())
}

/// Whether each alert's runbook is a heading that is there.
fn steps(rules: &str, runbook: &str) -> Seen {
    let anchors: BTreeSet<String> = runbook
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    let leads: Vec<&str> = values(rules, "runbook:").collect();
    let alerts = values(rules, "- alert:").count();
    ensure(leads.len() == alerts, || {
        format!("{alerts} alerts, and {} lead to the runbook", leads.len())
    })?;
    for lead in leads {
        let heading = lead.strip_prefix("docs/runbook.md#").unwrap_or_default();
        ensure(anchors.contains(heading), || {
            format!("{lead} is no heading")
        })?;
    }
    Ok(format!("{alerts} alerts"))
}

/// The name that a heading has in a link.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_leads_nowhere_is_noticed() {
        let runbook = include_str!("../../../../docs/runbook.md");
        assert!(shipped().contains(fault::ALERT));
        assert!(steps(RULES, runbook).is_ok());
        assert!(steps(RULES, "# Nothing").is_err());
        let without = RULES.replacen("runbook:", "runbooc:", 1);
        assert!(steps(&without, runbook).is_err());
    }
}
