//! One recording after the other gets its text, from the sound that was kept.

use std::path::{Path, PathBuf};

use speakr_core::{
    Recording, RecordingId, RecordingState,
    ports::{
        archive::{Archive, ArchiveError, SoundWriter},
        index::Entry,
        sound::{SoundInput, SoundSource},
    },
    usecases::library,
};
use speakr_local::{Beginning, LockError, RecordingLock, TranscriptionLock};
use tokio_util::sync::CancellationToken;

use super::original::{self, Original};
use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    output::clock,
    platform::sound_of,
    speech::Speech,
};

/// Makes texts of kept sound, with one load of the model.
pub(crate) struct Retry<'a> {
    app: &'a App,
    model: Option<String>,
    speech: Option<(Option<String>, Speech)>,
    cancel: CancellationToken,
}

/// Whose turn it is to make a text.
pub(crate) enum Turn {
    /// This process's.
    Mine(Held),
    /// Another's.
    Busy(LockError),
    /// Nobody's: it has its text. What else there is to do with it is this process's.
    Kept(Held),
    /// Nobody's: it is gone.
    Gone,
}

/// A recording whose text no other process makes as long as this is held.
pub(crate) struct Held {
    recording: Recording,
    has_text: bool,
    _lock: TranscriptionLock,
}

impl Held {
    /// What is known of it.
    pub(crate) const fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Whether the index may know a text of it, also one that can't be read any more.
    fn may_be_found(&self) -> bool {
        self.has_text || self.recording.state == RecordingState::Transcribed
    }
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

    /// Looks whose turn it is to make the text of `id`, and takes it where it is nobody's yet. One
    /// that has a text is this process's only to make it `anew`.
    pub(crate) async fn take(&self, id: RecordingId, anew: bool) -> Result<Turn, Failure> {
        let home = self.app.home();
        // In this order: whoever records has the lock of the text before it lets the other go.
        if RecordingLock::is_recording(home, id)? {
            return Ok(Turn::Busy(LockError::Recording { holder: None }));
        }
        Beginning::wait(home)?;
        let gone = |error: &ArchiveError| {
            matches!(error, ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) && !anew
        };
        let lock = match TranscriptionLock::acquire(home, id) {
            Ok(lock) => lock,
            Err(LockError::Archive(error)) if gone(&error) => return Ok(Turn::Gone),
            Err(error @ LockError::Transcribing(_)) => return Ok(Turn::Busy(error)),
            Err(error) => return Err(error.into()),
        };
        // Only now is it sure that nothing changes any more.
        let archive = self.app.archive()?;
        let has_text = match archive.transcript(id).await {
            Ok(text) => text.is_some(),
            Err(ArchiveError::Damaged { .. }) => false,
            Err(error) if gone(&error) => return Ok(Turn::Gone),
            Err(error) => return Err(error.into()),
        };
        let held = Held {
            recording: archive.recording(id).await?,
            has_text,
            _lock: lock,
        };
        Ok(if has_text && !anew {
            Turn::Kept(held)
        } else {
            Turn::Mine(held)
        })
    }

    /// Does what is left to do with recordings that have their text: a process that was killed
    /// while it kept one may have left its description behind, and its sound as it came.
    pub(crate) async fn tidy_up(&self) -> Result<(), Failure> {
        for id in self.app.archive()?.uncompacted().await? {
            if let Turn::Kept(held) = self.take(id, false).await? {
                self.complete(held).await?;
            }
        }
        Ok(())
    }

