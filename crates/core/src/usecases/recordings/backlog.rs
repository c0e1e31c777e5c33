//! How far a text may be behind the sound that it is made of while it comes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::audio::{SAMPLE_RATE_HZ, ms_to_samples};

/// Most sound that waits for the decoder in memory: ten minutes, which are 19 MB a recording. Somebody
/// who speaks to a decoder in health is seconds ahead of it. More waits where a file is sent as fast as
/// the wire takes it, where the decoder is slower than speech, and where a long recording is gone on with
/// after a crash; ten minutes of that it makes up for in one or two.
const MOST_WAITING_SAMPLES: u64 = 10 * 60 * SAMPLE_RATE_HZ as u64;

/// How much of the sound is done with. Shared.
#[derive(Debug, Clone, Default)]
pub(super) struct Done(Arc<AtomicU64>);

impl Done {
    /// All up to here is done with.
    pub(super) fn note(&self, ms: u64) {
        self.0.fetch_max(ms, Ordering::Relaxed);
    }

    fn samples(&self) -> u64 {
        ms_to_samples(self.0.load(Ordering::Relaxed))
    }
}

/// Gives sound to a decoder while it comes, until too much of it waits there.
#[derive(Debug)]
pub(super) struct Feed {
    sound: Option<mpsc::UnboundedSender<Vec<i16>>>,
    given: u64,
    done: Done,
    give_up: CancellationToken,
}

impl Feed {
    /// Gives to `sound` what isn't `done` yet. Cancels `give_up` when that is too much: the text is
    /// made of what is kept then, at the end.
    pub(super) const fn new(
        sound: mpsc::UnboundedSender<Vec<i16>>,
        done: Done,
        give_up: CancellationToken,
    ) -> Self {
        Self {
            sound: Some(sound),
            given: 0,
            done,
            give_up,
        }
    }

    pub(super) fn give(&mut self, pcm: Vec<i16>) {
        let Some(sound) = &self.sound else { return };
        self.given += pcm.len() as u64;
        if self.given.saturating_sub(self.done.samples()) > MOST_WAITING_SAMPLES {
            tracing::info!(
                "sound comes faster than text is made of it: the text is made once all is kept"
            );
            self.sound = None;
            self.give_up.cancel();
            return;
        }
        // A decoder that failed says so when its text is asked for.
        drop(sound.send(pcm));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = SAMPLE_RATE_HZ as usize;

    fn feed() -> (
        Feed,
        Done,
        CancellationToken,
        mpsc::UnboundedReceiver<Vec<i16>>,
    ) {
        let (sender, heard) = mpsc::unbounded_channel();
        let (done, give_up) = (Done::default(), CancellationToken::new());
        let feed = Feed::new(sender, done.clone(), give_up.clone());
        (feed, done, give_up, heard)
    }

    #[test]
    fn no_more_waits_than_may() {
        let (mut feed, _, give_up, mut heard) = feed();
        for _ in 0..2 * 60 * 60 {
            feed.give(vec![1; SECOND]);
        }
        assert!(give_up.is_cancelled());
        let mut waiting = 0;
        while let Ok(pcm) = heard.try_recv() {
            waiting += pcm.len() as u64;
        }
        assert_eq!(waiting, MOST_WAITING_SAMPLES);
        assert!(heard.is_closed(), "nothing more comes");
    }

    #[test]
    fn a_decoder_that_keeps_up_is_never_given_up() {
        let (mut feed, done, give_up, mut heard) = feed();
        for second in 1..=2 * 60 * 60_u64 {
            feed.give(vec![1; SECOND]);
            assert_eq!(heard.try_recv().unwrap().len(), SECOND);
            done.note(1_000 * second.saturating_sub(30));
        }
        assert!(!give_up.is_cancelled());
    }
}
