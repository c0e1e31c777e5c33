//! What becomes of the sound of a request that has its answer, or that broke off.

use std::sync::Arc;

use speakr_contract::commands::RecordingCancel;
use speakr_core::{
    RecordingId,
    ports::{archive::ArchiveError, condemned::Condemned},
    usecases::{
        library::{Library, LibraryError},
        recordings::condemn_half,
    },
};
use speakr_nats::{Bus, Request};
use tokio_util::task::TaskTracker;

/// Takes away what isn't to be kept: after the answer, and also when the client went away or there
/// was no text. Of what is to be kept it takes away what was refused, as long as the transcriber
/// wasn't asked; what broke off may be sent again, and is left for that: a tombstone would refuse it
/// for good.
pub(crate) struct Cleaner {
    pub(crate) bus: Bus,
    pub(crate) library: Library,
    pub(crate) condemned: Arc<dyn Condemned>,
    pub(crate) id: RecordingId,
    pub(crate) request: Request,
    /// Whether there is anything that this may take away.
    pub(crate) armed: bool,
    /// Whether who sent it may send it again and go on with it.
    pub(crate) comes_again: bool,
    pub(crate) tasks: TaskTracker,
}

impl Cleaner {
    /// Takes it away now.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub(crate) async fn clean(mut self) -> Result<(), LibraryError> {
        self.armed = false;
        purge(&self.library, self.id).await
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (bus, library, id) = (self.bus.clone(), self.library.clone(), self.id);
        if self.comes_again {
            let condemned = Arc::clone(&self.condemned);
            self.tasks.spawn(async move {
                if let Err(error) = leave(&library, condemned.as_ref(), id).await {
                    tracing::warn!(recording_id = %id, %error, "half an upload may stay");
                }
            });
            return;
        }
        let request = self.request.clone();
        self.tasks.spawn(async move {
            let cancel = RecordingCancel {
                recording_id: *id.as_uuid(),
            };
            let message_id = format!("cancel-{id}");
            if let Err(error) = bus.publish(&cancel, &request, &message_id).await {
                tracing::warn!(recording_id = %id, %error, "the transcriber isn't told to stop");
            }
            if let Err(error) = purge(&library, id).await {
                tracing::warn!(recording_id = %id, %error, "an upload isn't taken away");
            }
        });
    }
}

async fn purge(library: &Library, id: RecordingId) -> Result<(), LibraryError> {
    match library.delete(id).await {
        Ok(_) | Err(LibraryError::Archive(ArchiveError::NotFound(_))) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Leaves what there is of an upload that broke off. Half of it goes unless it is sent again in time.
async fn leave(
    library: &Library,
    condemned: &dyn Condemned,
    id: RecordingId,
) -> Result<(), LibraryError> {
    if condemn_half(library.archive().as_ref(), condemned, id).await? {
        return Ok(());
    }
    // What is whole is a recording, though it has no text: it is listed, and grows old.
    library.refresh_description(id).await
}
