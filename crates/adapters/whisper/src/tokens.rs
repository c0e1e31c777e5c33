//! From the decoder's tokens to segments and words.

use speakr_core::{Segment, Word};

/// Milliseconds that one timestamp token stands for.
const MS_PER_TIMESTAMP: u64 = 20;

/// One token as the decoder gave it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) id: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) log_probability: f32,
    /// Begin and end, where words are timed; milliseconds.
    pub(crate) time: Option<(u64, u64)>,
}

/// Ids that mean more than text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// Timestamp zero: ids from here on are times.
    pub(crate) first_timestamp: i32,
    /// End of text: ids from here to the first timestamp are marks.
    pub(crate) end_of_text: i32,
}

/// Cuts `tokens` into segments at its timestamps. Text after the last timestamp is kept, as a
/// segment to the end of the sound.
pub(crate) fn segments(tokens: &[Token], marks: Marks, end_ms: u64, words: bool) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut start_ms = 0;
    let mut text: Vec<&Token> = Vec::new();
    let mut close = |text: &mut Vec<&Token>, start: u64, end: u64| {
        segments.extend(segment(
            text,
            start,
            end.clamp(start, end_ms.max(start)),
            words,
        ));
        text.clear();
    };
    for token in tokens {
        if token.id >= marks.first_timestamp {
            let ms = (token.id - marks.first_timestamp).unsigned_abs();
            let ms = u64::from(ms) * MS_PER_TIMESTAMP;
            if !text.is_empty() {
                close(&mut text, start_ms, ms);
            }
            start_ms = ms.min(end_ms);
        } else if token.id < marks.end_of_text {
            text.push(token);
        }
    }
    if !text.is_empty() {
        close(&mut text, start_ms, end_ms);
    }
    segments
}

fn segment(tokens: &[&Token], start_ms: u64, end_ms: u64, words: bool) -> Option<Segment> {
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|t| t.bytes.iter().copied())
        .collect();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if !text.chars().any(char::is_alphanumeric) || is_annotation(&text) {
        return None;
    }
    Some(Segment {
        start_ms,
        end_ms,
        text,
        words: words.then(|| self::words(tokens, start_ms, end_ms)),
    })
}

/// Whether the whole text stands in brackets or between notes: what the model writes for sounds
/// that aren't speech, such as "[BLANK_AUDIO]".
fn is_annotation(text: &str) -> bool {
    [('[', ']'), ('(', ')'), ('*', '*'), ('♪', '♪')]
        .iter()
        .any(|&(open, close)| {
            text.strip_prefix(open)
                .and_then(|t| t.strip_suffix(close))
                .is_some_and(|inner| !inner.contains([open, close]))
        })
}

/// Joins tokens to words: one begins at a space, or, in scripts without spaces, at each token that
/// begins a character.
fn words(tokens: &[&Token], start_ms: u64, end_ms: u64) -> Vec<Word> {
    let mut words: Vec<(Vec<u8>, u64, u64)> = Vec::new();
    for token in tokens {
        let (from, to) = token.time.unwrap_or((start_ms, end_ms));
        match words.last_mut() {
            Some((bytes, _, until)) if !begins_word(bytes, &token.bytes) => {
                bytes.extend(&token.bytes);
                *until = to;
            }
            _ => words.push((token.bytes.clone(), from, to)),
        }
    }
    let mut earliest = start_ms;
    words
        .into_iter()
        .filter_map(|(bytes, from, to)| {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            if text.is_empty() {
                return None;
            }
            let from = from.clamp(earliest, end_ms.max(earliest));
            let to = to.clamp(from, end_ms.max(from));
            earliest = to;
            Some(Word {
                start_ms: from,
                end_ms: to,
                text,
            })
        })
        .collect()
}

fn begins_word(before: &[u8], token: &[u8]) -> bool {
    if token.first() == Some(&b' ') {
        return true;
    }
    let Ok(before) = std::str::from_utf8(before) else {
        // A character that is spread over tokens isn't whole yet.
        return false;
    };
    let spaceless = |c: char| {
        matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}')
    };
    // Punctuation stays with the word before it.
    before.chars().last().is_some_and(spaceless)
        && std::str::from_utf8(token)
            .ok()
            .and_then(|t| t.chars().next())
            .is_none_or(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        first_timestamp: 1_000,
        end_of_text: 900,
    };

    fn text(s: &str) -> Token {
        Token {
            id: 1,
            bytes: s.as_bytes().to_vec(),
            log_probability: -0.1,
            time: None,
        }
    }

    fn at(ms: i32) -> Token {
        Token {
            id: 1_000 + ms / 20,
            ..text("")
        }
    }

    fn timed(s: &str, from: u64, to: u64) -> Token {
        Token {
            time: Some((from, to)),
            ..text(s)
        }
    }

    fn plain(tokens: &[Token]) -> Vec<(u64, u64, String)> {
        segments(tokens, MARKS, 5_000, false)
            .into_iter()
            .map(|s| (s.start_ms, s.end_ms, s.text))
            .collect()
    }

    #[test]
    fn timestamps_cut_the_text_and_text_after_the_last_one_is_kept() {
        let tokens = [
            at(0),
            text(" One"),
            text(" two."),
            at(1_200),
            at(1_400),
            text(" Three."),
        ];
        assert_eq!(
            plain(&tokens),
            [
                (0, 1_200, "One two.".to_owned()),
                (1_400, 5_000, "Three.".to_owned())
            ]
        );
    }

    #[test]
    fn no_time_lies_past_the_sound() {
        let tokens = [at(0), text(" One"), at(9_000)];
        assert_eq!(plain(&tokens), [(0, 5_000, "One".to_owned())]);
    }

    #[test]
    fn marks_and_annotations_are_no_text() {
        let mark = Token {
            id: 950,
            ..text("[_SOT_]")
        };
        assert_eq!(
            plain(&[mark, at(0), text(" [BLANK"), text("_AUDIO]"), at(400)]),
            []
        );
        assert_eq!(plain(&[at(0), text(" ..."), at(400)]), []);
        assert_eq!(plain(&[at(0), text(" (a) or (b)"), at(400)]).len(), 1);
    }

    #[test]
    fn words_are_joined_from_tokens_with_their_times_in_order() {
        let tokens = [
            at(0),
            timed(" trans", 0, 300),
            timed("late", 300, 500),
            timed(" it", 480, 700),
            timed(".", 700, 710),
            at(800),
        ];
        let found = segments(&tokens, MARKS, 5_000, true)
            .remove(0)
            .words
            .unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|w| (w.text.as_str(), w.start_ms, w.end_ms))
            .collect();
        assert_eq!(found, [("translate", 0, 500), ("it.", 500, 710)]);
    }

    #[test]
    fn characters_spread_over_tokens_become_whole_and_scripts_without_spaces_are_cut() {
        let bytes = "電球".as_bytes();
        let part = |b: &[u8]| Token {
            bytes: b.to_vec(),
            ..text("")
        };
        let tokens = [
            at(0),
            part(&bytes[..2]),
            part(&bytes[2..3]),
            part(&bytes[3..]),
            text("。"),
            at(800),
        ];
        let found = segments(&tokens, MARKS, 5_000, true).remove(0);
        assert_eq!(found.text, "電球。");
        let words: Vec<_> = found.words.unwrap().into_iter().map(|w| w.text).collect();
        assert_eq!(words, ["電", "球。"]);
    }
}