    /// The same with one.
    pub(crate) async fn complete(&self, held: Held) -> Result<(), Failure> {
        let id = held.recording.recording_id;
        if held.recording.state != RecordingState::Transcribed
            && let Err(error) = self.app.library().await?.refresh(id).await
        {
            self.warn_of_unfindable(id, &error.into());
        }
        match self.app.archive()?.compact_sound(id).await {
            Ok(()) | Err(ArchiveError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the text. Where that fails, a text that is there already stays, and nothing is noted.
    pub(crate) async fn make(&mut self, held: Held) -> Result<Entry, Failure> {
        let archive = self.app.archive()?;
        let mut asked = held.recording.clone();
        if let Some(model) = &self.model {
            asked.options.model = Some(model.clone());
        }
        let found = held.may_be_found();
        match self.text(archive.as_ref(), &asked, found).await {
            Err(failure) if failure.code() != ExitCode::Cancelled && !held.has_text => {
                let reason = failure.message().to_owned();
                let failed = move |recording: &mut Recording| {
                    recording.state = RecordingState::Failed;
                    recording.error = Some(reason.clone());
                };
                let id = held.recording.recording_id;
                let library = self.app.library().await?;
                library.amend(id, Box::new(failed)).await?;
                Err(failure)
            }
            made => made,
        }
    }

    /// Makes the text of `recording` and keeps it, in place of one that may be `found` already.
    async fn text(
        &mut self,
        archive: &dyn Archive,
        recording: &Recording,
        found: bool,
    ) -> Result<Entry, Failure> {
        if self.app.has_platform() {
            return self.send(archive, recording, found).await;
        }
        let library = self.app.library().await?;
        let id = recording.recording_id;
        let Sound {
            mut source,
            mut writer,
        } = self.sound(archive, recording).await?;
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
        self.app.output.say(&format!(
            "Transcribing {}{}…",
            id.short(),
            length(recording)
        ));
        let decoding = speech
            .decode_from(
                source.as_mut(),
                writer.as_deref_mut(),
                &recording.options,
                &(),
                &self.cancel,
            )
            .await?;
        drop(writer);
        let transcript = decoding.transcript(recording);
        let kept = if found {
            library.replace(&transcript).await?
        } else {
            library.keep(&transcript).await?
        };
        if let Err(failure) = self.app.settle(&kept, &transcript).await {
            self.warn_of_unfindable(id, &failure);
        }
        Ok(Entry {
            recording: kept,
            text: transcript.text,
        })
    }

    fn warn_of_unfindable(&self, id: RecordingId, failure: &Failure) {
        self.app.output.warn(&format!(
            "{}: the text is kept, but can't be found yet: {failure}",
            id.short()
        ));
    }

    /// Sends the kept sound to the platform, which makes its text and keeps both from then on.
    async fn send(
        &self,
        archive: &dyn Archive,
        recording: &Recording,
        found: bool,
    ) -> Result<Entry, Failure> {
        let id = recording.recording_id;
        let observer = std::sync::Arc::new(());
        let never = CancellationToken::new();
        let Some(platform) = self.app.spoken_by(observer, self.cancel.clone(), never)? else {
            return Err(Failure::new(ExitCode::Usage, "no platform is set up"));
        };
        self.app.output.say(&format!(
            "Sending {}{} to the platform…",
            id.short(),
            length(recording)
        ));
        // Read, and not completed: the platform keeps it.
        let original = self.original(recording);
        let open = async || match &original {
            Some(path) => Ok(sound_of(self.open(path).await?)),
            None => Ok(sound_of(archive.open_sound(id).await?)),
        };
        let mut asked = recording.clone();
        // A model of this machine means nothing there.
        asked.options.model = self.model.clone();
        let spoken = platform.again(&asked, open).await?;
        // The text is safe here too before anything is taken away.
        let mut kept = if found {
            let library = self.app.library().await?;
            library.replace(&spoken.transcript).await?
        } else {
            library::keep(archive, &spoken.transcript).await?
        };
        self.app.hand_over(id).await;
        kept.recording_id = spoken.there;
        Ok(Entry {
            recording: kept,
            text: spoken.transcript.text,
        })
    }

    /// The sound of `recording`, all of it that can be had.
    async fn sound(&self, archive: &dyn Archive, recording: &Recording) -> Result<Sound, Failure> {
        let id = recording.recording_id;
        if let Some(path) = self.original(recording) {
            // What was kept is only the beginning, and is completed.
            let writer = match archive.resume(id).await {
                Err(ArchiveError::NotFound(_)) => archive.begin(recording).await?,
                resumed => resumed?,
            };
            return Ok(Sound {
                source: self.open(&path).await?,
                writer: Some(writer),
            });
        }
        match archive.open_sound(id).await {
            Ok(source) => Ok(Sound {
                source,
                writer: None,
            }),
            Err(ArchiveError::NotFound(_)) => {
                Err(Failure::new(ExitCode::Failed, "no sound of it was kept")
                    .hint(format!("`speakr rm {}` takes it away", id.short())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The file that an interrupted `transcribe` read, if it is as it was. Says so where it isn't:
    /// the text is only that of the beginning then.
    fn original(&self, recording: &Recording) -> Option<PathBuf> {
        match original::of(recording) {
            Original::None => None,
            Original::There(path) => Some(path),
            Original::Changed(path) => {
                self.app.output.warn(&format!(
                    "{} isn't the file any more that {} was made of; what was kept of it then gets \
                     its text",
                    path.display(),
                    recording.recording_id.short()
                ));
                None
            }
        }
    }

    async fn open(&self, path: &Path) -> Result<Box<dyn SoundSource>, Failure> {
        let input = SoundInput::File(path.to_owned());
        Ok(self.app.decoder().open(&input).await?)
    }
}

/// Where sound comes from, and where it goes on to.
struct Sound {
    source: Box<dyn SoundSource>,
    writer: Option<Box<dyn SoundWriter>>,
}

fn length(recording: &Recording) -> String {
    recording
        .duration_ms
        .map_or_else(String::new, |ms| format!(" ({})", clock(ms)))
}
