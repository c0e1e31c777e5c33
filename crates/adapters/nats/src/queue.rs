//! Work that is handed out one message at a time, to one of all replicas.
//!
//! A message is tried as often as [`QueueConfig::max_attempts`] says. Attempts are counted in a
//! bucket before the payload is touched, so a message that kills the process is counted too; who
//! gives one back unharmed (at shutdown) takes its attempt back.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, Consumer, pull},
        context::ConsumerInfoErrorKind,
        message::Acker,
    },
};
use bytes::Bytes;
use futures::StreamExt;
use speakr_contract::{headers, ids, subjects};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    attempts::Attempts, bus::Bus, error::BusError, forgetting::tell_deleted, request::Request,
    streams,
};

/// How long one request for work waits at the server. Short, so that a program that ends has no
/// request left that takes a message with it.
const PULL_EXPIRES: Duration = Duration::from_secs(1);
/// How long to wait for the end of such a request when the server is gone.
const PULL_PATIENCE: Duration = Duration::from_secs(6);
/// Delay of a message that is handed back: another replica takes it.
const HAND_BACK_DELAY: Duration = Duration::from_millis(50);
/// Most characters of the reason that a dead letter bears.
const LONGEST_REASON: usize = 1_000;
/// The same where the message itself doesn't fit beside it.
const SHORT_REASON: usize = 200;

/// What a queue is.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// Which stream.
    pub stream: &'static str,
    /// The durable consumer's name: replicas that share it share the work.
    pub durable: &'static str,
    /// Which subjects of the stream.
    pub filter: String,
    /// A message is handed out again when nothing is heard of it for so long.
    pub ack_wait: Duration,
    /// How often a message is tried.
    pub max_attempts: u64,
    /// Most messages that may be worked on at a time, by all replicas together.
    pub max_ack_pending: i64,
}

/// What comes out of a queue.
#[derive(Debug)]
pub enum Taken {
    /// Work to do.
    Work(Delivery),
    /// A message that was tried too often: say so and [`Delivery::bury`] it.
    Exhausted(Delivery),
}

/// Hands out the messages of one durable consumer.
#[derive(Clone)]
pub struct Queue {
    bus: Bus,
    config: Arc<QueueConfig>,
    consumer: Consumer<pull::Config>,
    attempts: Attempts,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Makes or checks the durable consumer.
    ///
    /// # Errors
    /// [`BusError::Server`] when stream, consumer or bucket can't be had.
    pub async fn open(bus: &Bus, config: QueueConfig) -> Result<Self, BusError> {
        let consumer = make_consumer(bus, &config).await?;
        let attempts = Attempts::open(bus).await?;
        Ok(Self {
            bus: bus.clone(),
            config: Arc::new(config),
            consumer,
            attempts,
        })
    }

    /// The next message, or `None` when there is none for about a second. Don't drop the future:
    /// a message may be on its way in it.
    ///
    /// # Errors
    /// [`BusError::Server`]: wait a little and ask again.
    pub async fn next(&self) -> Result<Option<Taken>, BusError> {
        let name = || format!("{}/{}", self.config.stream, self.config.durable);
        let pull = async {
            let mut batch = self
                .consumer
                .batch()
                .max_messages(1)
                .expires(PULL_EXPIRES)
                .messages()
                .await
                .map_err(BusError::server("ask for work from", name()))?;
            match batch.next().await {
                None => Ok(None),
                Some(Ok(message)) => Ok(Some(message)),
                Some(Err(error)) => Err(BusError::server("take work from", name())(error)),
            }
        };
        let Ok(pulled) = tokio::time::timeout(PULL_PATIENCE, pull).await else {
            return Err(BusError::server("take work from", name())(
                "no answer from the server",
            ));
        };
        let Some(message) = pulled? else {
            return Ok(None);
        };
        let mut delivery = self.delivery(message)?;
        delivery.attempt = self
            .attempts
            .begin(&delivery.key, delivery.deliveries)
            .await?;
        if delivery.attempt > self.config.max_attempts {
            return Ok(Some(Taken::Exhausted(delivery)));
        }
        Ok(Some(Taken::Work(delivery)))
    }

