//! Sound as it comes from a speaker, and the middle of several figures.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{Stream, stream};

/// Samples in one chunk: 32 ms, as a microphone gives them.
pub(crate) const CHUNK: usize = 512;

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
