//! One recording as its client sees it: what it asks for, and what it hears of it.

use async_nats::Subscriber;
use futures::StreamExt;
use speakr_contract::{
    Message, decode,
    events::{
        RecordingCancelled, TranscriptionFailed, TranscriptionPartial, TranscriptionSucceeded,
    },
};
use speakr_core::RecordingId;
use uuid::Uuid;

use crate::{audio::AudioSender, bus::Bus, error::BusError, request::Request};

/// What a client hears of its recording.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// What the last words seem to be so far.
    Partial(TranscriptionPartial),
    /// The text is made and kept.
    Succeeded(Box<TranscriptionSucceeded>),
    /// There will be no text.
    Failed {
        /// Why, in a sentence for people.
        reason: String,
        /// Which kind of failure it is, where programs know it: one of the contract's words.
        code: Option<String>,
    },
    /// It was thrown away.
    Cancelled,
    /// The connection ends for good.
    Closed,
}

/// The client of one recording. Events that come while the connection is lost aren't heard: a
/// command that is sent again has its answer again.
#[derive(Debug)]
pub struct Caller {
    bus: Bus,
    id: RecordingId,
    request: Request,
    events: Subscriber,
}

impl Caller {
    /// Listens for what becomes of the recording `id` and asks over `bus` as `request`.
    ///
    /// # Errors
    /// [`BusError::Server`].
    pub async fn open(bus: &Bus, id: RecordingId, request: Request) -> Result<Self, BusError> {
        // Heard before anything is asked: no answer can come too early.
        let events = bus
            .client()
            .subscribe("speakr.event.>")
            .await
            .map_err(BusError::server("listen on", "speakr.event.>"))?;
        Ok(Self {
            bus: bus.clone(),
            id,
            request,
            events,
        })
    }

    /// Sends a command. Commands of the recording that are sent under the same `name` are taken
    /// for one, for some minutes.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn ask<M: Message>(&self, command: &M, name: &str) -> Result<(), BusError> {
        let message_id = format!("{name}-{}", self.request.correlation_id);
        self.bus.publish(command, &self.request, &message_id).await
    }

    /// Sends a command that may have been sent before, to have its answer again.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn ask_again<M: Message>(&self, command: &M) -> Result<(), BusError> {
        self.ask(command, &format!("again-{}", Uuid::new_v4()))
            .await
    }

    /// What sends its sound.
    #[must_use]
    pub fn sound(&self) -> AudioSender {
        AudioSender::new(&self.bus, *self.id.as_uuid(), self.request.clone())
    }

    /// What is heard of it next. Cancel-safe.
    pub async fn told(&mut self) -> Told {
        loop {
            let Some(message) = self.events.next().await else {
                return Told::Closed;
            };
            if let Some(told) = told(&message.subject, &message.payload, *self.id.as_uuid()) {
                return told;
            }
        }
    }
}

/// What the message tells of `id`; nothing where it is of another recording, or of a kind that
/// this version doesn't know.
fn told(subject: &str, payload: &[u8], id: Uuid) -> Option<Told> {
    match subject {
        TranscriptionPartial::SUBJECT => decode::<TranscriptionPartial>(payload)
            .ok()
            .filter(|event| event.recording_id == id)
            .map(Told::Partial),
        TranscriptionSucceeded::SUBJECT => decode::<TranscriptionSucceeded>(payload)
            .ok()
            .filter(|event| event.recording_id == id)
            .map(|event| Told::Succeeded(Box::new(event))),
        TranscriptionFailed::SUBJECT => decode::<TranscriptionFailed>(payload)
            .ok()
            .filter(|event| event.recording_id == id)
            .map(|event| Told::Failed {
                reason: event.error,
                code: event.code,
            }),
        RecordingCancelled::SUBJECT => decode::<RecordingCancelled>(payload)
            .ok()
            .filter(|event| event.recording_id == id)
            .map(|_| Told::Cancelled),
        _ => None,
    }
}
