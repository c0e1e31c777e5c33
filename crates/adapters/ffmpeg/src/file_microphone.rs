//! A file that plays in real time, as if somebody spoke it into a microphone.

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use speakr_core::{
    audio::{SAMPLE_RATE_HZ, ms_to_samples},
    ports::sound::{SoundError, SoundSource},
};
use tokio::time::Instant;

/// Milliseconds of sound in one chunk, as a sound server gives them.
const CHUNK_MS: u64 = 20;

/// Lets the sound of `inner` out by the clock: each chunk when its time has come, counted from
/// the first; what was missed while nobody listened comes at once.
pub(crate) struct PacedSound {
    inner: Box<dyn SoundSource>,
    waiting: VecDeque<i16>,
    inner_ended: bool,
    begun: Option<Instant>,
    stopped: Option<Instant>,
    delivered: u64,
}

impl PacedSound {
    pub(crate) fn new(inner: Box<dyn SoundSource>) -> Self {
        Self {
            inner,
            waiting: VecDeque::new(),
            inner_ended: false,
            begun: None,
            stopped: None,
            delivered: 0,
        }
    }

    /// When the next chunk is due.
    fn due(&self, begun: Instant) -> Instant {
        let micros = self.delivered.saturating_mul(1_000_000) / u64::from(SAMPLE_RATE_HZ);
        begun + Duration::from_micros(micros)
    }
}

#[async_trait]
impl SoundSource for PacedSound {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        let chunk = usize::try_from(ms_to_samples(CHUNK_MS)).unwrap_or(usize::MAX);
        while self.waiting.len() < chunk && !self.inner_ended {
            match self.inner.next().await {
                Ok(Some(samples)) => self.waiting.extend(samples),
                Ok(None) => self.inner_ended = true,
                Err(error) if self.waiting.is_empty() => return Err(error),
                // What came before plays first; the source gives nothing more after an error.
                Err(error) => {
                    tracing::warn!(%error, "the file breaks off");
                    self.inner_ended = true;
                }
            }
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let due = self.due(begun);
        if self.stopped.is_some_and(|stopped| due > stopped) {
            return Ok(None);
        }
        tokio::time::sleep_until(due).await;
        let samples: Vec<i16> = self
            .waiting
            .drain(..chunk.min(self.waiting.len()))
            .collect();
        self.delivered += samples.len() as u64;
        Ok(Some(samples))
    }

    async fn stop(&mut self) {
        self.stopped.get_or_insert_with(Instant::now);
    }
}
