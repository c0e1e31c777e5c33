//! One piece on its way through the engine.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{
    ports::speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError},
    segmenter::Piece,
};

/// Why a piece is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It has ended: its text counts.
    Final,
    /// It is still open: its text is shown, and counts if nothing is said after.
    Look {
        /// Whether the speaker had paused.
        paused: bool,
    },
}

/// A decode that is under way.
pub(super) struct Job {
    pub(super) purpose: Purpose,
    /// What is decoded.
    pub(super) piece: Piece,
    /// The same with all sound around it that there is.
    pub(super) whole: Piece,
    stop: CancellationToken,
    work: BoxFuture<'static, Result<Decoded, SpeechError>>,
}

impl Job {
    /// Begins decoding `piece` of `whole`; it goes on only while the job is polled or on the
    /// engine's own thread.
    pub(super) fn start(
        engine: Arc<dyn SpeechEngine>,
        purpose: Purpose,
        (whole, piece): (Piece, Piece),
        options: DecodeOptions,
        stop: CancellationToken,
    ) -> Self {
        let pcm = piece.pcm.clone();
        let token = stop.clone();
        let work = async move { engine.decode(pcm, &options, &token).await }.boxed();
        Self {
            purpose,
            piece,
            whole,
            stop,
            work,
        }
    }

    /// Asks the engine to break off.
    pub(super) fn stop(&mut self) {
        self.stop.cancel();
    }

    /// Whether [`Job::stop`] was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// The result of `job`; never, when there is none.
pub(super) async fn finished(job: &mut Option<Job>) -> Result<Decoded, SpeechError> {
    match job {
        Some(job) => (&mut job.work).await,
        None => futures::future::pending().await,
    }
}

/// Waits until the engine has broken off, so that it isn't still busy when the caller goes on.
pub(super) async fn abandon(job: Option<Job>) {
    if let Some(mut job) = job {
        job.stop();
        // Its result no longer matters.
        drop((&mut job.work).await);
    }
}
