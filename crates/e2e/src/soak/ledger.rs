//! What was asked of the platform, and what it has said of it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use uuid::Uuid;

/// How far a recording has come, as its client can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It was asked for; nothing was heard of it.
    Asked,
    /// Its sound is being sent.
    Speaking,
    /// All of its sound is sent; it isn't kept yet.
    Saving,
    /// Its sound is kept; there is no text yet.
    Decoding,
    /// Its text is made; it can't be found yet.
    Indexing,
    /// It can be found.
    Done,
}

impl Phase {
    /// All in which there is something to do.
    pub const OPEN: [Self; 5] = [
        Self::Asked,
        Self::Speaking,
        Self::Saving,
        Self::Decoding,
        Self::Indexing,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked",
            Self::Speaking => "speaking",
            Self::Saving => "saving",
            Self::Decoding => "decoding",
            Self::Indexing => "indexing",
            Self::Done => "done",
        })
    }
}

/// What is done with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Its sound is sent while it is spoken.
    Spoken,
    /// The same, and its text is asked for afterwards, by its id.
    Later,
    /// The transcriber's own microphone hears it.
    Host,
    /// Its sound is sent as a file, in a command.
    File,
    /// The same over HTTP.
    Http,
    /// It is spoken, and cancelled in mid-sentence.
    Cancelled,
    /// A file; deleted once it is found.
    Deleted,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Spoken,
        Self::Later,
        Self::Host,
        Self::File,
        Self::Http,
        Self::Cancelled,
        Self::Deleted,
    ];

    /// Whether it is a recording that begins and ends, and not a file.
    #[must_use]
    pub const fn is_captured(self) -> bool {
        matches!(
            self,
            Self::Spoken | Self::Later | Self::Host | Self::Cancelled
        )
    }

    /// Whether nothing of it is left in the end.
    #[must_use]
    pub const fn is_thrown_away(self) -> bool {
        matches!(self, Self::Cancelled | Self::Deleted)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spoken => "spoken",
            Self::Later => "text by id",
            Self::Host => "own microphone",
            Self::File => "file",
            Self::Http => "over HTTP",
            Self::Cancelled => "cancelled",
            Self::Deleted => "deleted",
        })
    }
}

/// One recording.
#[derive(Debug, Clone)]
struct Entry {
    way: Way,
    phase: Phase,
    failure: Option<String>,
}

/// All recordings of a run. Shared.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<HashMap<Uuid, Entry>>,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A recording is asked for.
    pub fn open(&self, id: Uuid, way: Way) {
        let entry = Entry {
            way,
            phase: Phase::Asked,
            failure: None,
        };
        self.entries().insert(id, entry);
    }

    /// It has come as far as `phase`, at least.
    pub fn reached(&self, id: Uuid, phase: Phase) {
        if let Some(entry) = self.entries().get_mut(&id) {
            entry.phase = entry.phase.max(phase);
        }
    }

    /// Notes what the event of `subject` tells.
    pub fn note(&self, subject: &str, event: &Value) {
        let Some(id) = event["recording_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
        else {
            return;
        };
        match subject.strip_prefix("speakr.event.").unwrap_or_default() {
            "recording.started" => self.reached(id, Phase::Speaking),
            "recording.finished" => self.reached(id, Phase::Decoding),
            "transcription.succeeded" => self.reached(id, Phase::Indexing),
            "embedding.succeeded" | "recording.cancelled" => self.reached(id, Phase::Done),
            // The words of a spoken one come while it is spoken.
            "transcription.partial"
                if self
                    .entries()
                    .get(&id)
                    .is_some_and(|entry| !entry.way.is_captured()) =>
            {
                self.reached(id, Phase::Decoding);
            }
            "transcription.failed" => {
                if let Some(entry) = self.entries().get_mut(&id) {
                    entry.failure = Some(event["error"].to_string());
                }
            }
            _ => {}
        }
    }

    /// How far it has come; why it failed, if it did.
    pub fn state(&self, id: Uuid) -> (Phase, Option<String>) {
        let entries = self.entries();
        let entry = entries.get(&id);
        entry.map_or((Phase::Asked, None), |e| (e.phase, e.failure.clone()))
    }

    /// What is done with it.
    pub fn way(&self, id: Uuid) -> Option<Way> {
        self.entries().get(&id).map(|entry| entry.way)
    }

    /// How many recordings are in each phase.
    pub fn phases(&self) -> BTreeMap<Phase, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.entries().values() {
            *counts.entry(entry.phase).or_default() += 1;
        }
        counts
    }

    /// All recordings, and what was done with each.
    pub fn all(&self) -> Vec<(Uuid, Way)> {
        let entries = self.entries();
        entries.iter().map(|(id, entry)| (*id, entry.way)).collect()
    }
}
