//! Passages: neighbouring segments of a transcript, put together to the length that a sentence
//! embedder reads. They are the unit that is embedded and found, so each names its moment.

use std::ops::Range;

use crate::{ports::index::Passage, transcript::Segment};

/// How long a passage gets, in the embedder's tokens. all-MiniLM reads 256; passages of about 200
/// keep whole thoughts together and leave room.
pub const TARGET_TOKENS: usize = 200;

/// Tokens that embedders add to every text (BERT's `[CLS]` and `[SEP]`).
const SPECIAL_TOKENS: usize = 2;

/// Cuts `segments` into passages of about [`TARGET_TOKENS`] tokens, never more than an embedder
/// reads that takes `max_tokens` (special tokens counted in). `count_tokens` is the embedder's
/// own count, special tokens left out.
///
/// Passages of one recording are of like length, so that none is a mere tail. A segment that is
/// too long alone is cut at a sentence's end, else between words; its times are interpolated.
#[must_use]
pub fn cut(
    segments: &[Segment],
    max_tokens: usize,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Vec<Passage> {
    let limit = TARGET_TOKENS
        .min(max_tokens.saturating_sub(SPECIAL_TOKENS))
        .max(1);
    let pieces: Vec<Piece> = segments
        .iter()
        .flat_map(|segment| pieces_of(segment, limit, count_tokens))
        .collect();
    let total: usize = pieces.iter().map(|p| p.tokens).sum();
    // As many passages as are needed, all of about this length.
    let goal = total.div_ceil(total.div_ceil(limit).max(1));

    let mut passages: Vec<Passage> = Vec::new();
    let mut tokens = 0;
    for piece in pieces {
        if let Some(last) = passages.last_mut()
            && tokens < goal
        {
            let joined = format!("{} {}", last.text, piece.text);
            // Counted anew: some tokenisers merge across the joint.
            let joined_tokens = count_tokens(&joined);
            if joined_tokens <= limit {
                last.text = joined;
                last.end_ms = last.end_ms.max(piece.end_ms);
                tokens = joined_tokens;
                continue;
            }
        }
        tokens = piece.tokens;
        passages.push(Passage {
            ordinal: u32::try_from(passages.len()).unwrap_or(u32::MAX),
            start_ms: piece.start_ms,
            end_ms: piece.end_ms,
            text: piece.text,
        });
    }
    passages
}

/// How many tokens `text` about has, where no embedder is at hand to count them: one for every four
/// letters begun of a word, one for every other character.
#[must_use]
pub fn estimate_tokens(text: &str) -> usize {
    text.split_whitespace()
        .map(|word| {
            let ascii = word.chars().filter(char::is_ascii).count();
            ascii.div_ceil(4) + word.chars().count() - ascii
        })
        .sum()
}

/// A segment, or a part of one that is too long.
struct Piece {
    start_ms: u64,
    end_ms: u64,
    text: String,
    tokens: usize,
}

fn pieces_of(segment: &Segment, limit: usize, count_tokens: &dyn Fn(&str) -> usize) -> Vec<Piece> {
    let text = segment.text.trim();
    let end_ms = segment.end_ms.max(segment.start_ms);
    let time_at = |offset: usize| {
        let share =
            u128::from(end_ms - segment.start_ms) * offset as u128 / text.len().max(1) as u128;
        segment.start_ms + u64::try_from(share).unwrap_or(0)
    };
    let mut ranges = Vec::new();
    split(text, 0..text.len(), limit, count_tokens, &mut ranges);
    ranges
        .into_iter()
        .map(|range| Piece {
            start_ms: time_at(range.start),
            end_ms: time_at(range.end),
            text: text[range.clone()].to_owned(),
            tokens: count_tokens(&text[range]),
        })
        .collect()
}

/// Halves `range` of `text` until each part has at most `limit` tokens.
fn split(
    text: &str,
    range: Range<usize>,
    limit: usize,
    count_tokens: &dyn Fn(&str) -> usize,
    parts: &mut Vec<Range<usize>>,
) {
    let range = trimmed(text, range);
    let part = &text[range.clone()];
    if part.is_empty() {
        return;
    }
    match (count_tokens(part) > limit)
        .then(|| cut_point(part))
        .flatten()
    {
        Some(at) => {
            let at = range.start + at;
            split(text, range.start..at, limit, count_tokens, parts);
            split(text, at..range.end, limit, count_tokens, parts);
        }
        None => parts.push(range),
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// Where to cut `text` in two: the place nearest to its middle after a sentence, else after a
/// clause, else between words, else between characters. `None` for a single character.
fn cut_point(text: &str) -> Option<usize> {
    let middle = text.len() / 2;
    let central = text.len() / 4..=text.len() - text.len() / 4;
    let ends_with = |stops: &'static [char]| {
        move |before: char, after: char| {
            stops.contains(&before) && (after.is_whitespace() || is_wide(before))
        }
    };
    let sentence = ends_with(&['.', '!', '?', '…', '。', '！', '？', '؟', '।']);
    let clause = ends_with(&[',', ';', ':', '、', '，', '；', '،', '—']);
    let nearest = |fits: &dyn Fn(char, char) -> bool, anywhere: bool| {
        text.char_indices()
            .zip(text.char_indices().skip(1))
            .filter(|((_, before), (at, after))| {
                (anywhere || central.contains(at)) && fits(*before, *after)
            })
            .map(|(_, (at, _))| at)
            .min_by_key(|at| at.abs_diff(middle))
    };
    nearest(&sentence, false)
        .or_else(|| nearest(&clause, false))
        .or_else(|| nearest(&|_, after| after.is_whitespace(), true))
        .or_else(|| nearest(&|_, _| true, true))
}

/// Punctuation of scripts that put no space after it.
fn is_wide(stop: char) -> bool {
    matches!(stop, '。' | '！' | '？' | '、' | '，' | '；')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts like a tokeniser that knows every short word and cuts long ones in fours.
    fn count(text: &str) -> usize {
        text.split_whitespace()
            .map(|word| word.chars().count().div_ceil(4))
            .sum()
    }

    fn segment(start_ms: u64, end_ms: u64, text: &str) -> Segment {
        Segment {
            start_ms,
            end_ms,
            text: text.to_owned(),
            words: None,
        }
    }

    #[test]
    fn a_short_note_is_one_passage() {
        let passages = cut(
            &[
                segment(0, 900, "buy milk"),
                segment(1_000, 2_000, " and bread "),
            ],
            256,
            &count,
        );
        assert_eq!(
            passages,
            [Passage {
                ordinal: 0,
                start_ms: 0,
                end_ms: 2_000,
                text: "buy milk and bread".to_owned()
            }]
        );
    }

    #[test]
    fn silence_has_no_passage() {
        assert!(cut(&[], 256, &count).is_empty());
        assert!(cut(&[segment(0, 10, "  ")], 256, &count).is_empty());
    }

    #[test]
    fn passages_of_one_recording_are_of_like_length() {
        let segments: Vec<_> = (0..25)
            .map(|i| {
                segment(
                    i * 1_000,
                    i * 1_000 + 900,
                    "one two six ten one two six ten ok.",
                )
            })
            .collect();
        let lengths: Vec<_> = cut(&segments, 256, &count)
            .iter()
            .map(|p| count(&p.text))
            .collect();
        assert_eq!(lengths, [117, 108]);
    }

    #[test]
    fn a_giant_segment_is_cut_at_sentences_with_times_between() {
        let sentence = "word ".repeat(98) + "stop. ";
        let passages = cut(&[segment(10_000, 20_000, &sentence.repeat(4))], 256, &count);
        assert_eq!(passages.len(), 2, "{passages:#?}");
        assert!(passages.iter().all(|p| p.text.ends_with("stop.")));
        assert_eq!((passages[0].start_ms, passages[1].end_ms), (10_000, 20_000));
        assert!(passages[0].end_ms.abs_diff(15_000) < 50, "{passages:#?}");
    }

    #[test]
    fn text_without_spaces_is_cut_between_characters() {
        let passages = cut(
            &[segment(0, 60_000, &"電球がともっていた。".repeat(200))],
            256,
            &count,
        );
        assert!(passages.len() > 1);
        assert!(passages.iter().all(|p| count(&p.text) <= TARGET_TOKENS));
        assert!(passages.iter().all(|p| p.text.ends_with('。')));
    }

    proptest! {
        #[test]
        fn passages_hold_all_words_in_order_and_none_is_too_long(
            texts in prop::collection::vec("[a-zé電.,! ]{0,400}", 0..20),
            max_tokens in 3_usize..300,
        ) {
            let segments: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(i, text)| segment(i as u64 * 5_000, i as u64 * 5_000 + 4_000, text))
                .collect();
            let passages = cut(&segments, max_tokens, &count);
            let squeeze = |s: &str| s.split_whitespace().collect::<String>();
            prop_assert_eq!(
                passages.iter().map(|p| squeeze(&p.text)).collect::<String>(),
                texts.iter().map(|t| squeeze(t)).collect::<String>()
            );
            for (i, passage) in passages.iter().enumerate() {
                prop_assert_eq!(passage.ordinal as usize, i);
                prop_assert!(count(&passage.text) <= TARGET_TOKENS.min(max_tokens - 2));
                prop_assert!(passage.start_ms <= passage.end_ms);
            }
            for pair in passages.windows(2) {
                prop_assert!(pair[0].start_ms <= pair[1].start_ms);
            }
        }
    }
}
