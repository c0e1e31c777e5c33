//! Repetition loops: a decoder that is lost says the same thing again and again.

use std::io::Write;

use speakr_core::{Segment, ports::speech::Decoded, transcript::join_texts};

use flate2::{Compression, write::ZlibEncoder};

/// Above this, text is a loop (Whisper's `compression_ratio_threshold`).
const LIMIT: f64 = 2.4;

/// So often in a row within half a minute nobody says the same. A verse that is said three or four
/// times is above [`LIMIT`], too, and is what was said: it stays.
const LOOP_TIMES: usize = 5;

/// So many segments in half a minute, and above [`LIMIT`], are a loop even where no two are equal.
const MANY_SEGMENTS: usize = 12;

/// More than this nobody says for seconds.
const MOST_WORDS_PER_SECOND: f64 = 5.0;
/// The same in scripts that have a character for a syllable or two, and no spaces.
const MOST_CHARACTERS_PER_SECOND: f64 = 12.0;
/// Letters of a word, on average, beyond which a text has no spaces between its words.
const LONGEST_WORD: usize = 12;

/// Whether the text of `segments` is that of a decoder that is lost.
fn is_loop(segments: &[Segment]) -> bool {
    compression_ratio(&join_texts(segments)) > LIMIT
}

/// What is kept of a reading: itself, or where it is a loop, what is kept of it and another, which
/// `again` makes.
pub(crate) fn without_loops<E>(
    first: Decoded,
    again: impl FnOnce() -> Result<Decoded, E>,
) -> Result<Decoded, E> {
    let mut kept = if is_loop(&first.segments) {
        tracing::debug!("a repetition loop: decoding again");
        of_two(first, again()?)
    } else {
        first
    };
    drop_echoes(&mut kept.segments);
    Ok(kept)
}

/// What is kept of two readings of the same sound, the first of which was a loop: the one that is
/// less of a loop, and of that no more than isn't one.
fn of_two(first: Decoded, again: Decoded) -> Decoded {
    let ratio = |decoded: &Decoded| compression_ratio(&join_texts(&decoded.segments));
    let mut decoded = if ratio(&again) < ratio(&first) {
        again
    } else {
        first
    };
    break_loops(&mut decoded.segments);
    decoded
}

/// Takes out of `segments` what makes their text a loop.
fn break_loops(segments: &mut Vec<Segment>) {
    segments.retain(|s| compression_ratio(&s.text) <= LIMIT || may_be_said(s));
    // A loop that is spread over many segments: each is harmless by itself.
    for period in 1..=segments.len() / 2 {
        if !is_loop(segments) {
            return;
        }
        collapse(segments, period);
    }
    // One that never says quite the same. It goes on to the end of the sound.
    while segments.len() >= MANY_SEGMENTS && is_loop(segments) {
        segments.pop();
    }
}

/// Whether somebody may have said a segment that is above [`LIMIT`]: who begins a sentence anew a few times
/// is above it too, and must not lose all of it. A loop says the same over and over, or more than there is
/// time for.
fn may_be_said(segment: &Segment) -> bool {
    let words: Vec<String> = segment
        .text
        .split_whitespace()
        .map(letters)
        .filter(|word| !word.is_empty())
        .collect();
    let seconds = segment.end_ms.saturating_sub(segment.start_ms) as f64 / 1_000.0;
    let letters: usize = words.iter().map(|word| word.chars().count()).sum();
    let (said, most_per_second) = if letters > words.len() * LONGEST_WORD {
        // A script without spaces between words.
        let characters = words.concat().chars().map(String::from).collect();
        (characters, MOST_CHARACTERS_PER_SECOND)
    } else {
        (words, MOST_WORDS_PER_SECOND)
    };
    said.len() as f64 <= seconds * most_per_second && !is_said_over_and_over(&said)
}

/// Whether a group of `words` stands [`LOOP_TIMES`] times in a row.
fn is_said_over_and_over(words: &[String]) -> bool {
    (1..=words.len() / LOOP_TIMES).any(|period| {
        let mut equal = 0;
        words[period..].iter().zip(words).any(|(word, before)| {
            equal = if word == before { equal + 1 } else { 0 };
            equal >= period * (LOOP_TIMES - 1)
        })
    })
}

/// Leaves one of each run of equal groups of `period` segments. It takes the time of all of them:
/// what was said there was heard, and isn't worth another try.
fn collapse(segments: &mut Vec<Segment>, period: usize) {
    let mut begin = 0;
    while begin + period <= segments.len() {
        let (said, rest) = segments[begin..].split_at(period);
        let equal = |group: &[Segment]| group.iter().zip(said).all(|(a, b)| same_words(a, b));
        let echoes = rest.chunks_exact(period).take_while(|g| equal(g)).count();
        if echoes + 1 < LOOP_TIMES {
            begin += 1;
            continue;
        }
        let after = begin + (echoes + 1) * period;
        let end_ms = segments[after - 1].end_ms;
        segments.drain(begin + period..after);
        segments[begin + period - 1].end_ms = end_ms;
        begin += period;
    }
}

fn same_words(a: &Segment, b: &Segment) -> bool {
    letters(&a.text) == letters(&b.text)
}

