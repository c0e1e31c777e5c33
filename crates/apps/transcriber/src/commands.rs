//! Commands as the contract says them, in the core's words.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use speakr_contract::{
    AudioData, CaptureSide, DecodeOptions as WireOptions, Message, Task as WireTask,
    commands::{RecordingCancel, RecordingStart, RecordingStop, TranscriptionRun},
    decode,
};
use speakr_core::{
    CorrelationId, Language, RecordingId, Tags,
    ports::{
        platform::Stop,
        speech::{DecodeOptions, Task},
    },
    usecases::recordings::{Run, Side, Sound, Start, Trouble},
};
use speakr_nats::Delivery;
use tempfile::TempPath;

/// What is asked for.
pub(crate) enum Command {
    Start(Start),
    Stop(RecordingId, Stop),
    Cancel(RecordingId),
    /// The file that came with it goes when this does.
    Run(Run, Option<TempPath>),
}

impl Command {
    /// Reads a command; sound that comes with it goes into a scratch file.
    pub(crate) async fn read(delivery: &Delivery, scratch: &Path) -> Result<Self, Trouble> {
        match delivery.subject.as_str() {
            RecordingStart::SUBJECT => Ok(Self::Start(start(message(delivery)?))),
            RecordingStop::SUBJECT => {
                let stop: RecordingStop = message(delivery)?;
                let wanted = Stop {
                    transcribe: stop.transcribe_on_stop,
                    metadata: stop.metadata,
                };
                Ok(Self::Stop(stop.recording_id.into(), wanted))
            }
            RecordingCancel::SUBJECT => {
                let cancel: RecordingCancel = message(delivery)?;
                Ok(Self::Cancel(cancel.recording_id.into()))
            }
            TranscriptionRun::SUBJECT => run(message(delivery)?, scratch.to_owned()).await,
            other => Err(Trouble::Refused(format!("{other} is no command"))),
        }
    }
}

fn message<M: Message>(delivery: &Delivery) -> Result<M, Trouble> {
    decode(&delivery.payload).map_err(|refused| Trouble::Refused(refused.to_string()))
}

fn start(start: RecordingStart) -> Start {
    Start {
        side: match start.capture {
            CaptureSide::Client => Side::Client,
            CaptureSide::Host => Side::Host,
        },
        tags: Tags::new(&start.tags),
        metadata: start.metadata,
        created_at: start.created_at,
        options: start.options.map(options).unwrap_or_default(),
    }
}

async fn run(run: TranscriptionRun, folder: PathBuf) -> Result<Command, Trouble> {
    let (sound, file) = match (run.recording_id, run.audio_data) {
        (Some(id), _) => (Sound::Kept(id.into()), None),
        (None, Some(data)) => {
            let file = scratch(data, folder).await?;
            (Sound::File(PathBuf::from(&file)), Some(file))
        }
        (None, None) => return Err(Trouble::Refused("there is no sound".to_owned())),
    };
    let run = Run {
        sound,
        tags: Tags::new(&run.tags),
        metadata: run.metadata,
        created_at: run.created_at,
        options: run.options.map(options),
    };
    Ok(Command::Run(run, file))
}

async fn scratch(data: AudioData, folder: PathBuf) -> Result<TempPath, Trouble> {
    let write = move || -> std::io::Result<TempPath> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&data.0)?;
        file.flush()?;
        Ok(file.into_temp_path())
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| Trouble::Later(format!("can't write a scratch file: {error}")))
}

fn options(wire: WireOptions) -> DecodeOptions {
    DecodeOptions {
        model: wire.model,
        language: wire.language.map(|code| Language::new(&code)),
        task: match wire.task {
            WireTask::Transcribe => Task::Transcribe,
            WireTask::Translate => Task::Translate,
        },
        prompt: wire.prompt,
        word_timestamps: wire.word_timestamps,
    }
}

/// The request that a command belongs to.
pub(crate) fn correlation(delivery: &Delivery) -> CorrelationId {
    CorrelationId::from(delivery.request.correlation_id)
}

/// When the command was stored: the time of what it doesn't date itself.
pub(crate) fn sent_at(delivery: &Delivery) -> Timestamp {
    Timestamp::from_millisecond(delivery.sent_at_ms).unwrap_or_else(|_| Timestamp::now())
}

/// The recording that a command that failed was about, where whoever asked waits for its text.
pub(crate) fn recording_meant(delivery: &Delivery) -> Option<RecordingId> {
    let own = RecordingId::from_correlation(correlation(delivery));
    match delivery.subject.as_str() {
        RecordingStart::SUBJECT => Some(own),
        TranscriptionRun::SUBJECT => Some(
            decode::<TranscriptionRun>(&delivery.payload)
                .ok()
                .and_then(|run| run.recording_id)
                .map_or(own, RecordingId::from),
        ),
        _ => None,
    }
}

/// Whether a command brought a file with it.
pub(crate) fn comes_with_file(delivery: &Delivery) -> bool {
    delivery.subject == TranscriptionRun::SUBJECT
        && decode::<TranscriptionRun>(&delivery.payload).is_ok_and(|run| run.recording_id.is_none())
}
