//! `speakr retry`: the text of recordings that were interrupted or failed.

use clap::Args;
use speakr_core::{
    Recording, RecordingId, RecordingState,
    ports::{
        archive::{Archive, ArchiveError},
        index::Entry,
        sound::SoundInput,
    },
    search::Listing,
    usecases::{
        capture::{Tee, TeeError},
        transcribe::Pace,
    },
};
use speakr_local::{LockError, RecordingLock, TranscriptionLock};
use tokio_util::sync::CancellationToken;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    output::clock,
    platform::sound_of,
    speech::Speech,
};

/// Which recordings.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// These; all that have no text where absent. One that has a text gets a new one
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// The speech model, instead of the one that was asked for
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Makes the missing texts; one that fails doesn't keep the rest from being done.
pub(crate) async fn run(app: &App, args: &RetryArgs) -> Result<(), Failure> {
    let library = app.library().await?;
    let ids = if args.ids.is_empty() {
        unfinished(app).await?
    } else {
        let mut ids = Vec::new();
        for id in &args.ids {
            ids.push(library.resolve(id).await?);
        }
        ids
    };
    let cancel = CancellationToken::new();
    let on_signal = cancel.clone();
    tokio::spawn(async move {
        if crate::signals::asked_to_end().await.is_ok() {
            on_signal.cancel();
        }
    });
    let mut retry = Retry::new(app, args.model.clone(), cancel);
    let mut done = Vec::new();
    let mut failed = 0_usize;
    for id in ids {
        match retry.one(id).await {
            Ok(Some(entry)) => {
                if !app.output.is_json() {
                    app.output
                        .print(&super::list::line(&entry.clone().into()))?;
                }
                done.push(entry);
            }
            Ok(None) => {}
            Err(failure) if failure.code() == ExitCode::Cancelled => return Err(failure),
            Err(failure) => {
                failed += 1;
                app.output.warn(&format!("{}: {failure}", id.short()));
                if let Some(hint) = failure.hint_text() {
                    app.output.say(&format!("  {hint}"));
                }
            }
        }
    }
    if app.output.is_json() {
        app.output.print_json(&Listing::from(done))?;
    } else if done.is_empty() && failed == 0 {
        app.output.say("Every recording has its text.");
    }
    match failed {
        0 => Ok(()),
        n => Err(Failure::new(
            ExitCode::Failed,
            format!("{n} of the recordings failed again"),
        )),
    }
}

