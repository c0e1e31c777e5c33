//! The settings of this service, beside those of its parts.

use speakr_service::config::{Kind, Setting};

pub(crate) const AT_ONCE: Setting = Setting::new(
    "SPEAKR_EMBEDDER_AT_ONCE",
    Kind::Number { min: 1, max: 256 },
    "Recordings worked on at a time.",
)
.default("2");

pub(crate) const MAX_ATTEMPTS: Setting = Setting::new(
    "SPEAKR_MAX_ATTEMPTS",
    Kind::Number { min: 1, max: 1_000 },
    "How often an event is tried before it is put among the dead letters.",
)
.default("10");

pub(crate) const ACK_WAIT: Setting = Setting::new(
    "SPEAKR_ACK_WAIT",
    Kind::Duration,
    "An event is handed to another replica when nothing is heard of it for so long.",
)
.default("30s");

/// The settings of the worker.
pub(crate) const TABLE: &[Setting] = &[AT_ONCE, MAX_ATTEMPTS, ACK_WAIT];
