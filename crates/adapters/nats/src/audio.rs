//! Sound while it is spoken: sent in numbered messages, durable at once, heard in order.

mod listener;
mod sender;

use async_nats::jetstream::{message::StreamMessage, stream::LastRawMessageErrorKind};
use speakr_contract::subjects;
pub use speakr_core::ports::platform::{Heard, Rest};
use uuid::Uuid;

use crate::{
    bus::Bus,
    error::BusError,
    streams::{self, AUDIO},
};

pub use self::{listener::AudioListener, sender::AudioSender};

/// Removes the sound of `recording_id`, once it is kept elsewhere or thrown away.
///
/// # Errors
/// [`BusError::Server`].
pub async fn purge(bus: &Bus, recording_id: Uuid) -> Result<(), BusError> {
    streams::known_stream(bus, AUDIO)
        .await?
        .purge()
        .filter(subjects::audio(recording_id))
        .await
        .map(drop)
        .map_err(BusError::server("remove the sound on", AUDIO))
}

/// Whether any sound of `recording_id` lies in the stream.
///
/// # Errors
/// [`BusError::Server`].
pub async fn exists(bus: &Bus, recording_id: Uuid) -> Result<bool, BusError> {
    Ok(last_sequence(bus, recording_id).await? > 0)
}

/// When the last sound of `recording_id` came, in milliseconds since 1970; `None` when there is none.
pub(crate) async fn last_at_ms(bus: &Bus, recording_id: Uuid) -> Result<Option<i64>, BusError> {
    let last = last_message(bus, recording_id).await?;
    Ok(last.map(|m| i64::try_from(m.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)))
}

/// The place of the recording's last message in the stream; 0 when there is none.
async fn last_sequence(bus: &Bus, recording_id: Uuid) -> Result<u64, BusError> {
    let last = last_message(bus, recording_id).await?;
    Ok(last.map_or(0, |message| message.sequence))
}

async fn last_message(bus: &Bus, recording_id: Uuid) -> Result<Option<StreamMessage>, BusError> {
    let stream = streams::known_stream(bus, AUDIO).await?;
    match stream
        .get_last_raw_message_by_subject(&subjects::audio(recording_id))
        .await
    {
        Ok(message) => Ok(Some(message)),
        Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(BusError::server("look for sound in", AUDIO)(error)),
    }
}
