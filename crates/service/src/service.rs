//! A service from its start to its end.

use std::{process::ExitCode, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};
use speakr_telemetry::{Collector, OtlpError, last, traces};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{Config, ConfigError, Kind, Setting, SettingError},
    health::{Check, Health, HealthServer},
    logs, meters,
    shutdown::{DeadlinePassed, Shutdown},
};

/// Where health and metrics are served.
pub(crate) const HEALTH_ADDR: Setting = Setting::new(
    "SPEAKR_HEALTH_ADDR",
    Kind::Address,
    "Where `/health`, `/health/ready` and `/metrics` are served. They need no token: keep the port inside.",
)
.default("0.0.0.0:8081");

/// What is logged.
pub(crate) const LOG: Setting = Setting::new(
    "SPEAKR_LOG",
    Kind::Text,
    "What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module as in `info,sqlx=warn`. From `debug` on, logs may hold what was said.",
)
.default("info");

/// How long work may go on at the end.
pub(crate) const SHUTDOWN_DEADLINE: Setting = Setting::new(
    "SPEAKR_SHUTDOWN_DEADLINE",
    Kind::Duration,
    "How long work that is under way may go on after SIGTERM; what isn't done by then is done again by another.",
)
.default("25s");

/// Where traces and metrics go.
pub(crate) const OTLP_ENDPOINT: Setting = Setting::new(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    Kind::Url,
    "The collector that traces and metrics are sent to (OTLP over HTTP), as in `http://collector:4318`; nothing is sent where it isn't set.",
);

const COMMON: &[Setting] = &[HEALTH_ADDR, LOG, SHUTDOWN_DEADLINE, OTLP_ENDPOINT];

/// How long the last of them may take to be sent.
const LAST_TELEMETRY: Duration = Duration::from_secs(3);

/// The settings that every service has.
#[must_use]
pub const fn common_settings() -> &'static [Setting] {
    COMMON
}

/// Why a service didn't start, or didn't end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Settings are wrong: all that are.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// One setting was asked for and isn't there.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// What is to be logged can't be read.
    #[error("SPEAKR_LOG can't be read")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    /// Logs or metrics were set up before in this process.
    #[error("telemetry can't be set up")]
    Telemetry(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The health server can't listen.
    #[error("can't serve health on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Signals can't be heard.
    #[error("can't listen for signals")]
    Signals(#[source] std::io::Error),
    /// Traces and metrics can't be sent.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Work wasn't done in time.
    #[error(transparent)]
    Deadline(#[from] DeadlinePassed),
}

/// A service that runs.
pub struct Service {
    config: Config,
    health: Health,
    shutdown: Shutdown,
    tasks: TaskTracker,
    health_address: std::net::SocketAddr,
    health_stop: CancellationToken,
    metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Reads the settings of `tables` and the common ones from the environment, begins to log,
    /// and serves health and metrics. It is ready once the checks added to it say so.
    ///
    /// # Errors
    /// [`ServiceError`]; settings first, all that are wrong.
    pub async fn start(
        name: &'static str,
        version: &'static str,
        tables: &[&[Setting]],
    ) -> Result<Self, ServiceError> {
        let all: Vec<&[Setting]> = [COMMON].into_iter().chain(tables.iter().copied()).collect();
        let config = Config::from_env(&all)?;
        let layer = logs::layer(name, &config.text(&LOG)?, std::io::stdout)
            .map_err(ServiceError::LogFilter)?;
        // Someone else may have chosen a provider for this process; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let collector = if config.is_set(&OTLP_ENDPOINT) {
            let endpoint = config.url(&OTLP_ENDPOINT)?;
            Some(Collector::new(&endpoint, name, version)?)
        } else {
            None
        };
        let traces = collector.as_ref().map(traces::provider).transpose()?;
        tracing_subscriber::registry()
            .with(traces.as_ref().map(traces::layer))
            .with(layer)
            .try_init()
            .map_err(|e| ServiceError::Telemetry(Box::new(e)))?;
        let meters = collector.as_ref().map(meters::provider).transpose()?;
        let metrics =
            meters::install(name, version, meters.as_ref()).map_err(ServiceError::Telemetry)?;
        if meters.is_some() {
            tokio::spawn(meters::keep_measuring_memory());
        }

        let address = config.address(&HEALTH_ADDR)?;
        let server = HealthServer::bind(address)
            .await
            .map_err(|source| ServiceError::Listen { address, source })?;
        let health_address = server.address();
        let health = Health::default();
        let health_stop = CancellationToken::new();
        let serving = server.serve(health.clone(), metrics.clone(), health_stop.clone());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "health isn't served any more"
                );
            }
        });
        let shutdown = Shutdown::on_signals(config.duration(&SHUTDOWN_DEADLINE)?)
            .map_err(ServiceError::Signals)?;
        tracing::info!(version, health = %health_address, "started");
        Ok(Self {
            config,
            health,
            shutdown,
            tasks: TaskTracker::new(),
            health_address,
            health_stop,
            metrics,
            traces,
            meters,
        })
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Also needs `dependency` from now on, to be ready.
    pub fn needs(&self, dependency: Arc<dyn Check>) {
        self.health.add(dependency);
    }

    /// The state of health.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Tells when to end.
    #[must_use]
    pub const fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// The tasks that the end waits for.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Where health and metrics are served.
    #[must_use]
    pub const fn health_address(&self) -> std::net::SocketAddr {
        self.health_address
    }

    /// The metrics so far, as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.render()
    }

    /// Runs until it is asked to end and its tasks are done. Health is served to the last.
    ///
    /// # Errors
    /// [`ServiceError::Deadline`] when tasks weren't done in time.
    pub async fn run_to_end(self) -> Result<(), ServiceError> {
        let stop = self.shutdown.token();
        stop.cancelled().await;
        self.health.set_ending();
        let done = self.shutdown.complete(&self.tasks).await;
        match &done {
            Ok(()) => tracing::info!("ended"),
            Err(passed) => {
                tracing::error!(error = passed as &dyn std::error::Error, "ended too late")
            }
        }
        self.health_stop.cancel();
        if let Some(traces) = self.traces {
            last(
                move || traces.shutdown_with_timeout(LAST_TELEMETRY),
                2 * LAST_TELEMETRY,
            )
            .await;
        }
        if let Some(meters) = self.meters {
            last(
                move || meters.shutdown_with_timeout(LAST_TELEMETRY),
                2 * LAST_TELEMETRY,
            )
            .await;
        }
        Ok(done?)
    }
}

/// Tells `error` with its causes on standard error.
pub fn tell(error: &(dyn std::error::Error + 'static)) {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    say(&text);
}

/// A line on standard error. One that is closed must not end the program or change its code.
pub fn say(text: &str) {
    drop(std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("{text}\n").as_bytes(),
    ));
}

/// What `main` gives back: 0; 2 after wrong settings; 1 after anything else, told on standard
/// error with its causes.
pub fn exit_code(result: &Result<(), ServiceError>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    tell(error);
    match error {
        ServiceError::Config(_) | ServiceError::Setting(_) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}
