//! Microphones, by way of ffmpeg's capture devices.

use std::{io, process::Command, time::Duration};

use async_trait::async_trait;
use speakr_core::{
    audio::SAMPLE_RATE_HZ,
    ports::sound::{
        Device, DeviceInfo, Microphone, SoundDecoder as _, SoundError, SoundInput, SoundSource,
    },
};

use crate::{
    complaint::last_words,
    decoder::FfmpegDecoder,
    devices::{self, System},
    explain::broken,
    file_microphone::PacedSound,
    process::{Exit, Input, PcmProcess},
    program::Ffmpeg,
    sandbox::Bounds,
};

/// How long a device may take until its first sound (Bluetooth headsets need seconds).
const START: Duration = Duration::from_secs(10);

/// How long ffmpeg may take to hand over what it has once it is asked to stop. It holds no more
/// than one packet, so what a late kill could lose is less than a chunk.
const STOP: Duration = Duration::from_millis(400);

/// Chunks that may wait while nobody listens: at 20 ms each, ten minutes. A microphone can't be
/// told to wait.
const CHUNKS_AHEAD: usize = 30_000;

/// 20 ms of 16 kHz mono s16le: the block asked of the sound server.
const FRAGMENT_BYTES: &str = "640";

/// The microphones that ffmpeg can capture from: `PulseAudio` (and `PipeWire` by its pulse server)
/// or ALSA on Linux, `AVFoundation` on macOS, `DirectShow` on Windows; and files that play as one.
#[derive(Debug, Clone, Default)]
pub struct FfmpegMicrophone {
    ffmpeg: Ffmpeg,
}

impl FfmpegMicrophone {
    /// The microphones as this ffmpeg knows them.
    #[must_use]
    pub fn new(ffmpeg: Ffmpeg) -> Self {
        Self { ffmpeg }
    }

    /// Opens `name` of `system` and waits for its first sound.
    async fn capture(&self, system: System, name: &str) -> Result<CapturedSound, Failure> {
        let mut command = self.ffmpeg.command()?;
        arguments(&mut command, system, name);
        let keys = if cfg!(unix) {
            Input::Nothing
        } else {
            Input::Keys
        };
        let process = PcmProcess::spawn(command, Bounds::default(), CHUNKS_AHEAD, keys)
            .map_err(|cause| broken(name, cause))?;
        let mut sound = CapturedSound {
            device: name.to_owned(),
            process,
            first: None,
            stopped: false,
            ended: false,
        };
        match tokio::time::timeout(START, sound.process.next()).await {
            Ok(Some(samples)) => {
                sound.first = Some(samples);
                Ok(sound)
            }
            Ok(None) => {
                let exit = sound
                    .process
                    .exit()
                    .await
                    .map_err(|cause| broken(name, cause))?;
                tracing::debug!(?system, device = name, complaints = %exit.complaints, "no capture");
                Err(Failure::NotOpened(exit))
            }
            Err(_) => Err(Failure::Other(no_device(
                name,
                &format!(
                    "it gave no sound within {} s; is it plugged in, switched on and not in use?",
                    START.as_secs()
                ),
            ))),
        }
    }

    async fn open_device(&self, asked: Option<&str>) -> Result<CapturedSound, SoundError> {
        let (system, name) = devices::place(&self.ffmpeg, asked).await;
        let name = match name {
            Some(name) => name,
            None => self.default_name(system).await?,
        };
        let (opened, is_microphone) = tokio::join!(
            self.capture(system, &name),
            devices::refuse_stand_in(&self.ffmpeg, system, asked),
        );
        let exit = match opened {
            Ok(sound) => return is_microphone.map(|()| sound),
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::NotOpened(exit)) => exit,
        };
        let known = devices::list(&self.ffmpeg, system)
            .await
            .unwrap_or_default();
        // People call a device by its description.
        let called = known
            .iter()
            .find(|device| device.name != name && device.description.eq_ignore_ascii_case(&name));
        if let (Some(device), Some(_)) = (called, asked) {
            let name = device.name.strip_prefix("alsa:").unwrap_or(&device.name);
            return match self.capture(system, name).await {
                Ok(sound) => Ok(sound),
                Err(Failure::Other(error)) => Err(error),
                Err(Failure::NotOpened(exit)) => Err(no_device(
                    name,
                    &devices::reason(system, &exit.complaints, &known),
                )),
            };
        }
        Err(no_device(
            asked.unwrap_or("default"),
            &devices::reason(system, &exit.complaints, &known),
        ))
    }

    /// What the system's default is called, where it has no name for "the default".
    async fn default_name(&self, system: System) -> Result<String, SoundError> {
        match system {
            System::Pulse | System::Alsa | System::AvFoundation => Ok("default".into()),
            System::DirectShow => devices::list(&self.ffmpeg, system)
                .await?
                .into_iter()
                .next()
                .map(|device| device.name)
                .ok_or_else(|| no_device("default", &devices::reason(system, "", &[]))),
        }
    }
}

