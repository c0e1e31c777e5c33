//! Names of the headers that messages carry.

/// Names one request from its first command to its last event: a UUID made by the client and
/// echoed on everything that the request causes.
pub const CORRELATION_ID: &str = "Speakr-Correlation-Id";

/// W3C trace context: which span caused this message.
pub const TRACEPARENT: &str = "traceparent";

/// W3C trace context: what tracing systems add to it.
pub const TRACESTATE: &str = "tracestate";

/// By this the server drops a message that it has stored already.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";

/// On a message of sound: its number, from 0 without gaps.
pub const CHUNK: &str = "Speakr-Chunk";

/// On the last message of a recording's sound, whose payload is empty: how many came before it.
pub const END: &str = "Speakr-End";

/// On a dead letter: why it is one.
pub const DEAD_REASON: &str = "Speakr-Dead-Reason";

/// On a dead letter: the subject that it was sent to.
pub const DEAD_SUBJECT: &str = "Speakr-Dead-Subject";

/// On a dead letter: how often it was tried.
pub const DEAD_ATTEMPTS: &str = "Speakr-Dead-Attempts";

/// On a dead letter that is without its message, because both together were too large: how many bytes
/// that has.
pub const DEAD_BYTES: &str = "Speakr-Dead-Bytes";
