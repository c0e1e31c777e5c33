//! Sends sound as it is spoken, again where a connection took it.

use std::{collections::VecDeque, time::Duration};

use async_nats::jetstream::{
    context::{PublishAckFuture, PublishError},
    publish::PublishAck,
};
use futures::{FutureExt, future::BoxFuture};
use speakr_contract::{
    audio::{CHUNK_SAMPLES, Chunk},
    headers, subjects,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    bus::{self, Bus},
    error::BusError,
    request::Request,
};

/// Messages that may be on their way without the server's answer: 12.8 s of sound.
const WINDOW: usize = 128;
/// Who has had no sound to send for so long says that they are still there, with a message that has
/// none: after a minute of silence a transcriber finishes the recording.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked, while an answer is waited for, whether the connection is a new one.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often in a row the server's answer may be lost before the sender gives up.
const LOST_ANSWERS: u32 = 5;

/// A message without the server's answer.
struct InFlight {
    chunk: Chunk,
    stored: BoxFuture<'static, Result<PublishAck, PublishError>>,
}

/// Sends the sound of one recording.
pub struct AudioSender {
    bus: Bus,
    recording_id: Uuid,
    request: Request,
    next: u64,
    samples: u64,
    rest: Vec<i16>,
    /// Messages that wait to be sent.
    unsent: VecDeque<Chunk>,
    in_flight: VecDeque<InFlight>,
    /// Connections made when it was last looked whether there is a new one.
    connections: u64,
    /// When the last message was made.
    made_at: Instant,
    /// How often in a row the server's answer was lost.
    lost: u32,
    ended: bool,
}

impl std::fmt::Debug for AudioSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioSender")
            .field("recording_id", &self.recording_id)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl AudioSender {
    /// A sender that begins with the first sample of `recording_id`. To send a recording again
    /// after a crash, begin anew: the server and the listener drop what they know.
    #[must_use]
    pub fn new(bus: &Bus, recording_id: Uuid, request: Request) -> Self {
        Self {
            bus: bus.clone(),
            recording_id,
            request,
            next: 0,
            samples: 0,
            rest: Vec::new(),
            unsent: VecDeque::new(),
            in_flight: VecDeque::new(),
            connections: bus.connections(),
            made_at: Instant::now(),
            lost: 0,
            ended: false,
        }
    }

    /// How much sound it was given, in samples.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// Sends `pcm` (16 kHz mono); what doesn't fill a message waits for the next call. It also notices
    /// what was lost with a connection, and sends that again, and tells who listens that somebody is
    /// there: call it every few seconds with no sound where none comes.
    ///
    /// # Errors
    /// [`BusError::Full`] and others. Nothing is lost then: what isn't stored waits here for the
    /// next call.
    pub async fn send(&mut self, pcm: &[i16]) -> Result<(), BusError> {
        self.samples += pcm.len() as u64;
        self.rest.extend_from_slice(pcm);
        while self.rest.len() >= CHUNK_SAMPLES {
            let rest = self.rest.split_off(CHUNK_SAMPLES);
            let pcm = std::mem::replace(&mut self.rest, rest);
            self.queue(pcm);
        }
        if self.made_at.elapsed() > KEEP_ALIVE && !self.ended {
            let pcm = std::mem::take(&mut self.rest);
            self.queue(pcm);
        }
        self.take_answers()?;
        self.send_queued().await
    }

    /// Sends the end mark, and waits until all is stored. Gives the number of messages.
    ///
    /// # Errors
    /// As [`AudioSender::send`]; it may be called again.
    pub async fn finish(&mut self) -> Result<u64, BusError> {
        if !self.ended {
            self.ended = true;
            if !self.rest.is_empty() {
                let pcm = std::mem::take(&mut self.rest);
                self.queue(pcm);
            }
            self.unsent.push_back(Chunk::End { count: self.next });
        }
        loop {
            self.send_queued().await?;
            if self.in_flight.is_empty() {
                return Ok(self.next);
            }
            self.confirm_oldest().await?;
        }
    }

    fn queue(&mut self, pcm: Vec<i16>) {
        let number = self.next;
        self.next += 1;
        self.made_at = Instant::now();
        self.unsent.push_back(Chunk::Sound { number, pcm });
    }

    async fn send_queued(&mut self) -> Result<(), BusError> {
        loop {
            self.fill_window().await?;
            if self.unsent.is_empty() {
                return Ok(());
            }
            self.confirm_oldest().await?;
        }
    }

    /// Sends as much of what waits as may be on its way.
    async fn fill_window(&mut self) -> Result<(), BusError> {
        while self.in_flight.len() < WINDOW
            && let Some(chunk) = self.unsent.front()
        {
            let stored = start(&self.bus, self.recording_id, &self.request, chunk).await?;
            let stored = stored.into_future();
            if let Some(chunk) = self.unsent.pop_front() {
                self.in_flight.push_back(InFlight { chunk, stored });
            }
        }
        Ok(())
    }

    /// Waits for the answer to the oldest message, for a moment.
    async fn confirm_oldest(&mut self) -> Result<(), BusError> {
        if let Some(oldest) = self.in_flight.front_mut()
            && let Ok(stored) = tokio::time::timeout(LOOK_EVERY, &mut oldest.stored).await
        {
            self.take_answer(stored)?;
        }
        self.take_answers()
    }

    /// Takes the answers that are there. Those to what was sent on a connection that is lost don't
    /// come, nor may the server have all of that: it is sent again on the next, before more sound is,
    /// since who listens doesn't wait for it without end.
    fn take_answers(&mut self) -> Result<(), BusError> {
        if !self.bus.is_connected() {
            return Ok(());
        }
        let connections = self.bus.connections();
        if connections != self.connections {
            self.connections = connections;
            self.send_again();
            return Ok(());
        }
        while let Some(oldest) = self.in_flight.front_mut()
            && let Some(stored) = (&mut oldest.stored).now_or_never()
        {
            self.take_answer(stored)?;
        }
        Ok(())
    }

    /// Takes the answer to the oldest message. When it was lost, those to the messages after it most
    /// likely were too: all are sent again.
    fn take_answer(&mut self, stored: Result<PublishAck, PublishError>) -> Result<(), BusError> {
        let Err(error) = stored else {
            self.in_flight.pop_front();
            self.lost = 0;
            return Ok(());
        };
        let error = bus::not_stored(&subjects::audio(self.recording_id), 0, error);
        self.send_again();
        self.lost += 1;
        if matches!(error, BusError::Full { .. }) || self.lost > LOST_ANSWERS {
            self.lost = 0;
            return Err(error);
        }
        Ok(())
    }

    /// Has all that has no answer sent again; the server drops what it has.
    fn send_again(&mut self) {
        while let Some(InFlight { chunk, .. }) = self.in_flight.pop_back() {
            self.unsent.push_front(chunk);
        }
    }
}

/// Sends a message; gives the server's answer once that comes.
async fn start(
    bus: &Bus,
    recording_id: Uuid,
    request: &Request,
    chunk: &Chunk,
) -> Result<PublishAckFuture, BusError> {
    let subject = subjects::audio(recording_id);
    let ((name, value), payload) = chunk.write();
    let mut headers = request.headers();
    headers.insert(name, value.as_str());
    headers.insert(headers::MESSAGE_ID, chunk.message_id(recording_id).as_str());
    let bytes = payload.len();
    bus.jetstream()
        .publish_with_headers(subject.clone(), headers, payload.into())
        .await
        .map_err(|error| bus::not_stored(&subject, bytes, error))
}
