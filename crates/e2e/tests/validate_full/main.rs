//! `speakr-validate` with everything that an operator can give it: logs, traces, services that are stopped
//! and started, a load, a release, backups that are restored beside, alerts that reach a webhook. What takes
//! minutes, or Debian's Prometheus, runs by `make validate-test`.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "../common/backups.rs"]
mod backups;
#[path = "../common/collector.rs"]
mod collector;
#[path = "../common/store.rs"]
mod store;

mod alerts;
mod load;
mod observed;
mod operator;
mod recovery;
mod release;
