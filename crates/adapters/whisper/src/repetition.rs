//! Repetition loops: a decoder that is lost says the same thing again and again.

use std::io::Write;

use speakr_core::Segment;

use flate2::{Compression, write::ZlibEncoder};

/// Above this, text is a loop (Whisper's `compression_ratio_threshold`).
pub(crate) const LIMIT: f64 = 2.4;

/// How much smaller zlib makes `text`, as Whisper defines it: length of the UTF-8 text by length
/// of its compressed form.
pub(crate) fn compression_ratio(text: &str) -> f64 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory doesn't fail; if it did, the text would count as harmless.
    let compressed = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish());
    match compressed {
        Ok(bytes) if !bytes.is_empty() => text.len() as f64 / bytes.len() as f64,
        _ => 0.0,
    }
}

/// Fewest words of a sentence whose echo is looked for: short ones are often said twice.
const ECHO_WORDS: usize = 4;
/// An echo that was said takes about as long as the sentence it repeats.
const ECHO_SHARE: f64 = 0.6;

/// Takes sentences out that repeat the one before them word for word without the time to say them:
/// the beginning of a loop, too short for its compression ratio to show.
pub(crate) fn drop_echoes(segments: &mut Vec<Segment>) {
    segments.dedup_by(|echo, said| {
        let took = |s: &Segment| (s.end_ms - s.start_ms) as f64;
        echo.text == said.text
            && echo.text.split_whitespace().count() >= ECHO_WORDS
            && took(echo) < took(said) * ECHO_SHARE
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_ms: u64, end_ms: u64, text: &str) -> Segment {
        Segment {
            start_ms,
            end_ms,
            text: text.to_owned(),
            words: None,
        }
    }

    #[test]
    fn an_echo_without_time_to_say_it_is_dropped_and_a_refrain_is_kept() {
        let line = "The period was extended later.";
        let mut segments = vec![
            segment(0, 3_000, line),
            segment(3_000, 4_000, line),
            segment(4_000, 7_000, line),
            segment(7_000, 7_500, "No."),
            segment(7_500, 7_600, "No."),
        ];
        drop_echoes(&mut segments);
        let starts: Vec<_> = segments.iter().map(|s| s.start_ms).collect();
        assert_eq!(starts, [0, 4_000, 7_000, 7_500]);
    }

    #[test]
    fn a_loop_is_over_the_limit_and_speech_is_not() {
        assert!(compression_ratio(&"I'm going to be there. ".repeat(20)) > LIMIT);
        let speech = "And so my fellow Americans, ask not what your country can do for you, ask \
                      what you can do for your country.";
        assert!(compression_ratio(speech) < LIMIT);
    }

    #[test]
    fn a_word_said_a_few_times_is_no_loop() {
        let text = "We're just saying some words and here's some more words words words words";
        assert!(compression_ratio(text) < LIMIT);
    }

    #[test]
    fn the_ratio_is_pythons() {
        // python3: len(t.encode()) / len(zlib.compress(t.encode())); other deflaters differ by a
        // few bytes.
        let speech = "And so my fellow Americans, ask not what your country can do for you, ask \
                      what you can do for your country.";
        assert!((compression_ratio(speech) - 1.354).abs() < 0.08);
    }
}
