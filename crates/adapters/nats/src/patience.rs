//! How long a message that can't be worked on now is kept waiting.

use std::time::{Duration, SystemTime};

use crate::queue::Delivery;

/// How long a message waits for a store or a bus that doesn't do its part: that isn't its fault.
pub const OUTAGE_PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// First pause before a message is tried again; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause before a message is tried again that was tried so many times.
#[must_use]
pub fn retry_pause(times: u64) -> Duration {
    let doublings = u32::try_from(times.saturating_sub(1)).unwrap_or(16).min(16);
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_PAUSE)
}

impl Delivery {
    /// How long ago the server stored it.
    #[must_use]
    pub fn age(&self) -> Duration {
        let sent = Duration::from_millis(u64::try_from(self.sent_at_ms).unwrap_or(0));
        SystemTime::UNIX_EPOCH
            .checked_add(sent)
            .and_then(|at| SystemTime::now().duration_since(at).ok())
            .unwrap_or_default()
    }

    /// Whether it may still wait for what is away just now.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.age() < OUTAGE_PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_attempts_double_up_to_a_minute() {
        let pauses: Vec<_> = [1, 2, 3, 6, 1_000].map(|n| retry_pause(n).as_secs()).into();
        assert_eq!(pauses, [2, 4, 8, 60, 60]);
    }
}
