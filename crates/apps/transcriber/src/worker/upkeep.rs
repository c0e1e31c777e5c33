//! What is seen to beside the commands: that there are queues, how long they are, and that nothing stays that nobody needs.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use speakr_core::usecases::recordings::chain;
use speakr_nats::{BusError, Queue, streams};

use super::Worker;
use crate::measures;

/// How often it is measured how much there is to do, and the queues are looked after.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

impl Worker {
    /// Measures how much there is to do, and sees to it that there are queues.
    pub(super) async fn watch(self: Arc<Self>, queues: Vec<Queue>) {
        let mut was_unknown = false;
        while !self.stop.is_cancelled() {
            let read = measures::read_depths(&self.bus, &queues).await;
            if let Err(error) = &read {
                tracing::debug!(error = chain(error), "can't read how much there is to do");
            }
            // Twice in a row, so it isn't what came while it was read.
            let unknown = read.as_ref().is_ok_and(|unknown| *unknown > 0);
            if unknown && was_unknown {
                self.clear_answered(&queues).await;
            }
            was_unknown = unknown;
            let in_trouble = self.in_trouble.swap(false, Ordering::Relaxed);
            // One that no queue is in is missed only by whoever needs it.
            let gone = || async { streams::is_any_gone(&self.bus).await.unwrap_or(true) };
            if self.bus.is_connected() && (in_trouble || read.is_err() || gone().await) {
                self.mend(&queues).await;
            }
            self.pause(MEASURE_EVERY).await;
        }
    }

    /// Takes out commands that were answered and lie there since their server was killed.
    async fn clear_answered(&self, queues: &[Queue]) {
        for queue in queues {
            match queue.clear_answered().await {
                Ok(0) => {}
                Ok(commands) => tracing::info!(
                    queue = queue.name(),
                    commands,
                    "commands that were answered had stayed in their stream, and are taken out"
                ),
                Err(error) => tracing::warn!(
                    error = chain(&error),
                    "commands that were answered stay in their stream"
                ),
            }
        }
    }

    /// Makes streams and queues again that are gone: lost with the disk of their server, or deleted.
    /// Nobody else does.
    async fn mend(&self, queues: &[Queue]) {
        let mended = async {
            streams::ensure(&self.bus, &self.streams).await?;
            for queue in queues {
                if !queue.is_there().await? {
                    queue.make_again().await?;
                    tracing::warn!(queue = queue.name(), "a queue was gone, and is made again");
                }
            }
            Ok::<(), BusError>(())
        };
        if let Err(error) = mended.await {
            tracing::warn!(error = chain(&error), "the streams aren't as they must be");
        }
    }

    /// Looks now and then for sound that nobody needs.
    pub(super) async fn sweep(self: Arc<Self>) {
        while !self.stop.is_cancelled() {
            if let Err(error) = self.recordings.sweep().await {
                tracing::warn!(error = chain(&error), "can't look for sound to remove");
            }
            self.pause(self.limits.sweep_every).await;
        }
    }
}
