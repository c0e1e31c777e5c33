//! Sound coming in: from microphones and from files.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::Serialize;

use super::BoxedCause;

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The program that reads sound isn't installed; `mend` is the line that installs it.
    #[error("{program} isn't installed; {mend}")]
    MissingProgram {
        /// Its name.
        program: String,
        /// What to do.
        mend: String,
    },
    /// No such microphone, or none at all.
    #[error("no microphone \"{device}\": {reason}")]
    NoDevice {
        /// What was asked for.
        device: String,
        /// What the system said, and the mend.
        reason: String,
    },
    /// The input can't be read at all (missing, forbidden, a folder, …).
    #[error("can't read {input}: {reason}")]
    Unreadable {
        /// Which input.
        input: String,
        /// Why.
        reason: String,
    },
    /// The input holds no sound that can be decoded.
    #[error("{input} holds no sound that can be decoded: {reason}")]
    NotSound {
        /// Which input.
        input: String,
        /// What the decoder said.
        reason: String,
    },
    /// The input is refused for safety (a playlist that names other files, …).
    #[error("{input} is refused: {reason}")]
    Refused {
        /// Which input.
        input: String,
        /// Why.
        reason: String,
    },
    /// The source broke off.
    #[error("the sound of {input} broke off")]
    Broken {
        /// Which input.
        input: String,
        /// Why.
        #[source]
        cause: BoxedCause,
    },
}

/// A running stream of 16 kHz mono sound.
#[async_trait]
pub trait SoundSource: Send {
    /// The next samples as they come (a microphone gives some every few ten milliseconds);
    /// `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`SoundError`] when the source breaks off; what came before stays valid.
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError>;

    /// Asks the source to end. `next` then gives what is still on its way, and `None`.
    async fn stop(&mut self);
}

/// Which microphone to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Device {
    /// The system's default.
    #[default]
    Default,
    /// One by the name that [`Microphone::devices`] gives.
    Named(String),
    /// A file, played in real time as if it were a microphone, ending with it.
    File(PathBuf),
}

/// One microphone of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What `--device` takes.
    pub name: String,
    /// What people call it.
    pub description: String,
    /// Which sound system it belongs to (pulse, alsa, avfoundation, dshow).
    pub system: String,
    /// Whether it is the default.
    pub default: bool,
}

/// The microphones of this machine.
#[async_trait]
pub trait Microphone: Send + Sync {
    /// Starts capturing at once.
    ///
    /// # Errors
    /// [`SoundError`] when the device or the capturing program is missing.
    async fn open(&self, device: &Device) -> Result<Box<dyn SoundSource>, SoundError>;

    /// All microphones.
    ///
    /// # Errors
    /// [`SoundError`] when the system can't be asked.
    async fn devices(&self) -> Result<Vec<DeviceInfo>, SoundError>;
}

/// Where sound to decode comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundInput {
    /// A file of any format.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Decodes files of any format, as fast as they can be read.
#[async_trait]
pub trait SoundDecoder: Send + Sync {
    /// Length of the sound where the container tells it, in milliseconds.
    ///
    /// # Errors
    /// [`SoundError`] when the input isn't readable or isn't sound.
    async fn duration_ms(&self, input: &SoundInput) -> Result<Option<u64>, SoundError>;

    /// Starts decoding.
    ///
    /// # Errors
    /// [`SoundError`] when the input isn't readable or is refused. That it holds no sound may
    /// show only in the source's `next`.
    async fn open(&self, input: &SoundInput) -> Result<Box<dyn SoundSource>, SoundError>;
}

/// Compresses kept sound without loss.
#[async_trait]
pub trait SoundEncoder: Send + Sync {
    /// Writes the raw samples of file `pcm` (s16le, 16 kHz, mono) as FLAC to `flac`.
    ///
    /// # Errors
    /// [`SoundError`] when that fails; `pcm` is untouched, and `flac` doesn't exist then.
    async fn pcm_to_flac(
        &self,
        pcm: &std::path::Path,
        flac: &std::path::Path,
    ) -> Result<(), SoundError>;
}
