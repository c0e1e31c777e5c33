//! The rate limit: a bucket of tokens for each caller, that fills again with time.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use uuid::Uuid;

/// Most callers that are remembered; full buckets are forgotten first.
const MAX_CALLERS: usize = 10_000;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Somebody with a token.
    Token(Uuid),
    /// Somebody whose token is wrong, or wasn't seen before.
    Stranger(IpAddr),
}

/// How many requests a caller may send.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<Caller, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimit {
    /// At most `per_second` in the long run, and `burst` at once.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            buckets: Mutex::default(),
        }
    }

    /// A test that takes long gets none back.
    #[cfg(test)]
    pub(crate) fn without_refill(burst: u32) -> Self {
        Self {
            per_second: 0.0,
            ..Self::new(1, burst)
        }
    }

    /// Counts one request of `caller`.
    ///
    /// # Errors
    /// In how many seconds to ask again, when it is one too many.
    pub(crate) fn take(&self, caller: Caller, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_CALLERS && !buckets.contains_key(&caller) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            if buckets.len() >= MAX_CALLERS {
                return Err(1);
            }
        }
        let bucket = buckets.entry(caller).or_insert(Bucket {
            left: self.burst,
            at: now,
        });
        let left = self.filled(*bucket, now);
        *bucket = Bucket { left, at: now };
        if left < 1.0 {
            return Err(((1.0 - left) / self.per_second).ceil().max(1.0) as u64);
        }
        bucket.left = left - 1.0;
        Ok(())
    }

    /// Takes back the count of one request of `caller`: it was another's.
    pub(crate) fn give_back(&self, caller: Caller) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&caller) {
            bucket.left = (bucket.left + 1.0).min(self.burst);
        }
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate_holds_for_each_caller_alone() {
        let limit = RateLimit::new(2, 3);
        let now = Instant::now();
        let one = Caller::Token(Uuid::from_u128(1));
        for _ in 0..3 {
            assert_eq!(limit.take(one, now), Ok(()));
        }
        assert_eq!(limit.take(one, now), Err(1));
        assert_eq!(limit.take(Caller::Token(Uuid::from_u128(2)), now), Ok(()));
        let later = now + Duration::from_millis(500);
        assert_eq!(limit.take(one, later), Ok(()));
        assert!(limit.take(one, later).is_err());
    }

    #[test]
    fn callers_that_came_once_are_forgotten_before_new_ones_are_refused() {
        let limit = RateLimit::new(10, 10);
        let now = Instant::now();
        for n in 0..MAX_CALLERS as u128 {
            limit.take(Caller::Token(Uuid::from_u128(n)), now).unwrap();
        }
        let new = Caller::Stranger(IpAddr::from([127, 0, 0, 1]));
        assert!(limit.take(new, now).is_err());
        assert_eq!(limit.take(new, now + Duration::from_secs(2)), Ok(()));
    }
}
