//! Takes away, beside the API, what is to go: what is older than it may become, what nobody asked to
//! keep, uploads that broke off, and the rest of deletions that did. Any number of replicas may do it
//! at once.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use speakr_core::usecases::{library::Library, recordings::give_up_uploads};
use speakr_s3::S3Archive;
use tokio_util::sync::CancellationToken;

/// Longest pause between two looks at the list: one request to the store.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Pause between two thorough looks: for what has grown too old, for what came into the store after
/// its deletion, and for uploads whose service was killed. The first two ask about everything there is.
const LOOK_THOROUGHLY_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long half an upload is kept whose service was killed, for its client to send it again.
const UPLOADS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Sweeps until `stop` what nobody has looked after for as long as `untouched_for`. Who deletes
/// takes seconds, and who waits for a text tells several times in that time that it still does.
pub(crate) async fn run(
    library: Library,
    archive: Arc<S3Archive>,
    untouched_for: Duration,
    retention_days: Option<u32>,
    stop: CancellationToken,
) {
    let look_every = LOOK_EVERY.min(untouched_for);
    let mut thorough: Option<Instant> = None;
    loop {
        let sweep = async {
            match library.finish_deletions(untouched_for).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "finished what was left to delete"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn Error,
                    "something that is to go is still there"
                ),
            }
            if thorough.is_some_and(|at| at.elapsed() < LOOK_THOROUGHLY_EVERY) {
                return;
            }
            let cleared = clear(&archive).await;
            let given_up = give_up(&archive).await;
            let expired = match retention_days {
                Some(days) => expire(&library, days).await,
                None => true,
            };
            if cleared && given_up && expired {
                thorough = Some(Instant::now());
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweep => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(look_every) => {}
        }
    }
}

/// Takes away what a service that was killed had written of a recording that was deleted meanwhile;
/// whether all went.
async fn clear(archive: &S3Archive) -> bool {
    match archive.finish_deletions().await {
        Ok(0) => true,
        Ok(count) => {
            tracing::info!(count, "took away what came after its deletion");
            true
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn Error,
                "something of what was deleted may still be there"
            );
            false
        }
    }
}

/// Puts among what is to go the uploads that nobody has gone on with in time; whether all were looked
/// at.
async fn give_up(archive: &S3Archive) -> bool {
    match give_up_uploads(archive, archive, archive, UPLOADS_KEPT).await {
        Ok(0) => true,
        Ok(count) => {
            tracing::info!(count, "uploads that broke off are to go");
            true
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "half an upload may stay");
            false
        }
    }
}

/// Deletes what is older than `days`; whether all went.
async fn expire(library: &Library, days: u32) -> bool {
    match library.expire(days, Timestamp::now()).await {
        Ok(old) => {
            if !old.is_empty() {
                tracing::info!(count = old.len(), days, "deleted what is too old");
            }
            true
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn Error,
                "something that is too old is still there"
            );
            false
        }
    }
}