fn letters(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// How much smaller zlib makes `text`, as Whisper defines it: length of the UTF-8 text by length
/// of its compressed form.
fn compression_ratio(text: &str) -> f64 {
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
fn drop_echoes(segments: &mut Vec<Segment>) {
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

    /// A reading whose segments take a second each.
    fn reading(texts: &[&str]) -> Decoded {
        let segments = texts.iter().zip(0..);
        let segments = segments.map(|(text, n)| segment(n * 1_000, n * 1_000 + 1_000, text));
        Decoded {
            segments: segments.collect(),
            ..Decoded::default()
        }
    }

    fn texts(decoded: &Decoded) -> Vec<&str> {
        decoded.segments.iter().map(|s| s.text.as_str()).collect()
    }

    const SPEECH: &str = "And so my fellow Americans, ask not what your country can do for you.";
    const LOOP: &str = "I'm going to be there.";

    #[test]
    fn only_a_loop_is_read_again_and_echoes_go_from_either_reading() {
        fn never() -> Result<Decoded, std::convert::Infallible> {
            panic!("it is no loop")
        }
        let echoed = |end_ms| Decoded {
            segments: vec![segment(0, 3_000, SPEECH), segment(3_000, end_ms, SPEECH)],
            ..Decoded::default()
        };
        let said = echoed(6_000);
        assert_eq!(without_loops(said.clone(), never), Ok(said));
        let kept = without_loops(echoed(3_500), never).unwrap();
        assert_eq!(texts(&kept), [SPEECH]);

        let lost = reading(&[LOOP; 20]);
        let again = || Ok::<_, std::convert::Infallible>(echoed(3_500));
        let kept = without_loops(lost.clone(), again).unwrap();
        assert_eq!(texts(&kept), [SPEECH]);
        assert_eq!(without_loops(lost, || Err("aborted")), Err("aborted"));
    }

    #[test]
    fn a_second_reading_that_is_no_loop_is_kept_as_it_is() {
        let first = reading(&[LOOP; 20]);
        let again = reading(&[SPEECH, "No.", "No."]);
        assert_eq!(of_two(first, again.clone()), again);
    }

    #[test]
    fn a_loop_over_many_segments_is_said_once() {
        let mut said = vec![SPEECH];
        said.extend([LOOP; 20]);
        let again: Vec<_> = [SPEECH].into_iter().chain([LOOP; 25]).collect();
        let kept = of_two(reading(&said), reading(&again));
        assert_eq!(texts(&kept), [SPEECH, LOOP]);
        assert!(!is_loop(&kept.segments));
        // What was heard there isn't decoded again.
        assert_eq!(kept.segments[1].start_ms, 1_000);
        assert_eq!(kept.segments[1].end_ms, 21_000);
    }

    #[test]
    fn a_loop_of_two_sentences_is_said_once() {
        let turns = [LOOP, "We'll see."].repeat(12);
        let kept = of_two(reading(&turns), reading(&turns));
        assert_eq!(texts(&kept), [LOOP, "We'll see."]);
        assert_eq!(kept.segments[1].end_ms, 24_000);
    }

    #[test]
    fn a_verse_that_is_said_a_few_times_is_kept_as_often() {
        let verse = [SPEECH, "Ask what you can do for your country."].repeat(4);
        let said = reading(&verse);
        assert!(is_loop(&said.segments), "by its ratio alone it is one");
        assert_eq!(of_two(said.clone(), said.clone()), said);
    }

    #[test]
    fn a_loop_in_one_long_segment_is_dropped_and_what_was_said_before_is_kept() {
        let long = [LOOP; 20].join(" ");
        let said = [SPEECH, long.as_str()];
        let kept = of_two(reading(&said), reading(&said));
        assert_eq!(texts(&kept), [SPEECH]);
    }

    #[test]
    fn who_begins_a_sentence_anew_a_few_times_keeps_all_of_it() {
        // What tiny.en heard, twice alike, of jfk.wav that was begun four times within 24 seconds.
        let text = "And so my fellow Americans ask not what your country can do for you ask what you and \
                    so my fellow Americans and so and so my fellow Americans ask not what your country \
                    can do for you ask what you can do for your country.";
        let said = Decoded {
            segments: vec![segment(0, 24_000, text)],
            ..Decoded::default()
        };
        assert!(is_loop(&said.segments), "by its ratio alone it is one");
        assert_eq!(of_two(said.clone(), said.clone()), said);
        let in_no_time = Decoded {
            segments: vec![segment(0, 5_000, text)],
            ..Decoded::default()
        };
        assert!(of_two(in_no_time.clone(), in_no_time).segments.is_empty());
    }

    #[test]
    fn a_loop_that_has_the_time_to_be_said_is_one_all_the_same() {
        for looped in [
            LOOP,
            "No.",
            "Well, I'm going to be there, I'm going, and I'll see you.",
        ] {
            let lost = segment(0, 300_000, &[looped; 20].join(" "));
            assert!(!may_be_said(&lost), "{looped}");
            assert!(may_be_said(&segment(0, 300_000, &[looped; 4].join(" "))));
        }
        let without_spaces = "ご視聴ありがとうございました";
        let lost = segment(0, 300_000, &without_spaces.repeat(20));
        assert!(!may_be_said(&lost));
        assert!(may_be_said(&segment(0, 300_000, &without_spaces.repeat(4))));
    }

    #[test]
    fn a_loop_that_counts_is_cut_off() {
        let counted: Vec<String> = (0..40).map(|n| format!("I'm at number {n} now.")).collect();
        let mut said = vec![SPEECH];
        said.extend(counted.iter().map(String::as_str));
        let kept = of_two(reading(&said), reading(&said));
        assert_eq!(texts(&kept)[0], SPEECH);
        assert!(kept.segments.len() < MANY_SEGMENTS);
        assert!(kept.segments.len() > 1, "only what makes the loop goes");
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
