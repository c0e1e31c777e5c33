//! Takes away, beside the API, what is to go: what is older than it may become, what nobody asked to
//! keep, and the rest of deletions that broke off. Any number of replicas may do it at once.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use speakr_core::usecases::library::Library;
use tokio_util::sync::CancellationToken;

/// Longest pause between two looks at the list: one request to the store.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Pause between two looks for what has grown too old.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Sweeps until `stop` what nobody has looked after for as long as `untouched_for`. Who deletes
/// takes seconds, and who waits for a text tells several times in that time that it still does.
pub(crate) async fn run(
    library: Library,
    untouched_for: Duration,
    retention_days: Option<u32>,
    stop: CancellationToken,
) {
    let look_every = LOOK_EVERY.min(untouched_for);
    let mut expired: Option<Instant> = None;
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
            let Some(days) = retention_days else { return };
            if expired.is_some_and(|at| at.elapsed() < EXPIRE_EVERY) {
                return;
            }
            match library.expire(days, Timestamp::now()).await {
                Ok(old) => {
                    expired = Some(Instant::now());
                    if !old.is_empty() {
                        tracing::info!(count = old.len(), days, "deleted what is too old");
                    }
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn Error,
                    "something that is too old is still there"
                ),
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
