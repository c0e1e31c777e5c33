//! How often messages were tried: a count a message, in a bucket that all replicas share.

use async_nats::jetstream::kv;
use bytes::Bytes;

use crate::{
    bus::Bus,
    error::{BusError, Cause},
    streams::ATTEMPTS,
};

/// How often two that count the same message at once try again.
const COUNT_TRIES: usize = 5;

/// The counts of all messages.
#[derive(Debug, Clone)]
pub(crate) struct Attempts(kv::Store);

impl Attempts {
    /// Those that lie on `bus`.
    ///
    /// # Errors
    /// [`BusError::Server`] when the bucket can't be had.
    pub(crate) async fn open(bus: &Bus) -> Result<Self, BusError> {
        bus.jetstream()
            .get_key_value(ATTEMPTS)
            .await
            .map(Self)
            .map_err(BusError::server("open the bucket", ATTEMPTS))
    }

    /// Counts an attempt at the message `key`, which is handed out for the `deliveries`th time, and gives the
    /// attempt's number.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub(crate) async fn begin(&self, key: &str, deliveries: u64) -> Result<u64, BusError> {
        // Of a message that is handed out for the first time there is no count to be read first.
        let first = Bytes::from_static(b"1");
        if deliveries == 1 && self.0.create(key, first).await.is_ok() {
            return Ok(1);
        }
        self.count(key, 1).await
    }

    /// The attempt that was begun last doesn't count.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub(crate) async fn take_back(&self, key: &str) -> Result<(), BusError> {
        self.count(key, -1).await.map(drop)
    }

    /// The message is gone, and its count with it. A count that stays does no harm: it ends by
    /// itself, and no other message has its key.
    pub(crate) async fn forget(&self, key: &str) {
        if let Err(error) = self.0.purge(key).await {
            tracing::debug!(%error, key, "a count of attempts stays until it expires");
        }
    }

    /// Adds `change` to the attempts and gives their number.
    async fn count(&self, key: &str, change: i64) -> Result<u64, BusError> {
        let failed = || format!("{ATTEMPTS}/{key}");
        for _ in 0..COUNT_TRIES {
            let entry = self
                .0
                .entry(key)
                .await
                .map_err(BusError::server("read", failed()))?;
            let live = entry.filter(|e| e.operation == kv::Operation::Put);
            let was = live
                .as_ref()
                .and_then(|e| std::str::from_utf8(&e.value).ok())
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or(0);
            let now = was.saturating_add_signed(change);
            let value = Bytes::from(now.to_string());
            let written = match live {
                Some(entry) => self
                    .0
                    .update(key, value, entry.revision)
                    .await
                    .map(drop)
                    .map_err(|e| (e.kind() == kv::UpdateErrorKind::WrongLastRevision, e.into())),
                None => self
                    .0
                    .create(key, value)
                    .await
                    .map(drop)
                    .map_err(|e| (e.kind() == kv::CreateErrorKind::AlreadyExists, e.into())),
            };
            match written {
                Ok(()) => return Ok(now),
                Err((true, _)) => {}
                Err((false, cause)) => {
                    let cause: Cause = cause;
                    return Err(BusError::server("count in", failed())(cause));
                }
            }
        }
        Err(BusError::server("count in", failed())(
            "others count at the same time",
        ))
    }
}
