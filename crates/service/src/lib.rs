//! What every service's `main` shares: settings from the environment, JSON logs, traces, metrics, the
//! server of health and metrics, and an orderly end.
//!
//! ```no_run
//! use speakr_service::{Service, config::{Kind, Setting}};
//!
//! const NATS_URL: Setting = Setting::new("NATS_URL", Kind::Url, "The message bus.").required();
//!
//! # async fn main_of_a_service() -> Result<(), speakr_service::ServiceError> {
//! let service = Service::start("speakr-example", env!("CARGO_PKG_VERSION"), &[&[NATS_URL]]).await?;
//! let nats = service.config().url(&NATS_URL)?;
//! let stop = service.shutdown().token();
//! service.tasks().spawn(async move {
//!     stop.cancelled().await; // finish or hand back what is under way
//! });
//! service.run_to_end().await
//! # }
//! ```

pub mod config;
pub mod health;
pub mod logs;
pub mod meters;
mod service;
pub mod shutdown;

pub use speakr_telemetry::traces;

pub use service::{Service, ServiceError, common_settings, exit_code, say, tell};
