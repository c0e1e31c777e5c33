//! Takes what is of a deleted recording out of the streams.

use async_nats::jetstream::{
    message::StreamMessage,
    stream::{RawMessageErrorKind, Stream},
};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use speakr_contract::{Message, events::RecordingDeleted, headers};
use speakr_core::{
    RecordingId,
    ports::copies::{Copies, CopiesError},
};
use uuid::Uuid;

use crate::{audio, bus::Bus, error::BusError, intents::Intents, request::Request, streams};

/// Streams whose messages bear text or sound of a recording, beside that of sound itself, from
/// which a whole recording is purged at once.
const WITH_TEXT: [&str; 3] = [streams::COMMANDS, streams::EVENTS, streams::DEAD_LETTER];

/// Messages that are looked at at the same time.
const AT_ONCE: usize = 32;

/// The messages of recordings in the streams.
#[derive(Debug, Clone)]
pub struct StreamCopies {
    bus: Bus,
    /// For each of [`WITH_TEXT`], the last sequence that isn't looked at.
    after: [u64; WITH_TEXT.len()],
}

impl StreamCopies {
    /// All that lie behind `bus`.
    #[must_use]
    pub const fn new(bus: Bus) -> Self {
        Self {
            bus,
            after: [0; WITH_TEXT.len()],
        }
    }

    /// Those that come from now on: enough for a recording that is about to begin.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn from_now_on(bus: Bus) -> Result<Self, BusError> {
        let mut copies = Self::new(bus);
        for (name, after) in WITH_TEXT.into_iter().zip(&mut copies.after) {
            let stream = streams::stream(&copies.bus, name).await?;
            *after = stream.cached_info().state.last_sequence;
        }
        Ok(copies)
    }

    /// Subjects say nothing of recordings, so every message is looked at, up to `until` where that is
    /// given; each stream is bounded.
    async fn forget_in(
        &self,
        name: &'static str,
        after: u64,
        until: Option<u64>,
        id: RecordingId,
    ) -> Result<u64, BusError> {
        let stream = streams::stream(&self.bus, name).await?;
        let state = stream.cached_info().state.clone();
        if state.messages == 0 {
            return Ok(0);
        }
        let stream = &stream;
        let first = state.first_sequence.max(after.saturating_add(1));
        let last = until.unwrap_or(state.last_sequence);
        stream::iter(first..=last)
            .map(|sequence| async move { forget_one(stream, name, sequence, id).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(
                0,
                |sum, forgotten| async move { Ok(sum + u64::from(forgotten)) },
            )
            .await
    }
}

async fn forget_one(
    stream: &Stream,
    name: &'static str,
    sequence: u64,
    id: RecordingId,
) -> Result<bool, BusError> {
    let message = match stream.get_raw_message(sequence).await {
        Ok(message) => message,
        // Gone already: deleted, or worked on.
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(false),
        Err(error) => return Err(BusError::server("read a message of", name)(error)),
    };
    // That it is deleted may be known: it is of no use to whoever looks for what was said.
    if message.subject.as_str() == RecordingDeleted::SUBJECT || !is_of(&message, id) {
        return Ok(false);
    }
    match stream.delete_message(sequence).await {
        Ok(_) => Ok(true),
        // Another took it away between the two steps.
        Err(error) => match stream.get_raw_message(sequence).await {
            Err(gone) if gone.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            _ => Err(BusError::server("remove a message of", name)(error)),
        },
    }
}

/// Tells that the recording `id` is deleted, and gives where that lies in the stream of events: what lies before it
/// may be taken out then.
///
/// The telling comes first because the last message of that stream must not be taken out of it. A message that is
/// deleted is overwritten without its time, and a server that is killed reads the time of its newest message from
/// the last record, deleted or not: it then takes all messages for older than the window for repeats, and stores
/// what comes again a second time (nats-server 2.15.1 to 2.15.3, `eraseMsg` and `rebuildStateFromBufLocked` in
/// `server/filestore.go`; `scripts/nats/forgotten_ids.py` shows it).
///
/// # Errors
/// [`BusError`] when it can't be stored.
pub(crate) async fn tell_deleted(
    bus: &Bus,
    request: &Request,
    recording_id: Uuid,
) -> Result<u64, BusError> {
    let event_id = Uuid::new_v4();
    let event = RecordingDeleted {
        event_id,
        recording_id,
    };
    bus.publish_at(&event, request, &event_id.to_string()).await
}

/// Whether the message is of the recording `id`: by what it says, or, where it names none, by the
/// request that the recording came from.
fn is_of(message: &StreamMessage, id: RecordingId) -> bool {
    #[derive(Deserialize)]
    struct Named {
        recording_id: Option<Uuid>,
    }
    if let Ok(Named {
        recording_id: Some(named),
    }) = serde_json::from_slice(&message.payload)
    {
        return named == *id.as_uuid();
    }
    message
        .headers
        .get(headers::CORRELATION_ID)
        .and_then(|value| Uuid::parse_str(value.as_str()).ok())
        .is_some_and(|correlation| RecordingId::from_correlation(correlation.into()) == id)
}

#[async_trait]
impl Copies for StreamCopies {
    async fn forget(&self, id: RecordingId) -> Result<u64, CopiesError> {
        let failed = |place: &str, cause: BusError| CopiesError {
            recording_id: id,
            place: place.to_owned(),
            cause: cause.into(),
        };
        let request = Request::new(Uuid::new_v4());
        let told = tell_deleted(&self.bus, &request, *id.as_uuid())
            .await
            .map_err(|cause| failed(streams::EVENTS, cause))?;
        let mut forgotten = 0;
        for (name, after) in WITH_TEXT.into_iter().zip(self.after) {
            let until = (name == streams::EVENTS).then_some(told);
            forgotten += self
                .forget_in(name, after, until, id)
                .await
                .map_err(|cause| failed(name, cause))?;
        }
        let of_stop = Intents::open(&self.bus).await;
        let of_stop = match of_stop {
            Ok(intents) => intents.forget(*id.as_uuid()).await,
            Err(error) => Err(error),
        };
        forgotten += u64::from(of_stop.map_err(|cause| failed(streams::RECORDINGS, cause))?);
        audio::purge(&self.bus, *id.as_uuid())
            .await
            .map_err(|cause| failed(streams::AUDIO, cause))?;
        Ok(forgotten)
    }
}
