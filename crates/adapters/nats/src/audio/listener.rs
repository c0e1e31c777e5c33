//! Hears sound in the order in which it was spoken, whatever order it comes in.

use std::{collections::VecDeque, time::Duration};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::StreamExt;
use speakr_contract::{
    audio::{Chunk, Sequencer, Taken},
    headers, subjects,
};
use speakr_core::ports::platform::{Heard, Rest};
use tokio::time::Instant;
use uuid::Uuid;

use super::last_sequence;
use crate::{
    bus::Bus,
    error::BusError,
    streams::{self, AUDIO},
};

/// Most messages asked for at once: 3.2 s of sound as it should be sent, and 10 MB of it at most.
const BATCH: usize = 32;
/// After so long without sound the server is asked whether there is any.
const QUIET: Duration = Duration::from_secs(1);
/// A consumer that gives nothing for so long, although there is more, is gone: the server that kept
/// it may be, and then nobody says so.
const CONSUMER_PATIENCE: Duration = Duration::from_secs(5);
/// The server forgets a listener that has asked for nothing for so long.
const LISTENER_FORGOTTEN: Duration = Duration::from_secs(120);
/// How long a message that is missing between others may still come, while more sound does. What a
/// client lost with its connection it sends again as soon as it has another, before more sound.
const GAP_PATIENCE: Duration = Duration::from_secs(10);

/// A message that had no room.
#[derive(Debug, Clone, Copy)]
struct SetAside {
    /// Its place in the stream.
    sequence: u64,
    /// Which chunk was missing then.
    missing: u64,
}

/// Something that is missing between others.
#[derive(Debug, Default)]
struct Gap {
    /// For how long it has been missing while sound came.
    age: Duration,
    looked_at: Option<Instant>,
}

/// Hears the sound of one recording from its start.
pub struct AudioListener {
    bus: Bus,
    recording_id: Uuid,
    messages: Option<pull::Stream>,
    /// The last message heard, by its place in the stream: where a new consumer goes on.
    last_sequence: u64,
    /// The same by its place in the consumer: a gap there is a message that was lost on its way.
    last_of_consumer: u64,
    sequencer: Sequencer,
    /// The first message that had no room in the sequencer.
    set_aside: Option<SetAside>,
    due: VecDeque<Heard>,
    heard_at: Instant,
    /// When the consumer gave the last message, or was made.
    given_at: Instant,
    gap: Gap,
    /// Whether the last message was the last in the stream when the server gave it, which may be long
    /// ago: it waited here meanwhile.
    was_last: bool,
    /// When the server was last asked whether there is more.
    asked_at: Option<Instant>,
    ended: bool,
}

impl std::fmt::Debug for AudioListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioListener")
            .field("recording_id", &self.recording_id)
            .field("next", &self.sequencer.next_number())
            .finish_non_exhaustive()
    }
}

impl AudioListener {
    /// A listener that hears everything from the first message on.
    #[must_use]
    pub fn new(bus: &Bus, recording_id: Uuid) -> Self {
        Self {
            bus: bus.clone(),
            recording_id,
            messages: None,
            last_sequence: 0,
            last_of_consumer: 0,
            sequencer: Sequencer::new(),
            set_aside: None,
            due: VecDeque::new(),
            heard_at: Instant::now(),
            given_at: Instant::now(),
            gap: Gap::default(),
            was_last: false,
            asked_at: None,
            ended: false,
        }
    }

    /// What is heard next. Answers within a few seconds. Cancel-safe.
    ///
    /// # Errors
    /// [`BusError::Sound`] when what comes can't be put together: no later call mends that.
    /// [`BusError::Server`]: wait a little and ask again.
    pub async fn next(&mut self) -> Result<Heard, BusError> {
        loop {
            if let Some(heard) = self.due.pop_front() {
                return Ok(heard);
            }
            if self.ended {
                return Ok(Heard::End);
            }
            let asked_lately = self.asked_at.is_some_and(|at| at.elapsed() < QUIET);
            let done = if self.was_last && !asked_lately {
                self.ask_for_more().await
            } else {
                self.hear().await
            };
            if let Err(error) = done {
                self.messages = None;
                return Err(error);
            }
        }
    }

    /// Gives up on messages that are missing: the sound that came after them.
    pub fn give_up_on_gaps(&mut self) -> Rest {
        let missing_from = self.sequencer.next_number();
        let pcm = self.sequencer.drain().concat();
        let more = self.hear_again();
        if more || !pcm.is_empty() {
            tracing::warn!(
                recording_id = %self.recording_id, missing_from,
                "some sound is missing; going on with what came after it"
            );
        }
        self.gap = Gap::default();
        Rest { pcm, more }
    }

    /// Goes back to the first message that had no room, if one had none: all stays in the stream until
    /// it is purged.
    fn hear_again(&mut self) -> bool {
        let Some(SetAside { sequence, .. }) = self.set_aside.take() else {
            return false;
        };
        tracing::debug!(recording_id = %self.recording_id, sequence, "hearing again what had no room");
        self.sequencer.hear_again();
        self.last_sequence = sequence - 1;
        self.messages = None;
        true
    }

    /// Whether there is room for what had none, and nothing else to be read first.
    fn has_room_again(&self, caught_up: bool) -> bool {
        self.set_aside.is_some_and(|aside| {
            self.sequencer.has_room_again()
                && self.sequencer.next_number() > aside.missing
                && (caught_up || self.sequencer.holds_none())
        })
    }

