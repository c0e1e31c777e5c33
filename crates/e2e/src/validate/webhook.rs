//! Listens for what Alertmanager sends to people.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::Value;

use super::{
    Context,
    check::{Seen, failed, not_checked},
    fault::{ALERT, concerns},
};

/// Alerts that came, with their state.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<Value>>>);

impl Heard {
    /// Listens on `address` as long as the program runs.
    pub(super) async fn listen(address: &str) -> std::io::Result<Self> {
        let heard = Self::default();
        let listener = tokio::net::TcpListener::bind(address).await?;
        let router = Router::new().fallback(post(take)).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(heard)
    }

    fn has(&self, service: &str, state: &str) -> bool {
        let alerts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        alerts
            .iter()
            .any(|alert| alert["status"] == state && concerns(&alert["labels"], service))
    }
}

async fn take(State(heard): State<Heard>, Json(message): Json<Value>) {
    let alerts = message["alerts"].as_array().cloned().unwrap_or_default();
    let mut all = heard.0.lock().unwrap_or_else(PoisonError::into_inner);
    all.extend(alerts);
}

/// Waits until the service's alert came in this state; gives how long that was after `since`.
pub(super) async fn until(
    context: &Context,
    service: &str,
    state: &str,
    since: Instant,
    patience: Duration,
) -> Seen<Duration> {
    let heard = context.webhook.as_ref().ok_or_else(|| {
        not_checked(
            "nobody listens for Alertmanager: --webhook ADDRESS, and a receiver that sends there",
        )
    })?;
    let began = Instant::now();
    while !heard.has(service, state) {
        if began.elapsed() > patience {
            return Err(failed(format!(
                "the webhook hasn't heard that {ALERT} of {service} is {state}, in {patience:?}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(since.elapsed())
}
