//! `/health`, `/health/ready` and `/metrics`, on a port of their own.

use std::{
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::meters;

/// How long one dependency may take to answer before it counts as not there.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Something that the service needs to do its work.
#[async_trait]
pub trait Check: Send + Sync {
    /// Its name, as `/health/ready` shows it ("nats", "postgres", …).
    fn name(&self) -> &'static str;

    /// Whether it is there.
    ///
    /// # Errors
    /// What is amiss, in a sentence without secrets.
    async fn check(&self) -> Result<(), String>;
}

/// A check that fails until the program says that it is there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ready {
    name: &'static str,
    until_then: &'static str,
    there: Arc<AtomicBool>,
}

impl Ready {
    /// Something called `name`; what is amiss until it is there says `until_then`.
    #[must_use]
    pub fn new(name: &'static str, until_then: &'static str) -> Self {
        Self {
            name,
            until_then,
            there: Arc::default(),
        }
    }

    /// From now on it is there.
    pub fn set(&self) {
        self.there.store(true, Ordering::Release);
    }
}

#[async_trait]
impl Check for Ready {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn check(&self) -> Result<(), String> {
        if self.there.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.until_then.to_owned())
    }
}

/// The service's state of health. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: RwLock<Vec<Arc<dyn Check>>>,
    ending: AtomicBool,
}

/// The answer of `/health/ready`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readiness {
    /// "starting", "ready", "not ready" or "ending".
    pub status: &'static str,
    /// Each dependency, in the order in which it was added.
    pub checks: Vec<Checked>,
}

/// One dependency's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// How long it took to say so.
    pub took_ms: u64,
    /// What is amiss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Health {
    /// Also asks this dependency from now on.
    pub fn add(&self, check: Arc<dyn Check>) {
        let mut checks = self
            .0
            .checks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        checks.push(check);
    }

    /// From now on the service isn't ready: it takes no more work.
    pub fn set_ending(&self) {
        self.0.ending.store(true, Ordering::Relaxed);
    }

    /// Asks all dependencies, at the same time. Before any is named the service is starting.
    pub async fn readiness(&self) -> Readiness {
        let checks = self
            .0
            .checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let checks = futures::future::join_all(checks.iter().map(ask)).await;
        let status = if self.0.ending.load(Ordering::Relaxed) {
            "ending"
        } else if checks.is_empty() {
            "starting"
        } else if checks.iter().all(|c| c.ok) {
            "ready"
        } else {
            "not ready"
        };
        Readiness { status, checks }
    }
}

async fn ask(check: &Arc<dyn Check>) -> Checked {
    let began = Instant::now();
    let reason = match tokio::time::timeout(CHECK_TIMEOUT, check.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    };
    Checked {
        name: check.name(),
        ok: reason.is_none(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        reason,
    }
}

/// The server of health and metrics.
#[derive(Debug)]
pub struct HealthServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HealthServer {
    /// Listens on `address`.
    ///
    /// # Errors
    /// What the system says, when it can't.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`.
    ///
    /// # Errors
    /// What the system says, when it can't go on.
    pub async fn serve(
        self,
        health: Health,
        metrics: PrometheusHandle,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(self.listener, router(health, metrics))
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }
}

fn router(health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route(
            "/health",
            get(|| async { Json(serde_json::json!({"status": "alive"})) }),
        )
        .route("/health/ready", get(ready).with_state(health))
        .route("/metrics", get(exposition).with_state(metrics))
}

async fn ready(State(health): State<Health>) -> Response {
    let readiness = health.readiness().await;
    let status = if readiness.status == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

async fn exposition(State(metrics): State<PrometheusHandle>) -> Response {
    metrics.run_upkeep();
    meters::measure_memory();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
}
