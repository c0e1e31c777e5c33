//! What the platform's services tell each other and their clients, by whatever it is carried.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BoxedCause;
use crate::{
    recording::{Metadata, Recording, RecordingId},
    transcript::Transcript,
};

/// The bus didn't do its part; it may later.
#[derive(Debug, thiserror::Error)]
#[error("the bus failed")]
pub struct BusFailure(#[source] pub BoxedCause);

/// Why an event wasn't told.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// It is larger than the bus takes, whatever is left out of it.
    #[error("the text is larger than a message; it is kept as {kept_as}")]
    TooLarge {
        /// Where its content is kept.
        kept_as: String,
    },
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusFailure),
}

/// Tells what has happened in one request. Telling the same again is no second event: who has
/// heard it knows it by its id.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// A recording has begun.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn started(&self, recording: &Recording) -> Result<(), BusFailure>;

    /// A recording has ended, and its sound is kept.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn finished(&self, recording: &Recording) -> Result<(), BusFailure>;

    /// A recording was thrown away.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn cancelled(&self, id: RecordingId) -> Result<(), BusFailure>;

    /// Text while it is made. Nobody keeps it.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn partial(&self, id: RecordingId, partial: PartialText) -> Result<(), BusFailure>;

    /// The text is made and kept. Its parts are left out when they don't fit.
    ///
    /// # Errors
    /// [`AnnounceError`].
    async fn succeeded(&self, transcript: &Transcript) -> Result<(), AnnounceError>;

    /// There will be no text, because of `error`, which is of a `kind` that programs know.
    /// `occasion` tells apart what failed twice in one request.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn failed(
        &self,
        occasion: u64,
        id: RecordingId,
        recording: Option<&Recording>,
        error: &str,
        kind: Option<FailureKind>,
    ) -> Result<(), BusFailure>;
}

/// Failures that a program may want to tell from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The speech model that was asked for isn't there.
    UnknownModel,
}

/// What the words between two moments of a recording seem to be so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialText {
    /// The words.
    pub text: String,
    /// Where they begin in the sound.
    pub start_ms: u64,
    /// Where they end.
    pub end_ms: u64,
    /// Whether they stay as they are.
    pub is_final: bool,
}

/// What is heard of a recording's sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Sound, in order and without repeats.
    Sound(Vec<i16>),
    /// All that was sent up to now has been heard: not what was known of it a while ago.
    CaughtUp,
    /// The end mark, and all before it.
    End,
    /// Nothing has come for so long.
    Silence(Duration),
}

/// What came after something that is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest {
    /// Sound, in order.
    pub pcm: Vec<i16>,
    /// Whether more of it is heard next: there was more than could be held.
    pub more: bool,
}

/// Why nothing is heard.
#[derive(Debug, thiserror::Error)]
pub enum HearError {
    /// What comes can't be put together, now or later. What came before is good.
    #[error("the sound can't be put together")]
    Broken(#[source] BoxedCause),
    /// The bus failed: ask again.
    #[error(transparent)]
    Bus(#[from] BusFailure),
}

/// Hears the sound of one recording, from its start.
#[async_trait]
pub trait SoundListener: Send {
    /// What is heard next. Answers within a few seconds. Cancel-safe.
    ///
    /// # Errors
    /// [`HearError`].
    async fn next(&mut self) -> Result<Heard, HearError>;

    /// Gives up on what is missing: the sound that came after it.
    fn give_up_on_gaps(&mut self) -> Rest;
}

/// Sound that lies in the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose.
    pub id: RecordingId,
    /// When the last of it came.
    pub last_at: Timestamp,
}

/// The sound that clients send while it is spoken. The bus keeps it until it is purged.
#[async_trait]
pub trait SentSound: Send + Sync {
    /// Listens to a recording from its first sample.
    fn listen(&self, id: RecordingId) -> Box<dyn SoundListener>;

    /// Removes what has come, once it is kept elsewhere or thrown away.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn purge(&self, id: RecordingId) -> Result<(), BusFailure>;

    /// Whose sound lies there.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn waiting(&self) -> Result<Vec<Waiting>, BusFailure>;

    /// Whether the bus has as good as no room for more: a client that sends is refused then, and isn't
    /// heard.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn is_full(&self) -> Result<bool, BusFailure>;
}

/// What a stop asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Whether the text is to be made.
    pub transcribe: bool,
    /// Added to the recording's.
    pub metadata: Metadata,
}

/// What is wanted of a recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intent {
    /// It is to be ended and kept.
    pub stop: Option<Stop>,
    /// It is to be thrown away.
    pub cancelled: bool,
}

/// What is wanted of each recording: written down, so that any replica can act on it.
#[async_trait]
pub trait Intents: Send + Sync {
    /// What is wanted of `id`; nothing, where nobody said.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn get(&self, id: RecordingId) -> Result<Intent, BusFailure>;

    /// It is to be ended. The first stop holds.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn stop(&self, id: RecordingId, stop: Stop) -> Result<(), BusFailure>;

    /// It is to be thrown away.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn cancel(&self, id: RecordingId) -> Result<(), BusFailure>;
}

/// What the holder of a recording is told: that what is wanted of it has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Nudge {
    /// It is to be ended.
    Stop(Stop),
    /// It is to be thrown away.
    Cancel,
}

/// Hears the nudges for one recording; whoever has it holds the recording.
#[async_trait]
pub trait Nudges: Send {
    /// Waits for the next one. Cancel-safe.
    async fn next(&mut self);
}

/// Which replica holds which recording.
#[async_trait]
pub trait Holders: Send + Sync {
    /// This replica holds `id` from now on.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn hold(&self, id: RecordingId) -> Result<Box<dyn Nudges>, BusFailure>;

    /// Tells the holder of `id`. `false` when nobody holds it.
    ///
    /// # Errors
    /// [`BusFailure`].
    async fn nudge(&self, id: RecordingId, nudge: Nudge) -> Result<bool, BusFailure>;
}
