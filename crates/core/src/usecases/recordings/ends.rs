//! Stop and cancel: what is wanted is written down, and then whoever holds the recording is told.

use super::{Asked, Outcome, Recordings, Trouble, about};
use crate::{
    RecordingId,
    ports::{
        archive::ArchiveError,
        platform::{Nudge, Stop},
    },
};

impl Recordings {
    /// Ends the recording `id` and keeps its sound.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn stop(&self, id: RecordingId, stop: Stop) -> Result<Outcome, Trouble> {
        about(id);
        self.parts.intents.stop(id, stop.clone()).await?;
        // Nobody holds it yet, or its holder is gone: who holds it next reads what is wanted.
        let held = self.parts.holders.nudge(id, Nudge::Stop(stop)).await?;
        tracing::info!(held, "stop");
        Ok(Outcome::Done)
    }

    /// Ends the recording `id`, or the making of its text, and throws it away.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn cancel(&self, asked: &Asked, id: RecordingId) -> Result<Outcome, Trouble> {
        about(id);
        if self.is_transcribed(id).await? {
            tracing::info!("too late to cancel: its text is made and kept");
            return Ok(Outcome::Done);
        }
        self.parts.intents.cancel(id).await?;
        let held = self.parts.holders.nudge(id, Nudge::Cancel).await?;
        tracing::info!(held, "cancel");
        if !held {
            self.throw_away(asked, id).await?;
        }
        Ok(Outcome::Done)
    }

    /// Removes the sound, and says so; unless its text was kept meanwhile.
    pub(super) async fn throw_away(&self, asked: &Asked, id: RecordingId) -> Result<(), Trouble> {
        if self.is_transcribed(id).await? {
            tracing::info!("too late to cancel: its text was kept meanwhile");
            return Ok(());
        }
        match self.parts.archive.delete(id).await {
            Ok(_) | Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.parts.sent.purge(id).await?;
        asked.announcer.cancelled(id).await?;
        Ok(())
    }
}
