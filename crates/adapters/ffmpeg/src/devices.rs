//! The sound systems of a machine, and the microphones they know.

use std::{ffi::OsStr, process::Command, time::Duration};

use speakr_core::ports::sound::{DeviceInfo, SoundError};
use speakr_programs::{install_line, on_path};

use crate::{
    complaint::last_words, microphone::no_device, process::run, program::Ffmpeg, sandbox::Bounds,
};

mod parse;

/// How long asking for devices may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The capture systems that ffmpeg knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Pulse,
    Alsa,
    AvFoundation,
    DirectShow,
}

impl System {
    const fn name(self) -> &'static str {
        match self {
            Self::Pulse => "pulse",
            Self::Alsa => "alsa",
            Self::AvFoundation => "avfoundation",
            Self::DirectShow => "dshow",
        }
    }
}

/// Which system a device name belongs to, and its name there (`None` for the default).
/// "pulse:NAME" and "alsa:NAME" say it themselves; else it is `PulseAudio` where a server is
/// configured or answers, and ALSA where none does.
pub(crate) async fn place(ffmpeg: &Ffmpeg, asked: Option<&str>) -> (System, Option<String>) {
    if cfg!(target_os = "macos") {
        return (System::AvFoundation, asked.map(str::to_owned));
    }
    if cfg!(windows) {
        return (System::DirectShow, asked.map(str::to_owned));
    }
    if let Some(asked) = asked {
        if let Some(name) = asked.strip_prefix("pulse:") {
            return (System::Pulse, Some(name.to_owned()));
        }
        if let Some(name) = asked.strip_prefix("alsa:") {
            return (System::Alsa, Some(name.to_owned()));
        }
        if ["hw:", "plughw:", "sysdefault:", "dsnoop:"]
            .iter()
            .any(|kind| asked.starts_with(kind))
        {
            return (System::Alsa, Some(asked.to_owned()));
        }
    }
    let ffmpeg = ffmpeg.clone();
    let answers = tokio::task::spawn_blocking(move || pulse_answers(&ffmpeg))
        .await
        .unwrap_or(false);
    let system = if answers { System::Pulse } else { System::Alsa };
    (
        system,
        asked.filter(|name| *name != "default").map(str::to_owned),
    )
}

/// Whether a `PulseAudio` server is configured, or listens at one of its usual places
/// (pulse-client.conf(5)).
#[cfg(unix)]
fn pulse_answers(ffmpeg: &Ffmpeg) -> bool {
    use std::{os::unix::net::UnixStream, path::PathBuf};

    if ffmpeg.variable("PULSE_SERVER").is_some() {
        return true;
    }
    let folder = |name: &str, below: &str| {
        ffmpeg
            .variable(name)
            .map(|folder| PathBuf::from(folder).join(below))
    };
    [
        folder("PULSE_RUNTIME_PATH", "native"),
        folder("XDG_RUNTIME_DIR", "pulse/native"),
        Some(PathBuf::from("/run/pulse/native")),
        Some(PathBuf::from("/var/run/pulse/native")),
    ]
    .into_iter()
    .flatten()
    .any(|socket| UnixStream::connect(socket).is_ok())
}

#[cfg(not(unix))]
fn pulse_answers(_: &Ffmpeg) -> bool {
    false
}

/// All microphones of this machine.
pub(crate) async fn all(ffmpeg: &Ffmpeg) -> Result<Vec<DeviceInfo>, SoundError> {
    let (system, _) = place(ffmpeg, None).await;
    let mut found = list(ffmpeg, system).await?;
    if system == System::Pulse {
        // Beside the server, cards can be opened directly.
        found.extend(
            list(ffmpeg, System::Alsa)
                .await?
                .into_iter()
                .map(|mut device| {
                    device.default = false;
                    device
                }),
        );
    }
    Ok(found)
}

