//! Run: the text of kept sound, or of a file.

use std::{path::PathBuf, time::Duration};

use super::{Asked, Outcome, Recordings, Run, Sound, Trouble, about, writing::Kept};
use crate::{
    Recording, RecordingId, RecordingState,
    audio::samples_to_ms,
    ports::{
        archive::ArchiveError,
        platform::Nudges,
        sound::{SoundError, SoundInput},
    },
};

/// How long a recording may take to appear whose start was sent just before the run.
const APPEARS_WITHIN: Duration = Duration::from_secs(5);
/// How long a recording may take to end that somebody wants the text of already.
const ENDS_WITHIN: Duration = Duration::from_secs(3600);
/// Least pause between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest such pause.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

impl Recordings {
    /// Makes the text of kept sound, or of a file, which becomes the recording of this request.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn run(&self, asked: &Asked, run: Run) -> Result<Outcome, Trouble> {
        let id = match &run.sound {
            Sound::Kept(id) => *id,
            Sound::File(_) => asked.own_recording(),
        };
        about(id);
        let mut nudges = self.parts.holders.hold(id).await?;
        let nudges = nudges.as_mut();
        let done = if self.is_cancelled(id).await? {
            Err(Trouble::Cancelled)
        } else {
            match run.sound.clone() {
                Sound::Kept(_) => self.run_kept(asked, id, run, nudges).await,
                Sound::File(file) => self.run_file(asked, id, run, file, nudges).await,
            }
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Cancelled) => {
                self.throw_away(asked, id).await?;
                Ok(Outcome::Done)
            }
            Err(Trouble::Ending) => Ok(Outcome::HandBack),
            Err(Trouble::NotYet(pause)) => Ok(Outcome::Postpone(pause)),
            // Who cancels a run may delete what there is of it before this replica has heard.
            Err(deleted @ Trouble::Archive(ArchiveError::Deleted(_))) => {
                if !self.is_cancelled(id).await? {
                    return Err(deleted);
                }
                self.throw_away(asked, id).await?;
                Ok(Outcome::Done)
            }
            Err(other) => Err(other),
        }
    }

    async fn run_kept(
        &self,
        asked: &Asked,
        id: RecordingId,
        run: Run,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let mut recording = self.captured(asked, id).await?;
        let (tags, metadata, options) = (run.tags, run.metadata, run.options);
        let add = move |recording: &mut Recording| {
            recording.tags.extend(&tags);
            recording.metadata.extend(metadata.clone());
            recording.without_text = false;
            if let Some(options) = &options {
                recording.options = options.clone();
            }
        };
        // What is refused leaves no trace.
        add(&mut recording);
        self.check_options(&recording)?;
        let recording = self.parts.archive.amend(id, Box::new(add)).await?;
        self.transcribe_kept(asked, &recording, nudges).await
    }

    /// The recording, once all of its sound is kept.
    async fn captured(&self, asked: &Asked, id: RecordingId) -> Result<Recording, Trouble> {
        let waited_ms = self.parts.clock.now().as_millisecond() - asked.at.as_millisecond();
        let waited = Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0));
        let not_yet = Trouble::NotYet((waited / 10).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY));
        Err(match self.parts.archive.recording(id).await {
            Ok(recording) if recording.state != RecordingState::Capturing => {
                return Ok(recording);
            }
            Ok(_) if waited > ENDS_WITHIN => {
                Trouble::Refused(format!("recording {id} hasn't ended"))
            }
            Err(ArchiveError::NotFound(_)) if waited > APPEARS_WITHIN => {
                Trouble::Refused(format!("there is no recording {id}"))
            }
            Ok(_) | Err(ArchiveError::NotFound(_)) => not_yet,
            Err(error) => error.into(),
        })
    }

    async fn run_file(
        &self,
        asked: &Asked,
        id: RecordingId,
        run: Run,
        file: PathBuf,
        nudges: &mut dyn Nudges,
    ) -> Result<(), Trouble> {
        let recording = match self.parts.archive.recording(id).await {
            // It was done before, and the word of it got lost.
            Ok(recording) if recording.state == RecordingState::Transcribed => {
                if let Some(transcript) = self.parts.archive.transcript(id).await? {
                    return Ok(asked.announcer.succeeded(&transcript).await?);
                }
                recording
            }
            Ok(recording) if recording.state != RecordingState::Capturing => {
                self.parts.archive.compact_sound(id).await?;
                recording
            }
            Ok(_) | Err(ArchiveError::NotFound(_)) => self.keep_file(asked, run, file).await?,
            Err(error) => return Err(error.into()),
        };
        self.transcribe_kept(asked, &recording, nudges).await
    }

    /// Whether the recording was deleted: what a command says of it is to be kept nowhere then.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn is_deleted(&self, id: RecordingId) -> Result<bool, ArchiveError> {
        self.parts.archive.is_deleted(id).await
    }

    /// Removes what was kept of a file that can't be served: whoever sent it has it whole.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn remove_half(&self, id: RecordingId) -> Result<(), ArchiveError> {
        match self.parts.archive.recording(id).await {
            Ok(recording) if recording.state == RecordingState::Capturing => {
                self.parts.archive.delete(id).await.map(drop)
            }
            Ok(_) | Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Brings the sound of the file into the store of record.
    async fn keep_file(
        &self,
        asked: &Asked,
        run: Run,
        file: PathBuf,
    ) -> Result<Recording, Trouble> {
        let mut recording = Recording::begin(
            asked.correlation_id,
            run.created_at.unwrap_or(asked.at),
            run.tags,
            run.options.unwrap_or_default(),
        );
        recording.metadata = run.metadata;
        self.check_options(&recording)?;
        // The scratch file's name says nothing to whoever sent its content.
        let name = file.display().to_string();
        let unnamed = |error: SoundError| match Trouble::from(error) {
            Trouble::Refused(reason) => Trouble::Refused(reason.replace(&name, "audio_data")),
            other => other,
        };
        let input = SoundInput::File(file);
        let mut source = self.parts.decoder.open(&input).await.map_err(unnamed)?;
        // What isn't sound leaves no trace.
        let mut next = source.next().await.map_err(unnamed)?;
        let mut writer = self.writer(&recording).await?;
        let mut kept = Kept::new(writer.as_mut());
        while let Some(pcm) = next {
            kept.write(&pcm).await?;
            if self.parts.stop_now.is_cancelled() {
                return Err(Trouble::Ending);
            }
            next = source.next().await.map_err(unnamed)?;
        }
        writer.sync().await?;
        let duration_ms = Some(samples_to_ms(writer.samples()));
        drop(writer);
        let id = recording.recording_id;
        let captured = move |recording: &mut Recording| {
            recording.duration_ms = duration_ms;
            // Another replica may have come further with it.
            if recording.state == RecordingState::Capturing {
                recording.state = RecordingState::Captured;
            }
        };
        let recording = self.parts.archive.amend(id, Box::new(captured)).await?;
        self.parts.archive.compact_sound(id).await?;
        Ok(recording)
    }
}
