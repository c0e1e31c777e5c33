//! One connection to the bus, and what is sent over it.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap,
    connection::State,
    jetstream::{
        self, Context,
        context::{PublishError, PublishErrorKind},
    },
};
use bytes::Bytes;
use speakr_contract::{Message, encode, headers};

use crate::{config::BusConfig, error::BusError, request::Request};

/// How long the server may take to store a message.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last messages may take to go out.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// What the server keeps for itself of a message's greatest size: our headers.
const HEADER_ALLOWANCE: usize = 8 * 1024;

/// One connection to the bus. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    client: Client,
    context: Context,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("state", &self.client.connection_state())
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// Connects. From then on a lost connection is made again for ever.
    ///
    /// # Errors
    /// [`BusError::Config`] and, unless told to start without a server, [`BusError::Connect`].
    pub async fn connect(config: &BusConfig) -> Result<Self, BusError> {
        let client = config
            .options()
            .await?
            .connect(config.addresses()?)
            .await
            .map_err(|error| BusError::Connect {
                servers: config.servers_shown(),
                cause: error.into(),
            })?;
        let context = jetstream::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .build(client.clone());
        Ok(Self { client, context })
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How often a connection was made. Where it grew, events may have gone unheard.
    #[must_use]
    pub fn connections(&self) -> u64 {
        let statistics = self.client.statistics();
        statistics
            .connects
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether messages can be stored: connected, and JetStream answers.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), BusError> {
        self.context
            .query_account()
            .await
            .map(drop)
            .map_err(BusError::server("reach", "JetStream"))
    }

    /// The largest payload that the server takes.
    #[must_use]
    pub fn max_payload_bytes(&self) -> usize {
        self.client.max_payload().saturating_sub(HEADER_ALLOWANCE)
    }

    /// The client, for what isn't wrapped here.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream, for what isn't wrapped here.
    #[must_use]
    pub const fn jetstream(&self) -> &Context {
        &self.context
    }

    /// Sends a message and waits until it is stored. `message_id` is the same when the same is
    /// sent again: the server then keeps one.
    ///
    /// # Errors
    /// [`BusError::Full`], [`BusError::TooLarge`], or why it wasn't stored.
    pub async fn publish<M: Message>(
        &self,
        message: &M,
        request: &Request,
        message_id: &str,
    ) -> Result<(), BusError> {
        let stored = self.publish_at(message, request, message_id);
        stored.await.map(drop)
    }

    /// The same, and gives its sequence in its stream.
    pub(crate) async fn publish_at<M: Message>(
        &self,
        message: &M,
        request: &Request,
        message_id: &str,
    ) -> Result<u64, BusError> {
        let payload = payload(message)?;
        let mut headers = request.headers();
        headers.insert(headers::MESSAGE_ID, message_id);
        self.store(M::SUBJECT, headers, payload).await
    }

    /// Sends a message that nobody needs to keep, to who listens now.
    ///
    /// # Errors
    /// [`BusError`] when it can't be sent.
    pub async fn publish_volatile<M: Message>(
        &self,
        message: &M,
        request: &Request,
    ) -> Result<(), BusError> {
        self.client
            .publish_with_headers(M::SUBJECT, request.headers(), payload(message)?)
            .await
            .map_err(BusError::server("publish to", M::SUBJECT))
    }

    /// Stores a message and gives its sequence.
    pub(crate) async fn store(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, BusError> {
        let bytes = payload.len();
        let failed = |error: PublishError| not_stored(subject, bytes, error);
        let ack = self
            .context
            .publish_with_headers(subject.to_owned(), headers, payload)
            .await
            .map_err(failed)?
            .await
            .map_err(failed)?;
        Ok(ack.sequence)
    }

    /// Sends everything that waits in this program, and ends.
    ///
    /// # Errors
    /// [`BusError`] when there is no connection to send it over.
    pub async fn close(&self) -> Result<(), BusError> {
        // Without a server a flush waits for one, for ever.
        tokio::time::timeout(CLOSE_PATIENCE, self.client.flush())
            .await
            .map_err(BusError::server("flush", "the connection"))?
            .map_err(BusError::server("flush", "the connection"))?;
        self.client
            .drain()
            .await
            .map_err(BusError::server("drain", "the connection"))
    }
}

fn payload<M: Message>(message: &M) -> Result<Bytes, BusError> {
    encode(message)
        .map(Bytes::from)
        .map_err(|cause| BusError::Encode {
            subject: M::SUBJECT,
            cause,
        })
}

/// What kept a message from being stored.
pub(crate) fn not_stored(subject: &str, bytes: usize, error: PublishError) -> BusError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge {
            subject: subject.to_owned(),
            bytes,
        },
        // The server has codes for a full account and none for a full stream: it says so in words.
        _ if format!("{error:?}").contains("maximum bytes exceeded")
            || format!("{error:?}").contains("maximum messages exceeded") =>
        {
            BusError::Full {
                subject: subject.to_owned(),
            }
        }
        _ => BusError::Server {
            action: "store a message for",
            what: subject.to_owned(),
            cause: error.into(),
        },
    }
}
