//! Waits for what a service needs: it may be there before its parts are.

use std::{error::Error, time::Duration};

use tokio_util::sync::CancellationToken;

/// Pause before something is tried a second time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Does `attempt` until it succeeds; none once `stop` is cancelled. `what` isn't there as long as it
/// fails.
pub(crate) async fn until<T, E: Error + 'static>(
    stop: &CancellationToken,
    what: &str,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => return None,
            done = attempt() => match done {
                Ok(done) => return Some(done),
                Err(error) => error,
            },
        };
        tracing::warn!(error = &error as &dyn Error, "{what} isn't ready yet");
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
