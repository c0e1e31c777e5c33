//! What load measurements have in common: a client of the bus, and percentiles.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use serde_json::Value;
use speakr_contract::Message;
use speakr_nats::{Bus, BusConfig, Identity, Renewed, Request};
use speakr_testkit::platform::Platform;
use tokio::sync::Notify;
use uuid::Uuid;

/// Any failure of the measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// When each kind of event of each recording was heard first.
type Heard = HashMap<(Uuid, String), Instant>;

/// A client that notes when it hears what.
pub struct Client {
    bus: Bus,
    heard: Arc<Mutex<Heard>>,
    news: Arc<Notify>,
}

impl Client {
    /// Connects to the bus of `platform` as the CLI does.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn connect(platform: &Platform) -> Result<Self, Failure> {
        let config = BusConfig {
            identity: Identity::Password {
                user: "cli".to_owned(),
                password: Renewed::fixed(platform.password("cli")),
            },
            inbox_prefix: Some("_INBOX_cli".to_owned()),
            ..BusConfig::new(&platform.nats.url(), "bench")
        };
        let bus = Bus::connect(&config).await?;
        let mut events = bus.client().subscribe("speakr.event.>").await?;
        bus.client().flush().await?;
        let (heard, news) = (Arc::<Mutex<Heard>>::default(), Arc::<Notify>::default());
        let (noting, telling) = (Arc::clone(&heard), Arc::clone(&news));
        tokio::spawn(async move {
            while let Some(message) = events.next().await {
                let now = Instant::now();
                let event: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let id = event["recording_id"]
                    .as_str()
                    .and_then(|id| id.parse().ok());
                if let Some(id) = id {
                    let kind = message
                        .subject
                        .trim_start_matches("speakr.event.")
                        .to_owned();
                    let mut heard = noting.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.entry((id, kind)).or_insert(now);
                }
                telling.notify_waiters();
            }
        });
        Ok(Self { bus, heard, news })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When it isn't stored.
    pub async fn send<M: Message>(&self, command: &M, request: &Request) -> Result<(), Failure> {
        let message_id = Uuid::new_v4().to_string();
        Ok(self.bus.publish(command, request, &message_id).await?)
    }

    /// When the event `kind` of `id` was heard; waits for it.
    ///
    /// # Errors
    /// When it doesn't come within `patience`.
    pub async fn hear(&self, id: Uuid, kind: &str, patience: Duration) -> Result<Instant, Failure> {
        let key = (id, kind.to_owned());
        let wait = async {
            loop {
                let news = self.news.notified();
                if let Some(at) = self.times().get(&key) {
                    return *at;
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, wait)
            .await
            .map_err(|_| format!("no {kind} of {id} came within {patience:?}").into())
    }

    /// When each event of `kind` was heard, in order.
    #[must_use]
    pub fn all(&self, kind: &str) -> Vec<Instant> {
        let mut times: Vec<Instant> = self
            .times()
            .iter()
            .filter(|((_, of), _)| of == kind)
            .map(|(_, at)| *at)
            .collect();
        times.sort_unstable();
        times
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that a share of `times` (0 to 1) don't exceed; zero where there are none.
#[must_use]
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    // The nearest rank.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small number"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Milliseconds, with fractions.
#[must_use]
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(10));
        assert_eq!(percentile(&times, 0.95), Duration::from_millis(19));
        assert_eq!(percentile(&times, 1.0), Duration::from_millis(20));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
