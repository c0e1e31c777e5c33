//! Time: what passes while work goes on.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells the time, and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Time that has passed since some moment, never backwards.
    fn elapsed(&self) -> Duration;

    /// Waits for so long. Cancel-safe.
    async fn sleep(&self, duration: Duration);
}
