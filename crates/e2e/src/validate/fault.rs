//! A service is stopped for real, and started again: what its health says meanwhile, what Prometheus
//! says, and what a webhook hears. Done once a service, however many checks look at it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    Context,
    check::{Seen, Unseen, ensure, failed, not_checked},
    health,
    settings::Level,
    source::{filled, shell},
    webhook,
};

/// The alert of a service that isn't there (k8s/monitoring/alerts.yaml).
pub(super) const ALERT: &str = "SpeakrServiceMissing";

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a command that stops or starts a service may take.
const COMMAND: Duration = Duration::from_secs(300);

/// What was seen while a service was away.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Until its health was away.
    away: Duration,
    /// Until it was ready again.
    back: Duration,
    /// Until its alert went off, and until it ended; why that wasn't looked at.
    pub(super) alert: Seen<(Duration, Duration)>,
    /// The same, of the webhook.
    pub(super) heard: Seen<(Duration, Duration)>,
}

impl Fault {
    /// In a sentence.
    pub(super) fn told(&self) -> String {
        let alert = match &self.alert {
            Ok((on, off)) => format!(
                "its alert went off after {:.0} s and ended {:.0} s after the start",
                on.as_secs_f64(),
                off.as_secs_f64()
            ),
            Err(Unseen::Failed(why) | Unseen::NotChecked(why)) => why.clone(),
        };
        format!(
            "away after {:.1} s, ready {:.1} s after its start; {alert}",
            self.away.as_secs_f64(),
            self.back.as_secs_f64()
        )
    }
}

/// Stops and starts `service`, unless that was done already. A failure of its alert is a failure.
pub(super) async fn of(context: &Context, service: &str) -> Seen<Fault> {
    let fault = happened(context, service).await?;
    match &fault.alert {
        Ok(_) => Ok(fault),
        // With what was seen all the same.
        Err(Unseen::NotChecked(_)) => Err(not_checked(fault.told())),
        Err(Unseen::Failed(_)) => Err(failed(fault.told())),
    }
}

/// The same, whatever its alert did.
pub(super) async fn happened(context: &Context, service: &str) -> Seen<Fault> {
    let asked = &context.settings.asked;
    if asked.level != Level::Full {
        return Err(not_checked(
            "it stops a service: --level full --allow-disruption",
        ));
    }
    let (Some(stop), Some(start)) = (&asked.stop, &asked.start) else {
        return Err(not_checked(
            "how a service is stopped and started isn't known: --stop and --start, each a command with \
             {service}",
        ));
    };
    if !context.settings.health.contains_key(service) {
        return Err(not_checked(
            "the address of its health isn't known: --health",
        ));
    }
    let mut faults = context.faults.lock().await;
    if let Some(known) = faults.get(service) {
        return known.clone();
    }
    let seen = happen(context, service, stop, start).await;
    faults.insert(service.to_owned(), seen.clone());
    seen
}

async fn happen(context: &Context, service: &str, stop: &str, start: &str) -> Seen<Fault> {
    ensure(health::is_ready(context, service).await, || {
        format!("{service} isn't ready before anything is done")
    })?;
    let values = [("service", service)];
    let stopped = Instant::now();
    // From here on it has to be started again, whatever happens, also when this is broken off.
    context.owe_start(service);
    let seen = while_away(context, service, &filled(stop, &values), stopped).await;
    let started = Instant::now();
    shell(&filled(start, &values), COMMAND).await?;
    let (away, alert_on, heard_on) = seen?;
    let back = until(context.settings.patience(), async || {
        health::is_ready(context, service).await
    })
    .await
    .ok_or_else(|| failed(format!("{service} was started and doesn't get ready")))?;
    context.paid_start(service);
    let patience = Duration::from_secs(context.settings.asked.alert_patience);
    let alert = match alert_on {
        Err(unseen) => Err(unseen),
        Ok(on) => ended(context, service, started, patience)
            .await
            .map(|off| (on, off)),
    };
    let heard = match heard_on {
        Err(unseen) => Err(unseen),
        Ok(on) => webhook::until(context, service, "resolved", started, patience)
            .await
            .map(|off| (on, off)),
    };
    Ok(Fault {
        away,
        back,
        alert,
        heard,
    })
}

type WhileAway = (Duration, Seen<Duration>, Seen<Duration>);

async fn while_away(
    context: &Context,
    service: &str,
    stop: &str,
    stopped: Instant,
) -> Seen<WhileAway> {
    shell(stop, COMMAND).await?;
    let away = until(context.settings.patience(), async || {
        !health::lives(context, service).await
    })
    .await
    .ok_or_else(|| {
        failed(format!(
            "{service} was stopped, and its /health still says that it lives"
        ))
    })?;
    let patience = Duration::from_secs(context.settings.asked.alert_patience);
    let alert = went_off(context, service, stopped, patience).await;
    let heard = match &alert {
        Ok(_) => webhook::until(context, service, "firing", stopped, patience).await,
        Err(_) => Err(not_checked("no alert went off")),
    };
    Ok((away, alert, heard))
}

/// How long it took until `done` said so.
async fn until(patience: Duration, done: impl AsyncFn() -> bool) -> Option<Duration> {
    let began = Instant::now();
    while !done().await {
        if began.elapsed() > patience {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Some(began.elapsed())
}

async fn went_off(
    context: &Context,
    service: &str,
    since: Instant,
    patience: Duration,
) -> Seen<Duration> {
    prometheus(context)?;
    until(patience, async || {
        firing(context, service).await.unwrap_or(false)
    })
    .await
    .map(|_| since.elapsed())
    .ok_or_else(|| {
        failed(format!(
            "{service} is away, and {ALERT} hasn't gone off in {patience:?}"
        ))
    })
}

async fn ended(
    context: &Context,
    service: &str,
    since: Instant,
    patience: Duration,
) -> Seen<Duration> {
    until(patience, async || {
        firing(context, service).await.is_ok_and(|firing| !firing)
    })
    .await
    .map(|_| since.elapsed())
    .ok_or_else(|| {
        failed(format!(
            "{service} is back, and {ALERT} hasn't ended in {patience:?}"
        ))
    })
}

/// The address of Prometheus.
pub(super) fn prometheus(context: &Context) -> Seen<&str> {
    let url = context.settings.asked.prometheus.as_deref();
    url.map(|url| url.trim_end_matches('/'))
        .ok_or_else(|| not_checked("no Prometheus: --prometheus URL"))
}

/// Whether the service's alert is firing.
async fn firing(context: &Context, service: &str) -> Seen<bool> {
    let url = format!("{}/api/v1/alerts", prometheus(context)?);
    let answer = context.api.client.get(url).send().await?;
    let told: Value = answer.json().await?;
    let alerts = told["data"]["alerts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(alerts
        .iter()
        .any(|alert| alert["state"] == "firing" && concerns(&alert["labels"], service)))
}

/// Whether these labels are those of the service's alert.
pub(super) fn concerns(labels: &Value, service: &str) -> bool {
    let label = labels["service"].as_str().unwrap_or_default();
    labels["alertname"] == ALERT && label == format!("speakr-{}", service.replace('_', "-"))
}