    /// The durable consumer's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.config.durable
    }

    /// Whether the stream and the durable consumer are there. They can be lost with the disk of their
    /// server, or deleted.
    ///
    /// # Errors
    /// [`BusError::Server`] when the server doesn't say.
    pub async fn is_there(&self) -> Result<bool, BusError> {
        match self.consumer.get_info().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.kind(),
                    ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(BusError::server("read the consumer", self.config.durable)(
                error,
            )),
        }
    }

    /// Makes the durable consumer again where it is gone; its stream has to be there. What is asked of
    /// this queue and its clones goes to it from then on.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn make_again(&self) -> Result<(), BusError> {
        make_consumer(&self.bus, &self.config).await.map(drop)
    }

    /// How many messages wait, and how many are being worked on.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn depth(&self) -> Result<(u64, u64), BusError> {
        let info = self
            .consumer
            .get_info()
            .await
            .map_err(BusError::server("read the consumer", self.config.durable))?;
        Ok((
            info.num_pending,
            u64::try_from(info.num_ack_pending).unwrap_or_default(),
        ))
    }

    /// Takes out of the stream what was answered and lies there all the same, and gives how much that was.
    /// A nats-server that is killed can have stored the answer and not that the message went; alone, it
    /// doesn't look for such when it starts again (2.15: `checkInterestState` runs before the consumers are
    /// there), and they would be handed out to nobody and lie there for ever. What is below the floor of
    /// answers is answered for certain; so nothing goes that waits or is worked on.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn clear_answered(&self) -> Result<u64, BusError> {
        let failed = || format!("{}/{}", self.config.stream, self.config.durable);
        let info = self.consumer.get_info().await;
        let info = info.map_err(BusError::server("read the consumer", failed()))?;
        let stream = streams::stream(&self.bus, self.config.stream).await?;
        let floor = info.ack_floor.stream_sequence;
        // Of a stream that has lost its end the consumer says nothing that holds for what comes next.
        if floor == 0 || floor > stream.cached_info().state.last_sequence {
            return Ok(0);
        }
        let purged = stream
            .purge()
            .filter(self.config.filter.clone())
            .sequence(floor + 1)
            .await
            .map_err(BusError::server("clear what is answered of", failed()))?;
        Ok(purged.purged)
    }

    fn delivery(&self, message: jetstream::Message) -> Result<Delivery, BusError> {
        let info = message
            .info()
            .map_err(BusError::server("read the headers of", self.config.stream))?;
        let (sequence, delivered) = (info.stream_sequence, info.delivered);
        let sent_at_ms =
            i64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let fallback = ids::correlation_of_sequence(self.config.stream, sequence);
        let request = Request::of_headers(message.headers.as_ref(), fallback);
        let (message, acker) = message.split();
        Ok(Delivery {
            bus: self.bus.clone(),
            config: Arc::clone(&self.config),
            attempts: self.attempts.clone(),
            acker: Arc::new(acker),
            key: format!("{}.{}.{sequence}", self.config.stream, self.config.durable),
            subject: message.subject.to_string(),
            headers: message.headers.unwrap_or_default(),
            payload: message.payload,
            request,
            sequence,
            sent_at_ms,
            deliveries: u64::try_from(delivered).unwrap_or(1),
            attempt: 0,
        })
    }
}

async fn make_consumer(
    bus: &Bus,
    config: &QueueConfig,
) -> Result<Consumer<pull::Config>, BusError> {
    streams::ensure_consumer(
        bus,
        config.stream,
        pull::Config {
            durable_name: Some(config.durable.to_owned()),
            filter_subject: config.filter.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: config.ack_wait,
            // Past a limit a message would lie in the queue undelivered; we count ourselves.
            max_deliver: -1,
            max_ack_pending: config.max_ack_pending,
            ..pull::Config::default()
        },
    )
    .await
}