/// Recordings without a text that no process is at.
pub(crate) async fn unfinished(app: &App) -> Result<Vec<RecordingId>, Failure> {
    let mut ids = Vec::new();
    for entry in app.library().await?.unfinished().await? {
        let id = entry.recording.recording_id;
        if !RecordingLock::is_recording(app.home(), id)? {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Makes texts of kept sound, with one load of the model.
pub(crate) struct Retry<'a> {
    app: &'a App,
    model: Option<String>,
    speech: Option<(Option<String>, Speech)>,
    cancel: CancellationToken,
}

impl<'a> Retry<'a> {
    /// With `model`, or the one that each recording asked for.
    pub(crate) const fn new(
        app: &'a App,
        model: Option<String>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            app,
            model,
            speech: None,
            cancel,
        }
    }

    /// Makes the text of `id`; nothing where another process is at it.
    pub(crate) async fn one(&mut self, id: RecordingId) -> Result<Option<Entry>, Failure> {
        let _lock = match TranscriptionLock::acquire(self.app.home(), id) {
            Ok(lock) => lock,
            Err(LockError::Transcribing(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let archive = self.app.archive()?;
        let mut recording = archive.recording(id).await?;
        if let Some(model) = &self.model {
            recording.options.model = Some(model.clone());
        }
        match self.text(archive.as_ref(), &mut recording).await {
            Ok(entry) => Ok(Some(entry)),
            Err(failure) if failure.code() == ExitCode::Cancelled => Err(failure),
            Err(failure) => {
                recording.state = RecordingState::Failed;
                recording.error = Some(failure.message().to_owned());
                self.app.library().await?.update(&recording).await?;
                Err(failure)
            }
        }
    }

    async fn text(
        &mut self,
        archive: &dyn Archive,
        recording: &mut Recording,
    ) -> Result<Entry, Failure> {
        if self.app.has_platform() {
            return self.send(archive, recording).await;
        }
        let library = self.app.library().await?;
        let id = recording.recording_id;
        // The file that a copy was being made of when `transcribe` was killed, where it is still
        // there: the copy is only its beginning, and is completed first.
        let original = self.original(recording).await;
        let mut writer = match &original {
            Some(_) => archive.resume(id).await.ok(),
            None => None,
        };
        let mut source = match original {
            Some(source) => source,
            None => match archive.open_sound(id).await {
                Ok(source) => source,
                Err(ArchiveError::NotFound(_)) => {
                    return Err(Failure::new(ExitCode::Failed, "no sound of it was kept")
                        .hint(format!("`speakr rm {}` takes it away", id.short())));
                }
                Err(error) => return Err(error.into()),
            },
        };
        let wanted = recording.options.model.clone();
        if self
            .speech
            .as_ref()
            .is_none_or(|(model, _)| *model != wanted)
        {
            self.app.check_model(&recording.options)?;
            self.speech = Some((wanted, self.app.speech(&recording.options).await?));
        }
        let Some((_, speech)) = &self.speech else {
            return Err(Failure::new(ExitCode::Failed, "no speech model is loaded"));
        };
        let length = recording
            .duration_ms
            .map_or_else(String::new, |ms| format!(" ({})", clock(ms)));
        self.app
            .output
            .say(&format!("Transcribing {}{length}…", id.short()));
        let mut tee = Tee::new(source.as_mut(), writer.as_deref_mut());
        let decoding = speech
            .decode(
                tee.stream(),
                Pace::File,
                &recording.options,
                &(),
                &self.cancel,
            )
            .await;
        match tee.finish().await {
            Ok(_) => {}
            Err(TeeError::Source(error)) => return Err(error.into()),
            Err(TeeError::Archive(error)) => return Err(error.into()),
        }
        drop(writer);
        let transcript = decoding?.transcript(recording);
        let kept = library.keep(&transcript).await?;
        self.app.settle(&kept, &transcript).await?;
        Ok(Entry {
            recording: kept,
            text: transcript.text,
        })
    }

    /// Sends the kept sound to the platform, which makes its text and keeps both from then on.
    async fn send(&self, archive: &dyn Archive, recording: &Recording) -> Result<Entry, Failure> {
        let id = recording.recording_id;
        let observer = std::sync::Arc::new(());
        let never = CancellationToken::new();
        let Some(platform) = self.app.spoken_by(observer, self.cancel.clone(), never)? else {
            return Err(Failure::new(ExitCode::Usage, "no platform is set up"));
        };
        let length = recording
            .duration_ms
            .map_or_else(String::new, |ms| format!(" ({})", clock(ms)));
        self.app
            .output
            .say(&format!("Sending {}{length} to the platform…", id.short()));
        let open = async || match self.original(recording).await {
            Some(source) => Ok(sound_of(source)),
            None => Ok(sound_of(archive.open_sound(id).await?)),
        };
        let mut recording = recording.clone();
        // A model of this machine means nothing there.
        recording.options.model = self.model.clone();
        let spoken = platform.again(&recording, open).await?;
        // The text is safe here too before anything is taken away.
        let mut kept = speakr_core::usecases::library::keep(archive, &spoken.transcript).await?;
        self.app.hand_over(id).await;
        kept.recording_id = spoken.there;
        Ok(Entry {
            recording: kept,
            text: spoken.transcript.text,
        })
    }

    /// The file that an interrupted `transcribe` read.
    async fn original(
        &self,
        recording: &Recording,
    ) -> Option<Box<dyn speakr_core::ports::sound::SoundSource>> {
        if recording.state != RecordingState::Capturing {
            return None;
        }
        let path = recording.metadata.get("source_path")?.as_str()?;
        self.app
            .decoder()
            .open(&SoundInput::File(path.into()))
            .await
            .ok()
    }
}