#[async_trait]
impl Microphone for FfmpegMicrophone {
    /// Gives the source once the first sound is there (or it is clear that none will come), so
    /// that "recording" is said when it is true. Nothing is lost until the source is read: what
    /// comes meanwhile is kept.
    async fn open(&self, device: &Device) -> Result<Box<dyn SoundSource>, SoundError> {
        match device {
            Device::Default => Ok(Box::new(self.open_device(None).await?)),
            Device::Named(name) => Ok(Box::new(self.open_device(Some(name)).await?)),
            Device::File(path) => {
                let decoder = FfmpegDecoder::new(self.ffmpeg.clone());
                let sound = decoder.open(&SoundInput::File(path.clone())).await?;
                Ok(Box::new(PacedSound::new(sound)))
            }
        }
    }

    async fn devices(&self) -> Result<Vec<DeviceInfo>, SoundError> {
        self.ffmpeg.path()?;
        devices::all(&self.ffmpeg).await
    }
}

/// ffmpeg's arguments for capturing with as little delay as it can.
fn arguments(command: &mut Command, system: System, name: &str) {
    let rate = SAMPLE_RATE_HZ.to_string();
    command.args([
        "-v",
        "error",
        "-nostats",
        "-fflags",
        "nobuffer",
        "-probesize",
        "32",
    ]);
    match system {
        System::Pulse => {
            command
                .args([
                    "-nostdin",
                    "-f",
                    "pulse",
                    "-name",
                    "speakr",
                    "-stream_name",
                    "recording",
                ])
                .args([
                    "-fragment_size",
                    FRAGMENT_BYTES,
                    "-channels",
                    "1",
                    "-sample_rate",
                    &rate,
                ])
                .args(["-i", name]);
        }
        System::Alsa => {
            command
                .args([
                    "-nostdin",
                    "-thread_queue_size",
                    "1024",
                    "-f",
                    "alsa",
                    "-channels",
                    "1",
                ])
                .args(["-sample_rate", &rate, "-i", name]);
        }
        System::AvFoundation => {
            command
                .args(["-nostdin", "-f", "avfoundation", "-i"])
                .arg(format!(":{name}"));
        }
        System::DirectShow => {
            command
                .args(["-f", "dshow", "-audio_buffer_size", "20", "-i"])
                .arg(format!("audio={name}"));
        }
    }
    command.args([
        "-map",
        "0:a:0",
        "-ac",
        "1",
        "-ar",
        &rate,
        "-c:a",
        "pcm_s16le",
    ]);
    command.args(["-flush_packets", "1", "-f", "s16le", "pipe:1"]);
}

/// Why a capture didn't begin.
enum Failure {
    /// ffmpeg ended before any sound came.
    NotOpened(Exit),
    /// Something that no other device name would mend.
    Other(SoundError),
}

impl From<SoundError> for Failure {
    fn from(error: SoundError) -> Self {
        Self::Other(error)
    }
}

pub(crate) fn no_device(device: &str, reason: &str) -> SoundError {
    SoundError::NoDevice {
        device: device.to_owned(),
        reason: reason.to_owned(),
    }
}

/// A microphone that is captured.
struct CapturedSound {
    device: String,
    process: PcmProcess,
    first: Option<Vec<i16>>,
    stopped: bool,
    ended: bool,
}

#[async_trait]
impl SoundSource for CapturedSound {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        if let Some(samples) = self.first.take() {
            return Ok(Some(samples));
        }
        if self.ended {
            return Ok(None);
        }
        if let Some(samples) = self.process.next().await {
            return Ok(Some(samples));
        }
        let exit = self.process.exit().await;
        self.ended = true;
        if self.stopped {
            return Ok(None);
        }
        // A microphone has no end of its own: it was unplugged, or its server ended.
        let cause = match exit {
            Ok(exit) => io::Error::other(
                last_words(&exit.complaints)
                    .unwrap_or_else(|| "the device or the sound server went away".into()),
            ),
            Err(cause) => cause,
        };
        Err(broken(&self.device, cause))
    }

    async fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let handle = self.process.handle().clone();
        handle.interrupt();
        tokio::spawn(async move {
            tokio::time::sleep(STOP).await;
            handle.kill();
        });
    }
}