    /// Whether something is missing between others that nobody waits for any longer. The server has
    /// nothing more now. A client that is silent may have lost its connection, and what is missing with
    /// it: only the time in which it speaks counts, or has said that all is sent.
    fn gap_is_too_old(&mut self) -> bool {
        if !self.sequencer.is_waiting() {
            self.gap = Gap::default();
            return false;
        }
        let now = Instant::now();
        let passed = self.gap.looked_at.map_or(Duration::ZERO, |at| now - at);
        self.gap.looked_at = Some(now);
        self.gap.age += if self.sequencer.has_end() {
            passed
        } else {
            passed.min(QUIET)
        };
        self.gap.age > GAP_PATIENCE
    }

    fn go_on_after_gap(&mut self) {
        let rest = self.give_up_on_gaps();
        if !rest.pcm.is_empty() {
            self.due.push_back(Heard::Sound(rest.pcm));
        }
        self.ended = self.sequencer.is_complete();
    }

    async fn hear(&mut self) -> Result<(), BusError> {
        let subject = || subjects::audio(self.recording_id);
        if self.messages.is_none() {
            self.messages = Some(self.listen().await?);
            self.last_of_consumer = 0;
            self.given_at = Instant::now();
        }
        let Some(messages) = &mut self.messages else {
            return Ok(());
        };
        let message = match tokio::time::timeout(QUIET, messages.next()).await {
            Err(_) => return self.on_nothing().await,
            Ok(None) => {
                return Err(BusError::server("hear", subject())("the consumer is gone"));
            }
            Ok(Some(message)) => message.map_err(BusError::server("hear", subject()))?,
        };
        let info = message
            .info()
            .map_err(BusError::server("read the headers of", subject()))?;
        if info.consumer_sequence != self.last_of_consumer + 1 {
            tracing::debug!(recording_id = %self.recording_id, "a message was lost on its way");
            self.messages = None;
            return Ok(());
        }
        let (sequence, was_last) = (info.stream_sequence, info.pending == 0);
        let get = |name: &str| {
            let value = message.headers.as_ref().and_then(|h| h.get(name));
            value.map(|v| v.as_str().to_owned())
        };
        let chunk = Chunk::read(
            get(headers::CHUNK).as_deref(),
            get(headers::END).as_deref(),
            &message.payload,
        )
        .map_err(|cause| BusError::Sound {
            recording_id: self.recording_id,
            cause,
        })?;
        self.last_of_consumer += 1;
        self.last_sequence = sequence;
        self.heard_at = Instant::now();
        self.given_at = self.heard_at;
        self.was_last = was_last;
        match self.sequencer.take(chunk) {
            Taken::NoRoom => {
                let missing = self.sequencer.next_number();
                self.set_aside.get_or_insert(SetAside { sequence, missing });
            }
            Taken::Due(due) => {
                if !due.is_empty() {
                    self.gap = Gap::default();
                }
                self.due.extend(due.into_iter().map(Heard::Sound));
            }
        }
        if self.sequencer.is_complete() {
            self.ended = true;
        } else if self.has_room_again(false) {
            self.hear_again();
        }
        Ok(())
    }

    /// Whether all that was sent has been heard, only the server knows: what it said with a message is
    /// as old as that.
    async fn ask_for_more(&mut self) -> Result<(), BusError> {
        let last = last_sequence(&self.bus, self.recording_id).await?;
        self.was_last = false;
        self.asked_at = Some(Instant::now());
        if last <= self.last_sequence {
            self.all_heard(None);
        }
        Ok(())
    }

    /// Nothing more is there now; nothing has come for so long, where it is known.
    fn all_heard(&mut self, silence: Option<Duration>) {
        if self.has_room_again(true) {
            self.hear_again();
        } else if (silence.is_none() || self.sequencer.has_end()) && self.gap_is_too_old() {
            self.go_on_after_gap();
        } else {
            self.due.push_back(Heard::CaughtUp);
            self.due.extend(silence.map(Heard::Silence));
        }
    }

    /// Nothing came for a while: there is nothing more now, or something is missing, or the server
    /// can't be heard; only the server knows.
    async fn on_nothing(&mut self) -> Result<(), BusError> {
        let given_nothing_for = self.given_at.elapsed();
        if last_sequence(&self.bus, self.recording_id).await? > self.last_sequence {
            if given_nothing_for > CONSUMER_PATIENCE {
                tracing::debug!(recording_id = %self.recording_id, "listening anew");
                self.messages = None;
            }
            return Ok(());
        }
        // It has been asked.
        self.was_last = false;
        self.all_heard(Some(self.heard_at.elapsed()));
        Ok(())
    }

    async fn listen(&self) -> Result<pull::Stream, BusError> {
        let stream = streams::known_stream(&self.bus, AUDIO).await?;
        stream
            .create_consumer(pull::Config {
                // Named, so that a user's permission can name the stream.
                name: Some(Uuid::new_v4().simple().to_string()),
                // Nothing is lost by an answer that is lost: all stays until it is purged.
                ack_policy: AckPolicy::None,
                filter_subject: subjects::audio(self.recording_id),
                deliver_policy: DeliverPolicy::ByStartSequence {
                    start_sequence: self.last_sequence + 1,
                },
                inactive_threshold: LISTENER_FORGOTTEN,
                memory_storage: true,
                num_replicas: 1,
                ..pull::Config::default()
            })
            .await
            .map_err(BusError::server("listen on", AUDIO))?
            .stream()
            .max_messages_per_batch(BATCH)
            .messages()
            .await
            .map_err(BusError::server("listen on", AUDIO))
    }
}
