//! A microphone of the service's own, which is listened to whatever the store does.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ports::sound::{SoundError, SoundSource};

/// Sound of a microphone, taken as it comes by a task of its own. Nobody says it twice: what can't be
/// written yet waits here, 32 kB a second.
pub(super) struct OwnMicrophone {
    sound: mpsc::UnboundedReceiver<Result<Vec<i16>, SoundError>>,
    stop: CancellationToken,
}

impl OwnMicrophone {
    /// Listens to `source` until it ends, is stopped or this is dropped.
    pub(super) fn listen(source: Box<dyn SoundSource>) -> Self {
        let (sender, sound) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        tokio::spawn(pump(source, sender, stop.clone()));
        Self { sound, stop }
    }

    /// One that hears nothing and has ended.
    pub(super) fn off() -> Self {
        let (_, sound) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        Self { sound, stop }
    }

    /// The next samples; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        self.sound.recv().await.transpose()
    }

    /// Asks it to end. What was heard by then still comes.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for OwnMicrophone {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn pump(
    mut source: Box<dyn SoundSource>,
    sender: mpsc::UnboundedSender<Result<Vec<i16>, SoundError>>,
    stop: CancellationToken,
) {
    let mut stopped = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !stopped => {
                source.stop().await;
                stopped = true;
            }
            came = source.next() => {
                let Some(came) = came.transpose() else { return };
                let broken = came.is_err();
                if sender.send(came).is_err() || broken {
                    return;
                }
            }
        }
    }
}
