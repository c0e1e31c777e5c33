//! Turns keys, signals and other shells' requests into what happens to the recording.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use speakr_core::usecases::capture::Control;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    control::{Board, Phase, Request},
    terminal::Key,
};

/// A second Ctrl-C within this time discards; a later one only stops the making of the text.
/// Long enough for a deliberate second press, short enough that one in impatience, while the
/// text is being made, loses nothing.
const DISCARD_WINDOW: Duration = Duration::from_secs(3);

/// What the director decides with.
pub(super) struct Director {
    pub(super) board: Arc<Board>,
    pub(super) controls: mpsc::UnboundedSender<Control>,
    /// Cancelled when the recording is to be thrown away.
    pub(super) discard: CancellationToken,
    /// Cancelled when the making of the text is to end, the sound to be kept.
    pub(super) interrupt: CancellationToken,
    /// When the recording was told to stop.
    pub(super) stopped_at: Arc<OnceLock<Instant>>,
    pub(super) interrupted_at: Option<Instant>,
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The system, or a closed terminal, wants the process to end.
    #[cfg_attr(not(unix), allow(dead_code))]
    Terminate,
}

impl Director {
    /// Directs until the recording's task ends it.
    pub(super) async fn run(
        mut self,
        mut keys: mpsc::UnboundedReceiver<Key>,
        mut requests: mpsc::UnboundedReceiver<Request>,
        mut signals: mpsc::UnboundedReceiver<Signal>,
    ) {
        loop {
            tokio::select! {
                Some(key) = keys.recv() => match key {
                    Key::Enter => self.stop(),
                    Key::Space => self.pause(),
                    Key::Interrupt => self.interrupt(Instant::now()),
                },
                Some(request) = requests.recv() => match request {
                    Request::Stop => self.stop(),
                    Request::Pause => self.pause(),
                    Request::Cancel => self.discard(),
                },
                Some(signal) = signals.recv() => match signal {
                    Signal::Interrupt => self.interrupt(Instant::now()),
                    Signal::Terminate => self.terminate(),
                },
                else => return,
            }
        }
    }

    fn stop(&self) {
        if self.board.phase() != Phase::Transcribing {
            self.stopped_at.get_or_init(Instant::now);
            self.controls.send(Control::Stop).ok();
        }
    }

    fn pause(&self) {
        if self.board.phase() != Phase::Transcribing {
            self.controls.send(Control::TogglePause).ok();
        }
    }

    fn discard(&self) {
        self.discard.cancel();
        self.interrupt.cancel();
        self.controls.send(Control::Cancel).ok();
    }

    fn interrupt(&mut self, now: Instant) {
        match self.interrupted_at {
            Some(first) if now.duration_since(first) <= DISCARD_WINDOW => self.discard(),
            Some(_) => self.interrupt.cancel(),
            None => {
                self.interrupted_at = Some(now);
                if self.board.phase() == Phase::Transcribing {
                    // Enter ended the capture already: the sound is kept for `retry`.
                    self.interrupt.cancel();
                } else {
                    self.stop();
                }
            }
        }
    }

    fn terminate(&self) {
        if self.board.phase() == Phase::Transcribing {
            self.interrupt.cancel();
        } else {
            self.stop();
        }
    }
}

/// Listens for the process's signals.
pub(super) fn listen(signals: mpsc::UnboundedSender<Signal>) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        for (kind, meaning) in [
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::terminate(), Signal::Terminate),
            (SignalKind::hangup(), Signal::Terminate),
        ] {
            let mut stream = signal(kind)?;
            let signals = signals.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && signals.send(meaning).is_ok() {}
            });
        }
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && signals.send(Signal::Interrupt).is_ok() {}
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use speakr_core::{CorrelationId, RecordingId};

    use super::*;

    fn director(phase: Phase) -> (Director, mpsc::UnboundedReceiver<Control>) {
        let (controls, received) = mpsc::unbounded_channel();
        let id = RecordingId::from_correlation(CorrelationId::random());
        let director = Director {
            board: Arc::new(Board::new(id, phase)),
            controls,
            discard: CancellationToken::new(),
            interrupt: CancellationToken::new(),
            stopped_at: Arc::default(),
            interrupted_at: None,
        };
        (director, received)
    }

    #[test]
    fn one_ctrl_c_stops_and_keeps_and_a_quick_second_discards() {
        let (mut director, mut received) = director(Phase::Recording);
        let now = Instant::now();
        director.interrupt(now);
        assert_eq!(received.try_recv(), Ok(Control::Stop));
        assert!(!director.discard.is_cancelled());
        director.interrupt(now + Duration::from_secs(1));
        assert_eq!(received.try_recv(), Ok(Control::Cancel));
        assert!(director.discard.is_cancelled());
    }

    #[test]
    fn a_late_second_ctrl_c_ends_the_text_and_keeps_the_sound() {
        let (mut director, _received) = director(Phase::Recording);
        let now = Instant::now();
        director.interrupt(now);
        director.interrupt(now + Duration::from_secs(10));
        assert!(director.interrupt.is_cancelled());
        assert!(!director.discard.is_cancelled());
    }

    #[test]
    fn keys_mean_nothing_while_the_text_is_made() {
        let (director, mut received) = director(Phase::Transcribing);
        director.stop();
        director.pause();
        assert!(received.try_recv().is_err());
        assert!(director.stopped_at.get().is_none());
    }

    #[test]
    fn being_told_to_end_keeps_the_sound_in_every_phase() {
        for phase in [Phase::Recording, Phase::Paused, Phase::Transcribing] {
            let (director, _received) = director(phase);
            director.terminate();
            assert!(!director.discard.is_cancelled());
        }
    }
}