/// One message to work on. It comes again when it is dropped without an answer.
pub struct Delivery {
    bus: Bus,
    config: Arc<QueueConfig>,
    attempts: Attempts,
    acker: Arc<Acker>,
    key: String,
    headers: HeaderMap,
    /// Where it was sent to.
    pub subject: String,
    /// What it says.
    pub payload: Bytes,
    /// The request that it belongs to.
    pub request: Request,
    /// Its place in the stream: the same at each redelivery.
    pub sequence: u64,
    /// When the server stored it, in milliseconds since 1970.
    pub sent_at_ms: i64,
    /// How often it was handed out, this time included.
    pub deliveries: u64,
    /// Which attempt this is, from 1.
    pub attempt: u64,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("subject", &self.subject)
            .field("sequence", &self.sequence)
            .field("attempt", &self.attempt)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Tells the server that work goes on, until it is dropped.
#[derive(Debug)]
pub struct InProgress(JoinHandle<()>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Delivery {
    /// Keeps the message from being handed out again while the answer lives.
    #[must_use]
    pub fn in_progress(&self) -> InProgress {
        let acker = Arc::clone(&self.acker);
        let every = self.config.ack_wait / 3;
        InProgress(tokio::spawn(async move {
            loop {
                if let Err(error) = acker.ack_with(AckKind::Progress).await {
                    tracing::warn!(%error, "can't tell that work goes on");
                }
                tokio::time::sleep(every).await;
            }
        }))
    }

    /// The work is done: the message goes, for certain.
    ///
    /// # Errors
    /// [`BusError::Server`]; it may come again then.
    pub async fn done(self) -> Result<(), BusError> {
        self.settle(AckKind::Ack).await?;
        self.attempts.forget(&self.key).await;
        Ok(())
    }

    /// It tells of the recording `id`, which was deleted before: it goes, and its stream doesn't keep it for others
    /// either, who are told that they have to forget it. One that can't be taken out of the stream (by who may not,
    /// say) stays there, which is told.
    ///
    /// # Errors
    /// [`BusError::Server`]; it may come again then.
    pub async fn erase(self, id: Uuid) -> Result<(), BusError> {
        tell_deleted(&self.bus, &self.request, id).await?;
        let stream = streams::known_stream(&self.bus, self.config.stream).await?;
        if let Err(error) = stream.delete_message(self.sequence).await {
            tracing::warn!(
                stream = self.config.stream, sequence = self.sequence, %error,
                "can't take a message of what was deleted out of its stream; it stays, unless another did"
            );
        }
        self.done().await
    }

    /// It failed for now: it comes again after `delay`, and this attempt counts.
    ///
    /// # Errors
    /// [`BusError::Server`]; it comes again after the queue's own time then.
    pub async fn retry_after(self, delay: Duration) -> Result<(), BusError> {
        self.settle(AckKind::Nak(Some(delay))).await
    }

    /// Nothing is wrong with it, but this program ends: another takes it at once, and this
    /// attempt doesn't count.
    ///
    /// # Errors
    /// [`BusError::Server`]; it comes again after the queue's own time then.
    pub async fn hand_back(self) -> Result<(), BusError> {
        self.postpone(HAND_BACK_DELAY).await
    }

    /// There is no room for it now: it comes again after `delay`, and this attempt doesn't count.
    ///
    /// # Errors
    /// [`BusError::Server`]; it comes again after the queue's own time then.
    pub async fn postpone(self, delay: Duration) -> Result<(), BusError> {
        self.attempts.take_back(&self.key).await?;
        self.settle(AckKind::Nak(Some(delay))).await
    }

    /// Nobody can work on it: it goes to the dead letters with `reason`.
    ///
    /// # Errors
    /// [`BusError::Server`]; it comes again then.
    pub async fn bury(self, reason: &str) -> Result<(), BusError> {
        self.put_aside(reason).await?;
        self.done().await
    }

    /// Puts a copy of it among the dead letters, with `reason`; without what it says, where the two
    /// together are larger than a message may be. It isn't answered by that.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn put_aside(&self, reason: &str) -> Result<(), BusError> {
        let subject = subjects::dead_letter(&self.subject);
        let reason = one_line(reason, LONGEST_REASON);
        let letter = self.letter(self.headers.clone(), &reason);
        match self.bus.store(&subject, letter, self.payload.clone()).await {
            // Else it would come again for ever.
            Err(BusError::TooLarge { .. }) => {
                let short = one_line(&reason, SHORT_REASON);
                let mut letter = self.letter(HeaderMap::new(), &short);
                let bytes = self.payload.len().to_string();
                letter.insert(headers::DEAD_BYTES, bytes.as_str());
                self.bus.store(&subject, letter, Bytes::new()).await?;
            }
            stored => {
                stored?;
            }
        }
        tracing::warn!(
            subject = %self.subject, correlation_id = %self.request.correlation_id,
            attempts = self.attempt, reason = %reason, "put aside as a dead letter"
        );
        Ok(())
    }

    /// The headers of its dead letter: `headers`, and what became of it.
    fn letter(&self, mut headers: HeaderMap, reason: &str) -> HeaderMap {
        let correlation_id = self.request.correlation_id.to_string();
        headers.insert(headers::CORRELATION_ID, correlation_id.as_str());
        headers.insert(headers::DEAD_REASON, reason);
        headers.insert(headers::DEAD_SUBJECT, self.subject.as_str());
        headers.insert(headers::DEAD_ATTEMPTS, self.attempt.to_string().as_str());
        // A stream that is made again counts from 1 again.
        let once = format!("dead:{}:{correlation_id}", self.key);
        headers.insert(headers::MESSAGE_ID, once.as_str());
        headers
    }

    async fn settle(&self, kind: AckKind) -> Result<(), BusError> {
        self.acker
            .double_ack_with(kind)
            .await
            .map_err(BusError::server("answer for", self.subject.clone()))
    }
}

/// At most so many characters of `text`, as a header can bear them.
fn one_line(text: &str, characters: usize) -> String {
    text.chars()
        .take(characters)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
