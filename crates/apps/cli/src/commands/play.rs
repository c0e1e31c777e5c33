//! `speakr play`.

use std::{
    ffi::OsStr,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use speakr_api::ApiClient;
use speakr_core::{
    RecordingId,
    audio::{SAMPLE_RATE_HZ, ms_to_samples},
    ports::{
        archive::Archive,
        sound::{SoundInput, SoundSource},
    },
};
use speakr_ffmpeg::{install_line, on_path};
use tokio::{io::AsyncReadExt, process::Command};

use crate::{
    args::parse_duration,
    compose::App,
    failure::{ExitCode, Failure},
    output::clock,
    shelf::Shelf,
    signals::asked_to_end,
};

/// What to play.
#[derive(Debug, Args)]
pub(crate) struct PlayArgs {
    /// The recording; the first digits of its id do
    #[arg(value_name = "ID")]
    id: String,
    /// Begin at this moment, such as `1:23` or `83s`
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    at: Option<Duration>,
}

/// What `play --json` prints.
#[derive(Serialize)]
struct PlayJson {
    recording_id: RecordingId,
    from_ms: u64,
    player: &'static str,
}

/// A program that plays sound.
#[derive(Debug, Clone, Copy)]
struct Player {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The argument in front of the seconds to begin at, where it can: it reads FLAC then too.
    start: Option<&'static str>,
}

/// Players, best first. Those that can't begin anywhere get a file that begins there.
const PLAYERS: &[Player] = &[
    Player {
        name: "ffplay",
        arguments: &["-v", "error", "-nodisp", "-autoexit"],
        start: Some("-ss"),
    },
    Player {
        name: "afplay",
        arguments: &[],
        start: None,
    },
    Player {
        name: "pw-play",
        arguments: &[],
        start: None,
    },
    Player {
        name: "paplay",
        arguments: &[],
        start: None,
    },
    Player {
        name: "aplay",
        arguments: &["-q"],
        start: None,
    },
];

/// What of a player's complaints is read, in bytes.
const MOST_COMPLAINTS: u64 = 64 * 1024;

/// A recording's sound, ready to be played.
struct Sound {
    duration_ms: Option<u64>,
    /// A file with a header, whole, where there is one.
    whole: Option<Whole>,
}

/// A file with all of the sound.
enum Whole {
    /// In the library; it may not be moved while it is played.
    Kept(PathBuf),
    /// A copy that goes with this.
    Fetched(tempfile::NamedTempFile),
}

impl Whole {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Fetched(file) => file.path(),
        }
    }
}

/// Plays one recording to its end.
pub(crate) async fn run(app: &App, args: &PlayArgs) -> Result<(), Failure> {
    let shelf = app.shelf().await?;
    let id = shelf.resolve(&args.id).await?;
    let (player, program) = find_player()?;
    let from_ms = args
        .at
        .map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    let sound = match &shelf {
        Shelf::Here(_) => kept(app, id).await?,
        Shelf::There(api) => fetched(app, api, id).await?,
    };
    let duration_ms = sound.duration_ms;
    if let Some(duration_ms) = duration_ms.filter(|&end| from_ms >= end && from_ms > 0) {
        return Err(Failure::new(
            ExitCode::Usage,
            format!(
                "recording {} is only {} long; nothing is left from {} on",
                id.short(),
                clock(duration_ms),
                clock(from_ms)
            ),
        ));
    }
    let mut command = Command::new(&program);
    command.args(player.arguments);
    // A file of raw samples would need options that differ between versions of the players.
    let begins_there = match (player.start, &sound.whole) {
        (Some(option), Some(whole)) => {
            command
                .arg(option)
                .arg(format!("{:.3}", from_ms as f64 / 1_000.0))
                .arg(whole.path());
            None
        }
        _ => {
            let samples = match &sound.whole {
                Some(Whole::Fetched(file)) => {
                    let input = SoundInput::File(file.path().to_owned());
                    app.decoder().open(&input).await?
                }
                _ => app.archive()?.open_sound(id).await?,
            };
            let file = wav_from(samples, from_ms).await?;
            command.arg(file.path());
            Some(file)
        }
    };
    app.output.say(&format!(
        "Playing {} from {}{}. Ctrl-C stops.",
        id.short(),
        clock(from_ms),
        duration_ms
            .map(|end| format!(" of {}", clock(end)))
            .unwrap_or_default()
    ));
    play(command, player.name).await?;
    drop(begins_there);
    if app.output.is_json() {
        app.output.print_json(&PlayJson {
            recording_id: id,
            from_ms,
            player: player.name,
        })?;
    }
    Ok(())
}

