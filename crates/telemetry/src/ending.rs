//! The last of what a process tells.

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;

/// Sends the last of one kind of telemetry by `send`, a provider's shutdown, and waits for it no longer
/// than `patience`. What comes too late is lost, which a log line says.
pub async fn last(send: impl FnOnce() -> OTelSdkResult + Send + 'static, patience: Duration) {
    // It waits for a thread of its own, which needs this runtime.
    let sent = tokio::task::spawn_blocking(send);
    // The SDK keeps to no time of its own here.
    match tokio::time::timeout(patience, sent).await {
        Ok(Ok(Err(error))) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the last traces or metrics are lost"
        ),
        Err(_) => tracing::warn!("the last traces or metrics are lost: the collector is too slow"),
        Ok(_) => {}
    }
}