/// The microphones of one system, the default first.
pub(crate) async fn list(ffmpeg: &Ffmpeg, system: System) -> Result<Vec<DeviceInfo>, SoundError> {
    let mut command = ffmpeg.command()?;
    let failed = |cause: std::io::Error| {
        no_device(
            "default",
            &format!("{} can't be asked: {cause}", system.name()),
        )
    };
    let text = match system {
        System::Pulse | System::Alsa => {
            command.args(["-sources", system.name()]);
            run(command, Bounds::default(), PATIENCE)
                .await
                .map_err(failed)?
                .text
        }
        System::AvFoundation | System::DirectShow => {
            let input = if system == System::AvFoundation {
                ""
            } else {
                "dummy"
            };
            command.args([
                "-nostdin",
                "-f",
                system.name(),
                "-list_devices",
                "true",
                "-i",
                input,
            ]);
            run(command, Bounds::default(), PATIENCE)
                .await
                .map_err(failed)?
                .exit
                .complaints
        }
    };
    let mut devices = match system {
        System::Pulse => parse::pulse(&text),
        System::Alsa => parse::alsa(&text),
        System::AvFoundation => parse::avfoundation(&text),
        System::DirectShow => parse::dshow(&text),
    };
    devices.sort_by_key(|device| !device.default);
    Ok(devices)
}

/// Refuses a default that is no microphone: a server without one offers the sound of its own
/// output ("….monitor"), and recording that would give silence without a word of explanation.
pub(crate) async fn refuse_stand_in(
    ffmpeg: &Ffmpeg,
    system: System,
    asked: Option<&str>,
) -> Result<(), SoundError> {
    if system != System::Pulse || asked.is_some_and(|name| name != "default") {
        return Ok(());
    }
    match default_source(ffmpeg).await {
        Some(name) if name.ends_with(".monitor") => Err(no_device(
            "default",
            &format!(
                "the sound server has no microphone, only the sound of its own output ({name}). \
                 Plug one in, or choose it in the sound settings; to record the output itself, \
                 use --device {name}"
            ),
        )),
        _ => Ok(()),
    }
}

/// The name of the pulse server's default source. `pactl` is asked because it answers ten times
/// as fast as ffmpeg, which is asked where there is no `pactl`.
async fn default_source(ffmpeg: &Ffmpeg) -> Option<String> {
    let Some(pactl) = on_path(OsStr::new("pactl")) else {
        let devices = list(ffmpeg, System::Pulse).await.ok()?;
        return devices
            .into_iter()
            .find(|device| device.default)
            .map(|device| device.name);
    };
    let mut command = Command::new(pactl);
    command
        .arg("info")
        .envs(ffmpeg.variables())
        .env("LC_ALL", "C");
    let said = run(command, Bounds::default(), PATIENCE).await.ok()?.text;
    parse::default_source(&said)
}

/// Why a device couldn't be opened, and the mend, from what ffmpeg said.
pub(crate) fn reason(system: System, complaints: &str, known: &[DeviceInfo]) -> String {
    let said = last_words(complaints).unwrap_or_else(|| "it gave no reason".into());
    if complaints.contains("Unknown input format") {
        return format!(
            "this ffmpeg can't capture from {}; install a full one with: {}",
            system.name(),
            install_line("ffmpeg")
        );
    }
    if complaints.contains("Device or resource busy") {
        return "another program is using it; close that, or record through the sound server \
                (PulseAudio or PipeWire)"
            .into();
    }
    if complaints.contains("Permission denied") || complaints.contains("Operation not permitted") {
        return match system {
            System::AvFoundation => "macOS doesn't let this terminal use the microphone; allow it \
                                     in System Settings, Privacy & Security, Microphone"
                .into(),
            System::DirectShow => {
                "Windows doesn't let desktop apps use the microphone; allow it in Settings, \
                 Privacy & security, Microphone"
                    .into()
            }
            System::Pulse => "the sound server refuses this user; speakr must run as the user \
                              whose desktop it is (not with sudo)"
                .into(),
            System::Alsa => {
                "this user may not use sound cards; add it to the group \"audio\" with: \
                             sudo usermod -aG audio $USER"
                    .into()
            }
        };
    }
    // The same words may mean that the server knows no source of that name.
    if system == System::Pulse
        && known.is_empty()
        && (complaints.contains("Connection refused") || complaints.contains("No such process"))
    {
        return "no sound server answers; start PulseAudio or PipeWire (systemctl --user start \
                pipewire-pulse), or name a card with --device alsa:NAME"
            .into();
    }
    let names: Vec<&str> = known.iter().map(|device| device.name.as_str()).collect();
    if names.is_empty() {
        return format!(
            "{} knows no microphone on this machine ({said}); plug one in and see: speakr devices",
            match system {
                System::Pulse => "the sound server",
                System::Alsa => "no sound server answers, and ALSA",
                System::AvFoundation => "macOS",
                System::DirectShow => "Windows",
            }
        );
    }
    format!(
        "it can't be opened ({said}); there are: {}",
        names.join(", ")
    )
}
