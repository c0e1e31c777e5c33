//! What goes over the wire between speakr's programs: commands, events, subjects and headers.
//!
//! On one machine nothing goes over a wire, so there is little here yet. The crate has its place
//! from the start because of who may use it: it depends on nothing of ours, so that a client can
//! take the contract without the core, and the core never depends on it, so that the domain isn't
//! shaped by a wire format. Adapters of buses translate between the two.

/// Header that names one request from its first command to its last event: a UUID made by the
/// client and echoed on everything that the request causes.
pub const CORRELATION_ID_HEADER: &str = "Speakr-Correlation-Id";

/// First part of every subject that asks for something to be done.
pub const COMMAND_SUBJECT_PREFIX: &str = "speakr.command";

/// First part of every subject that tells what happened.
pub const EVENT_SUBJECT_PREFIX: &str = "speakr.event";
