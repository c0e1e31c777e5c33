//! What was put aside: shows it, and sends it again.

use async_nats::jetstream::{self, stream::RawMessageErrorKind};
use speakr_contract::headers;

use crate::{
    bus::Bus,
    error::BusError,
    streams::{self, DEAD_LETTER},
};

/// One message that nobody could work on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeadLetter {
    /// Its number among the dead letters.
    pub sequence: u64,
    /// Where it was sent to.
    pub subject: String,
    /// Why nobody could work on it.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u64,
    /// The request that it belongs to.
    pub correlation_id: Option<uuid::Uuid>,
    /// When it was put aside, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its size, also where the letter is without it.
    pub bytes: usize,
}

/// The dead letters, oldest first, at most `limit`.
///
/// # Errors
/// [`BusError::Server`].
pub async fn list(bus: &Bus, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
    let stream = streams::stream(bus, DEAD_LETTER).await?;
    let state = &stream.cached_info().state;
    let mut letters = Vec::new();
    // A stream that never had a message begins with 0, which no message has.
    let mut sequence = state.first_sequence.max(1);
    while sequence <= state.last_sequence && letters.len() < limit {
        match get(&stream, sequence).await? {
            Some(message) => letters.push(describe(&message)),
            // Sent again or deleted meanwhile.
            None => tracing::trace!(sequence, "no dead letter of that number any more"),
        }
        sequence += 1;
    }
    Ok(letters)
}

/// Sends a dead letter again to where it came from, with a new count of attempts, and removes it.
/// `false` when there is none of that number.
///
/// # Errors
/// [`BusError`], of which [`BusError::Emptied`] for a letter without its message; it is still there then.
pub async fn replay(bus: &Bus, sequence: u64) -> Result<bool, BusError> {
    let stream = streams::stream(bus, DEAD_LETTER).await?;
    let Some(message) = get(&stream, sequence).await? else {
        return Ok(false);
    };
    let letter = describe(&message);
    if message.headers.get(headers::DEAD_BYTES).is_some() {
        return Err(BusError::Emptied {
            sequence,
            bytes: letter.bytes,
        });
    }
    let mut sent = async_nats::HeaderMap::new();
    for (name, values) in message.headers.iter() {
        let name: &str = name.as_ref();
        if name.starts_with("Speakr-Dead-") || name.starts_with("Nats-") {
            continue;
        }
        for value in values {
            sent.append(name, value.as_str());
        }
    }
    // A replay that breaks off between the two steps and is done again sends one message.
    sent.insert(headers::MESSAGE_ID, format!("replay:{sequence}").as_str());
    bus.store(&letter.subject, sent, message.payload.clone())
        .await?;
    remove(&stream, sequence).await?;
    Ok(true)
}

/// Removes a dead letter for good. `false` when there is none of that number.
///
/// # Errors
/// [`BusError::Server`].
pub async fn discard(bus: &Bus, sequence: u64) -> Result<bool, BusError> {
    let stream = streams::stream(bus, DEAD_LETTER).await?;
    if get(&stream, sequence).await?.is_none() {
        return Ok(false);
    }
    remove(&stream, sequence).await?;
    Ok(true)
}

async fn remove(stream: &jetstream::stream::Stream, sequence: u64) -> Result<(), BusError> {
    stream
        .delete_message(sequence)
        .await
        .map(drop)
        .map_err(BusError::server("remove a message of", DEAD_LETTER))
}

async fn get(
    stream: &jetstream::stream::Stream,
    sequence: u64,
) -> Result<Option<jetstream::message::StreamMessage>, BusError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if matches!(error.kind(), RawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(BusError::server("read a message of", DEAD_LETTER)(error)),
    }
}

fn describe(message: &jetstream::message::StreamMessage) -> DeadLetter {
    let get = |name: &str| message.headers.get(name).map(|v| v.as_str().to_owned());
    DeadLetter {
        sequence: message.sequence,
        subject: get(headers::DEAD_SUBJECT).unwrap_or_else(|| message.subject.to_string()),
        reason: get(headers::DEAD_REASON).unwrap_or_default(),
        attempts: get(headers::DEAD_ATTEMPTS)
            .and_then(|n| n.parse().ok())
            .unwrap_or_default(),
        correlation_id: get(headers::CORRELATION_ID).and_then(|id| id.parse().ok()),
        at_ms: i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
        bytes: get(headers::DEAD_BYTES)
            .and_then(|n| n.parse().ok())
            .unwrap_or(message.payload.len()),
    }
}
