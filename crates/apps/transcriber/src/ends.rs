//! Stop and cancel: what is wanted is written down, and then whoever holds the recording is told.

use speakr_contract::{
    commands::{RecordingCancel, RecordingStop},
    control::Control,
};
use speakr_core::{RecordingId, RecordingState, ports::archive::ArchiveError};
use speakr_nats::{Delivery, Request, audio, control, intents::Stop};

use crate::{
    trouble::{Outcome, Trouble},
    worker::Worker,
};

impl Worker {
    pub(crate) async fn stop_recording(&self, stop: RecordingStop) -> Result<Outcome, Trouble> {
        let id = stop.recording_id;
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        let wanted = Stop {
            transcribe: stop.transcribe_on_stop,
            metadata: stop.metadata.clone(),
        };
        self.intents.stop(id, wanted).await?;
        let told = Control::Stop {
            transcribe: stop.transcribe_on_stop,
            metadata: stop.metadata,
        };
        // Nobody holds it yet, or its holder is gone: who holds it next reads what is wanted.
        let held = control::relay(&self.bus, id, &told).await?;
        tracing::info!(held, "stop");
        Ok(Outcome::Done)
    }

    pub(crate) async fn cancel_recording(
        &self,
        delivery: &Delivery,
        cancel: RecordingCancel,
    ) -> Result<Outcome, Trouble> {
        let id = RecordingId::from(cancel.recording_id);
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        match self.archive.recording(id).await {
            Ok(recording) if recording.state == RecordingState::Transcribed => {
                tracing::info!("too late to cancel: its text is made and kept");
                return Ok(Outcome::Done);
            }
            Ok(_) | Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.intents.cancel(cancel.recording_id).await?;
        let held = control::relay(&self.bus, cancel.recording_id, &Control::Cancel).await?;
        tracing::info!(held, "cancel");
        if !held {
            self.throw_away(&delivery.request, id).await?;
        }
        Ok(Outcome::Done)
    }

    /// Removes sound and text, and says so.
    pub(crate) async fn throw_away(
        &self,
        request: &Request,
        id: RecordingId,
    ) -> Result<(), Trouble> {
        match self.archive.delete(id).await {
            Ok(_) | Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {}
            Err(error) => return Err(error.into()),
        }
        audio::purge(&self.bus, *id.as_uuid()).await?;
        self.announcer.cancelled(request, id).await?;
        Ok(())
    }
}
