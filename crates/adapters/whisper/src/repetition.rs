//! Repetition loops: a decoder that is lost says the same thing again and again.

use std::io::Write;

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

#[cfg(test)]
mod tests {
    use super::*;

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
        // python3: len(t.encode()) / len(zlib.compress(t.encode())) for "ab " * 40
        assert!((compression_ratio(&"ab ".repeat(40)) - 120.0 / 14.0).abs() < 0.7);
    }
}
