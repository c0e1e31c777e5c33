//! Reaches the replica that holds a recording.

use std::time::Duration;

use async_nats::{Subject, Subscriber, client::RequestErrorKind};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use speakr_contract::{control::Control, subjects};
use speakr_core::{
    RecordingId,
    ports::platform::{self, BusFailure, Nudge},
};
use uuid::Uuid;

use crate::{bus::Bus, error::BusError};

/// How long the holder of a recording may take to say that it heard.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells the holder of `recording_id`. `false` when nobody holds it.
///
/// # Errors
/// [`BusError`] when nothing can be sent.
pub async fn relay(bus: &Bus, recording_id: Uuid, control: &Control) -> Result<bool, BusError> {
    let subject = subjects::control(recording_id);
    let payload = serde_json::to_vec(control).map_err(|cause| BusError::Encode {
        subject: subjects::CONTROL,
        cause,
    })?;
    let request = async_nats::Request::new()
        .payload(payload.into())
        .timeout(Some(PATIENCE));
    match bus.client().send_request(subject.clone(), request).await {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                RequestErrorKind::NoResponders | RequestErrorKind::TimedOut
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(BusError::server("reach", subject)(error)),
    }
}

/// Hears what is relayed to the holder of one recording.
#[derive(Debug)]
pub struct Controls {
    bus: Bus,
    subscriber: Subscriber,
    /// What was heard and isn't answered or given out yet.
    heard: Option<(Control, Option<Subject>)>,
}

impl Controls {
    /// Listens for `recording_id`, which this replica holds from now on.
    ///
    /// # Errors
    /// [`BusError`] when it can't.
    pub async fn listen(bus: &Bus, recording_id: Uuid) -> Result<Self, BusError> {
        let subject = subjects::control(recording_id);
        let subscriber = bus
            .client()
            .subscribe(subject.clone())
            .await
            .map_err(BusError::server("listen on", subject.clone()))?;
        // Who is told "nobody holds it" after this must be right.
        bus.client()
            .flush()
            .await
            .map_err(BusError::server("listen on", subject))?;
        Ok(Self {
            bus: bus.clone(),
            subscriber,
            heard: None,
        })
    }

    /// The next control; `None` when the connection was closed for good. Its sender learns that it
    /// was heard. Cancel-safe.
    pub async fn next(&mut self) -> Option<Control> {
        while self.heard.is_none() {
            let message = self.subscriber.next().await?;
            match serde_json::from_slice(&message.payload) {
                Ok(control) => self.heard = Some((control, message.reply)),
                Err(error) => tracing::warn!(%error, "a control that isn't one"),
            }
        }
        // It stays until it is answered: who asks anew after giving up on this finds it here.
        if let Some((_, Some(reply))) = &self.heard
            && let Err(error) = self.bus.client().publish(reply.clone(), Bytes::new()).await
        {
            tracing::warn!(%error, "can't answer a control");
        }
        self.heard.take().map(|(control, _)| control)
    }
}

/// Which replica holds which recording.
#[derive(Debug, Clone)]
pub struct Holders(Bus);

impl Holders {
    /// The holders that `bus` reaches.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self(bus.clone())
    }
}

#[async_trait]
impl platform::Holders for Holders {
    async fn hold(&self, id: RecordingId) -> Result<Box<dyn platform::Nudges>, BusFailure> {
        Ok(Box::new(Controls::listen(&self.0, *id.as_uuid()).await?))
    }

    async fn nudge(&self, id: RecordingId, nudge: Nudge) -> Result<bool, BusFailure> {
        let control = match nudge {
            Nudge::Stop(stop) => Control::Stop {
                transcribe: stop.transcribe,
                metadata: stop.metadata,
            },
            Nudge::Cancel => Control::Cancel,
        };
        Ok(relay(&self.0, *id.as_uuid(), &control).await?)
    }
}

#[async_trait]
impl platform::Nudges for Controls {
    async fn next(&mut self) {
        if Self::next(self).await.is_none() {
            // Closed for good: nothing will come.
            std::future::pending().await
        }
    }
}
