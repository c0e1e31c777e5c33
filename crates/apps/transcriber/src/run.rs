//! `transcription.run`: the text of kept sound, or of a file that comes with the command.

use std::{io::Write, time::Duration};

use jiff::Timestamp;
use speakr_contract::commands::TranscriptionRun;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    audio::samples_to_ms,
    ports::{
        archive::{ArchiveError, SoundWriter},
        sound::{SoundError, SoundInput},
    },
};
use speakr_nats::{Delivery, control::Controls};

use crate::{
    announce,
    trouble::{Outcome, Trouble},
    worker::{Worker, own_recording},
};

/// How long a recording may take to appear whose start was sent just before the run.
const APPEARS_WITHIN: Duration = Duration::from_secs(5);
/// How long a recording may take to end whose stop was sent just before the run.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Worker {
    pub(crate) async fn run(
        &self,
        delivery: &Delivery,
        run: TranscriptionRun,
    ) -> Result<Outcome, Trouble> {
        let id = run
            .recording_id
            .map_or_else(|| own_recording(&delivery.request), RecordingId::from);
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        let mut controls = Controls::listen(&self.bus, *id.as_uuid()).await?;
        let done = if self.intents.get(*id.as_uuid()).await?.cancelled {
            Err(Trouble::Cancelled)
        } else if run.recording_id.is_some() {
            self.run_kept(delivery, id, run, &mut controls).await
        } else {
            self.run_file(delivery, id, run, &mut controls).await
        };
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Cancelled) => {
                self.throw_away(&delivery.request, id).await?;
                Ok(Outcome::Done)
            }
            Err(Trouble::Archive(ArchiveError::Deleted(id))) => {
                Err(Trouble::Refused(format!("recording {id} was deleted")))
            }
            Err(other) => Err(other),
        }
    }

    async fn run_kept(
        &self,
        delivery: &Delivery,
        id: RecordingId,
        run: TranscriptionRun,
        controls: &mut Controls,
    ) -> Result<(), Trouble> {
        let mut recording = self.wait_for_captured(id).await?;
        let before = recording.clone();
        recording.tags.extend(&Tags::new(&run.tags));
        recording.metadata.extend(run.metadata);
        if run.options.is_some() {
            recording.options = announce::options(run.options);
        }
        if recording != before {
            self.archive.update(&recording).await?;
        }
        self.transcribe_kept(&delivery.request, &recording, controls)
            .await
    }

    async fn wait_for_captured(&self, id: RecordingId) -> Result<Recording, Trouble> {
        let began = tokio::time::Instant::now();
        loop {
            let reason = match self.archive.recording(id).await {
                Ok(recording) if recording.state != RecordingState::Capturing => {
                    return Ok(recording);
                }
                Ok(_) if began.elapsed() > ENDS_WITHIN => {
                    Some(format!("recording {id} hasn't ended"))
                }
                Err(ArchiveError::NotFound(_)) if began.elapsed() > APPEARS_WITHIN => {
                    Some(format!("there is no recording {id}"))
                }
                Ok(_) | Err(ArchiveError::NotFound(_)) => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(reason) = reason {
                return Err(Trouble::Refused(reason));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Trouble::Ending),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn run_file(
        &self,
        delivery: &Delivery,
        id: RecordingId,
        run: TranscriptionRun,
        controls: &mut Controls,
    ) -> Result<(), Trouble> {
        match self.archive.recording(id).await {
            // It was done before, and the word of it got lost.
            Ok(recording) if recording.state == RecordingState::Transcribed => {
                if let Some(transcript) = self.archive.transcript(id).await? {
                    return self
                        .announcer
                        .succeeded(&delivery.request, &transcript)
                        .await;
                }
                return self
                    .transcribe_kept(&delivery.request, &recording, controls)
                    .await;
            }
            Ok(recording) if recording.state != RecordingState::Capturing => {
                return self
                    .transcribe_kept(&delivery.request, &recording, controls)
                    .await;
            }
            Ok(_) | Err(ArchiveError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let recording = self.keep_file(delivery, id, run).await?;
        self.transcribe_kept(&delivery.request, &recording, controls)
            .await
    }

    /// Brings the sound of the file into the store of record.
    async fn keep_file(
        &self,
        delivery: &Delivery,
        id: RecordingId,
        run: TranscriptionRun,
    ) -> Result<Recording, Trouble> {
        let Some(data) = run.audio_data else {
            return Err(Trouble::Refused("there is no sound".to_owned()));
        };
        let file = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
            let mut file = tempfile::NamedTempFile::new()?;
            file.write_all(&data.0)?;
            file.flush()?;
            Ok(file)
        })
        .await
        .map_err(std::io::Error::other)??;
        let mut recording = Recording::begin(
            CorrelationId::from(delivery.request.correlation_id),
            run.created_at.unwrap_or_else(|| sent_at(delivery)),
            Tags::new(&run.tags),
            announce::options(run.options),
        );
        recording.metadata = run.metadata;
        self.check_options(&recording)?;
        let input = SoundInput::File(file.path().to_owned());
        // The scratch file's name says nothing to whoever sent its content.
        let name = file.path().display().to_string();
        let unnamed = |error: SoundError| match Trouble::from(error) {
            Trouble::Refused(reason) => Trouble::Refused(reason.replace(&name, "audio_data")),
            other => other,
        };
        let mut source = self.decoder.open(&input).await.map_err(unnamed)?;
        // What isn't sound leaves no trace.
        let first = source.next().await.map_err(unnamed)?;
        let mut writer = self.writer(&recording).await?;
        let mut kept = Kept::new(writer.as_mut());
        let mut next = first;
        while let Some(pcm) = next {
            kept.write(&pcm).await?;
            if self.stop_runs.is_cancelled() {
                return Err(Trouble::Ending);
            }
            next = source.next().await.map_err(unnamed)?;
        }
        writer.sync().await?;
        recording.duration_ms = Some(samples_to_ms(writer.samples()));
        drop(writer);
        self.archive.compact_sound(id).await?;
        recording.state = RecordingState::Captured;
        self.archive.update(&recording).await?;
        Ok(recording)
    }

    /// A writer of `recording`'s sound, which goes on where one broke off.
    pub(crate) async fn writer(
        &self,
        recording: &Recording,
    ) -> Result<Box<dyn SoundWriter>, Trouble> {
        match self.archive.resume(recording.recording_id).await {
            Ok(writer) => Ok(writer),
            Err(ArchiveError::NotFound(_)) => Ok(self.archive.begin(recording).await?),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes sound that is given from its start, less what was written before.
pub(crate) struct Kept<'a> {
    writer: &'a mut dyn SoundWriter,
    skip: u64,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(writer: &'a mut dyn SoundWriter) -> Self {
        let skip = writer.samples();
        Self { writer, skip }
    }

    /// The sound that comes is new: it goes on after what was written before.
    pub(crate) const fn append(&mut self) {
        self.skip = 0;
    }

    /// Makes what was written survive a crash.
    pub(crate) async fn sync(&mut self) -> Result<(), ArchiveError> {
        self.writer.sync().await
    }

    pub(crate) async fn write(&mut self, pcm: &[i16]) -> Result<(), ArchiveError> {
        let known = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(pcm.len());
        self.skip -= known as u64;
        match &pcm[known..] {
            [] => Ok(()),
            new => self.writer.write(new).await,
        }
    }
}

/// When the command was stored: the time of what it doesn't date itself.
pub(crate) fn sent_at(delivery: &Delivery) -> Timestamp {
    Timestamp::from_millisecond(delivery.sent_at_ms).unwrap_or_else(|_| Timestamp::now())
}
