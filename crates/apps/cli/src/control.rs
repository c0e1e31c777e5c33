//! How another shell (or a global shortcut) reaches a running recording: a socket in the data
//! folder that only its owner can open, or a named pipe on Windows. One line in, one line of
//! JSON out.
//!
//! Each recording has a socket of its own, for as long as it can be reached: while the text of one
//! is still being made, the next may have begun, and neither may answer for the other.

mod client;
mod place;
mod server;
#[cfg(test)]
mod tests;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use speakr_core::RecordingId;

pub(crate) use self::{client::send, server::ControlServer};

/// The longest wait for a recording to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What another shell asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// End the recording, keep the sound, make the text.
    Stop,
    /// Throw it away, also while its text is being made.
    Cancel,
    /// Pause it, or go on.
    Pause,
}

impl Request {
    const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.trim() {
            "stop" => Some(Self::Stop),
            "cancel" => Some(Self::Cancel),
            "pause" => Some(Self::Pause),
            _ => None,
        }
    }
}

/// How far the recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Sound is captured.
    Recording,
    /// Capture is paused.
    Paused,
    /// The text is being made.
    Transcribing,
}

/// What a recording answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Which recording.
    pub(crate) recording_id: String,
    /// How far it was when it was asked.
    pub(crate) phase: Phase,
    /// Length of the sound so far.
    pub(crate) duration_ms: u64,
}

/// How far the recording is, kept up to date by it and told to whoever asks.
pub(crate) struct Board(Mutex<Posted>);

struct Posted {
    status: Status,
    /// Whether requests are taken no more.
    closed: bool,
}

impl Board {
    /// A recording that begins.
    pub(crate) fn new(id: RecordingId, phase: Phase) -> Self {
        Self(Mutex::new(Posted {
            status: Status {
                recording_id: id.to_string(),
                phase,
                duration_ms: 0,
            },
            closed: false,
        }))
    }

    /// How far it is.
    pub(crate) fn phase(&self) -> Phase {
        self.posted().status.phase
    }

    /// It has come to `phase`.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.posted().status.phase = phase;
    }

    /// Sound has come in.
    pub(crate) fn set_captured(&self, duration_ms: u64, paused: bool) {
        let mut posted = self.posted();
        posted.status.duration_ms = duration_ms;
        posted.status.phase = if paused {
            Phase::Paused
        } else {
            Phase::Recording
        };
    }

    /// Takes no request from here on: what was taken before has been done.
    pub(crate) fn close(&self) {
        self.posted().closed = true;
    }

    /// Does what is asked, and gives the status from before; nothing where it is too late to ask.
    fn take(&self, request: Request, act: &(dyn Fn(Request) + Send + Sync)) -> Option<Status> {
        let posted = self.posted();
        if posted.closed {
            return None;
        }
        act(request);
        Some(posted.status.clone())
    }

    fn posted(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
