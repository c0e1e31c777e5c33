//! From Enter to text: how long the last words take when the speaker stops.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use serde::Serialize;
use speakr_core::{
    ports::speech::DecodeOptions,
    usecases::transcribe::{Pace, TranscribeError, Transcriber},
};
use tokio_util::sync::CancellationToken;

/// Samples in one chunk: 32 ms, as a microphone gives them.
pub(crate) const CHUNK: usize = 512;

/// One stop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Stop {
    /// After so many seconds of speech.
    pub after_s: f64,
    /// Milliseconds from the end of the sound to the whole text.
    pub latency_ms: f64,
}

/// `pcm` in chunks, each when it has been spoken and not before; tells `ended` when the last one is
/// out.
pub fn as_spoken(pcm: &[i16], ended: Arc<Mutex<Instant>>) -> impl Stream<Item = Vec<i16>> + Send {
    let began = Instant::now();
    let chunks: Vec<Vec<i16>> = pcm.chunks(CHUNK).map(<[i16]>::to_vec).collect();
    stream::unfold((chunks.into_iter(), 0_usize), move |(mut chunks, taken)| {
        let ended = Arc::clone(&ended);
        async move {
            let chunk = chunks.next();
            let taken = taken + chunk.as_ref().map_or(0, Vec::len);
            let due = began + Duration::from_secs_f64(taken as f64 / 16_000.0);
            tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
            match chunk {
                Some(chunk) => Some((chunk, (chunks, taken))),
                None => {
                    if let Ok(mut ended) = ended.lock() {
                        *ended = Instant::now();
                    }
                    None
                }
            }
        }
    })
}

/// Plays `pcm` in real time into `transcriber` and tells how long after its end the text was whole.
///
/// # Errors
/// [`TranscribeError`].
pub async fn measure(transcriber: &Transcriber, pcm: &[i16]) -> Result<Stop, TranscribeError> {
    let began = Instant::now();
    let ended = Arc::new(Mutex::new(began));
    transcriber
        .run(
            Box::pin(as_spoken(pcm, Arc::clone(&ended))),
            Pace::Live,
            &DecodeOptions::default(),
            &(),
            &CancellationToken::new(),
        )
        .await?;
    let done = Instant::now();
    let end = ended.lock().map_or(began, |end| *end);
    Ok(Stop {
        after_s: pcm.len() as f64 / 16_000.0,
        latency_ms: done.duration_since(end).as_secs_f64() * 1_000.0,
    })
}

/// The middle of `values`; 0 without any.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
