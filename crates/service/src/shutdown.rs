//! The orderly end: at SIGTERM or Ctrl-C no new work is taken, what is under way is finished or
//! handed back, and a deadline holds for it.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Work was still under way when the deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{tasks} tasks weren't done within {} s of being asked to end", deadline.as_secs_f32())]
pub struct DeadlinePassed {
    /// How many.
    pub tasks: usize,
    /// How long they had.
    pub deadline: Duration,
}

/// Tells when to end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    token: CancellationToken,
    deadline: Duration,
}

impl Shutdown {
    /// One that SIGTERM or Ctrl-C sets off; a second signal ends the process at once.
    ///
    /// # Errors
    /// What the system says, when signals can't be heard.
    pub fn on_signals(deadline: Duration) -> std::io::Result<Self> {
        let shutdown = Self::new(deadline);
        let token = shutdown.token.clone();
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            tracing::info!("asked to end");
            token.cancel();
            signals.next().await;
            tracing::warn!("asked again: ending at once");
            std::process::exit(1);
        });
        Ok(shutdown)
    }

    /// One that only [`Shutdown::begin`] sets off.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self {
            token: CancellationToken::new(),
            deadline,
        }
    }

    /// Cancelled when the end begins.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Begins the end.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// How long work may go on once the end has begun.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Waits for the end to begin, then for `tasks` to be done.
    ///
    /// # Errors
    /// [`DeadlinePassed`] when some weren't done in time.
    pub async fn complete(&self, tasks: &TaskTracker) -> Result<(), DeadlinePassed> {
        self.token.cancelled().await;
        tasks.close();
        match tokio::time::timeout(self.deadline, tasks.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(DeadlinePassed {
                tasks: tasks.len(),
                deadline: self.deadline,
            }),
        }
    }
}

#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_ends_when_asked_is_waited_for() {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        let tasks = TaskTracker::new();
        let stop = shutdown.token();
        let work = tasks.spawn(async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            "finished"
        });
        shutdown.begin();
        shutdown.complete(&tasks).await.unwrap();
        assert!(work.is_finished());
        assert_eq!(work.await.unwrap(), "finished");
    }

    #[tokio::test]
    async fn work_that_goes_on_is_told_of_at_the_deadline() {
        let shutdown = Shutdown::new(Duration::from_millis(50));
        let tasks = TaskTracker::new();
        tasks.spawn(std::future::pending::<()>());
        shutdown.begin();
        let passed = shutdown.complete(&tasks).await.unwrap_err();
        assert_eq!(passed.tasks, 1);
    }
}