/// The sound of a recording of this machine.
async fn kept(app: &App, id: RecordingId) -> Result<Sound, Failure> {
    let archive = app.archive()?;
    let duration_ms = archive.recording(id).await?.duration_ms;
    let file = archive.sound_path(id)?;
    let compressed = file.extension() == Some(OsStr::new("flac"));
    Ok(Sound {
        duration_ms,
        whole: compressed.then_some(Whole::Kept(file)),
    })
}

/// The sound of a recording of the platform.
async fn fetched(app: &App, api: &ApiClient, id: RecordingId) -> Result<Sound, Failure> {
    let file = tempfile::Builder::new()
        .prefix("speakr-")
        .suffix(".sound")
        .tempfile()
        .map_err(scratch_failed)?;
    app.output.say("Fetching the sound…");
    api.sound(id, file.path()).await?;
    let listed = api.with_prefix(&id.to_string()).await?;
    Ok(Sound {
        duration_ms: listed.first().and_then(|recording| recording.duration_ms),
        whole: Some(Whole::Fetched(file)),
    })
}

fn scratch_failed(cause: io::Error) -> Failure {
    Failure::new(
        ExitCode::Failed,
        format!("can't write a scratch file to play: {cause}"),
    )
}

fn find_player() -> Result<(&'static Player, PathBuf), Failure> {
    PLAYERS
        .iter()
        .find_map(|player| Some((player, on_path(OsStr::new(player.name))?)))
        .ok_or_else(|| {
            let names: Vec<_> = PLAYERS.iter().map(|player| player.name).collect();
            Failure::new(
                ExitCode::Missing,
                format!(
                    "there is no program here that plays sound ({})",
                    names.join(", ")
                ),
            )
            .hint(format!(
                "install ffplay, which comes with ffmpeg: {}",
                install_line("ffmpeg")
            ))
        })
}

async fn play(mut command: Command, name: &str) -> Result<(), Failure> {
    let failed = |cause: io::Error| {
        Failure::new(ExitCode::Failed, format!("{name} couldn't be run: {cause}"))
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stderr = child.stderr.take();
    let played = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(MOST_COMPLAINTS).read_to_end(&mut said).await?;
        }
        let status = child.wait().await?;
        Ok::<_, io::Error>((status, String::from_utf8_lossy(&said).into_owned()))
    };
    let (status, said) = tokio::select! {
        played = played => played.map_err(failed)?,
        // Dropping the child ends it; in a terminal it has heard Ctrl-C itself.
        _ = asked_to_end() => return Err(Failure::new(ExitCode::Cancelled, "stopped")),
    };
    // ffplay ends well when there is nothing to play on.
    if status.success() && !said.contains("audio open failed") {
        return Ok(());
    }
    let why = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let why = why.map_or_else(|| status.to_string(), str::to_owned);
    Err(
        Failure::new(ExitCode::Failed, format!("{name} can't play it: {why}"))
            .hint("is there a loudspeaker, and does the sound server run?"),
    )
}

/// The sound from `from_ms` on as a WAV file, which goes with the value.
async fn wav_from(
    mut source: Box<dyn SoundSource>,
    from_ms: u64,
) -> Result<tempfile::NamedTempFile, Failure> {
    let failed = scratch_failed;
    let file = tempfile::Builder::new()
        .prefix("speakr-")
        .suffix(".wav")
        .tempfile()
        .map_err(failed)?;
    let mut writer = BufWriter::new(file);
    writer.write_all(&wav_header(0)).map_err(failed)?;
    let mut to_skip = ms_to_samples(from_ms);
    let mut bytes: u32 = 0;
    while let Some(samples) = source.next().await? {
        let skipped = usize::try_from(to_skip)
            .unwrap_or(usize::MAX)
            .min(samples.len());
        to_skip -= skipped as u64;
        for sample in samples.get(skipped..).unwrap_or_default() {
            writer.write_all(&sample.to_le_bytes()).map_err(failed)?;
            bytes = bytes.saturating_add(2);
        }
    }
    let mut file = writer
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    file.write_all(&wav_header(bytes)).map_err(failed)?;
    file.flush().map_err(failed)?;
    Ok(file)
}

/// The header of a 16 kHz mono 16-bit WAV file with `bytes` of samples (RIFF, format tag 1).
fn wav_header(bytes: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(44);
    header.extend(b"RIFF");
    header.extend(bytes.saturating_add(36).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(SAMPLE_RATE_HZ.to_le_bytes());
    header.extend((SAMPLE_RATE_HZ * 2).to_le_bytes());
    header.extend(2_u16.to_le_bytes());
    header.extend(16_u16.to_le_bytes());
    header.extend(b"data");
    header.extend(bytes.to_le_bytes());
    header
}
