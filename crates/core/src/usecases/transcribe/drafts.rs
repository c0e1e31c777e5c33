//! What is already decoded of a piece that is still being spoken.
//!
//! The longer a piece, the better the engine understands it, and the longer it takes: too long for
//! somebody who waits for the last words. So a long open piece is decoded in parts too, each up to
//! a pause. When it ends by itself it is decoded as a whole, and the parts are forgotten. When the
//! sound ends, the parts stand, and only what was said after the last of them is left to decode.

use crate::{audio::ms_to_samples, ports::speech::Decoded, segmenter::Piece};

/// Least speech in a part.
const PART_MS: u64 = 4_000;
/// A last piece with less speech than this is decoded as a whole: that is quick enough.
const WHOLE_MS: u64 = 6_000;
/// So much speech at the end is decoded together, though the first of it is decoded already, where the engine is quick:
/// it is understood better. (`speakr-bench accuracy --real-time` with base q5_1: without, 13 of 1,026 words went wrong
/// that are heard in files.)
const TOGETHER_MS: u64 = 7_000;
/// Sound kept before the first speech of a part.
const PADDING_MS: u64 = 320;

/// The decoded parts of the open piece, in order and without gaps.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    /// Where the piece begins to which they belong.
    start_sample: u64,
    parts: Vec<(Piece, Decoded)>,
}

impl Drafts {
    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }

    /// Where the piece begins that ends with `part`.
    pub(super) fn start_sample(&self, part: &Piece) -> u64 {
        self.parts
            .first()
            .map_or(part.start_sample, |(first, _)| first.start_sample)
    }

    /// What they say.
    pub(super) fn decoded(&self) -> impl Iterator<Item = &Decoded> {
        self.parts.iter().map(|(_, decoded)| decoded)
    }

    /// What isn't decoded yet of `piece`, which is open and grows. Parts of another piece, or that
    /// no longer fit, are forgotten. `None` when nothing is left.
    pub(super) fn rest(&mut self, piece: Piece) -> Option<Piece> {
        if !self.fit(&piece) {
            self.clear();
        }
        self.start_sample = piece.start_sample;
        self.after(piece)
    }

    /// Keeps the text of `part`, which [`Drafts::rest`] gave and which a pause ended, if it is
    /// long enough to stand alone.
    pub(super) fn keep(&mut self, part: &Piece, decoded: &Decoded) {
        if part.speech_samples() >= ms_to_samples(PART_MS) {
            self.parts.push((part.clone(), decoded.clone()));
        }
    }

    /// What the last piece of the sound is decoded as: its parts, which are decoded, and what
    /// comes after them, with the last part where both are short and the engine is `quick`; or the
    /// whole, when it is short or there are no parts of it.
    pub(super) fn split(
        &mut self,
        piece: Piece,
        quick: bool,
    ) -> (Vec<(Piece, Decoded)>, Option<Piece>) {
        if piece.speech_samples() < ms_to_samples(WHOLE_MS) || !self.fit(&piece) {
            self.clear();
            return (Vec::new(), Some(piece));
        }
        let mut rest = self.after(piece.clone());
        while quick
            && let Some(short) = &rest
            && let Some((last, _)) = self.parts.last()
            && last.speech_samples() + short.speech_samples() < ms_to_samples(TOGETHER_MS)
        {
            self.parts.pop();
            rest = self.after(piece.clone());
        }
        (std::mem::take(&mut self.parts), rest)
    }

    /// Whether the parts are the beginning of `piece`.
    fn fit(&self, piece: &Piece) -> bool {
        let mut known = piece.speech.iter();
        self.start_sample == piece.start_sample
            && self
                .parts
                .iter()
                .flat_map(|(part, _)| &part.speech)
                .all(|speech| {
                    known
                        .next()
                        .is_some_and(|k| k.start == speech.start && k.end == speech.end)
                })
    }

    /// The end of `piece` after the parts.
    fn after(&self, piece: Piece) -> Option<Piece> {
        let Some(done) = self.parts.last().and_then(|(part, _)| part.speech.last()) else {
            return Some(piece);
        };
        let speech: Vec<_> = piece
            .speech
            .into_iter()
            .filter(|range| range.start >= done.end)
            .collect();
        let first = speech.first()?.start;
        let start_sample = first
            .saturating_sub(ms_to_samples(PADDING_MS))
            .max(done.end);
        let skipped = usize::try_from(start_sample - piece.start_sample).ok()?;
        Some(Piece {
            start_sample,
            pcm: piece.pcm.get(skipped..)?.to_vec(),
            speech,
        })
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a piece with one stretch of speech is a list of one range"
)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// A piece that begins at 1 s, with speech in these seconds of the sound.
    fn piece(seconds: &[Range<u64>]) -> Piece {
        let end = seconds.last().unwrap().end * 16_000;
        Piece {
            start_sample: 16_000,
            pcm: (16_000..end).map(|i| (i / 16_000) as i16).collect(),
            speech: seconds
                .iter()
                .map(|r| r.start * 16_000..r.end * 16_000)
                .collect(),
        }
    }

    #[test]
    fn what_follows_the_parts_is_left_with_its_own_place_in_the_sound() {
        let mut drafts = Drafts::default();
        let first = drafts.rest(piece(&[1..6])).unwrap();
        assert_eq!(first, piece(&[1..6]));
        drafts.keep(&first, &Decoded::default());
        assert_eq!(drafts.rest(piece(&[1..6])), None, "all is decoded");
        let rest = drafts.rest(piece(&[1..6, 7..9])).unwrap();
        assert_eq!(rest.start_sample, 7 * 16_000 - 320 * 16);
        assert_eq!(rest.end_sample(), 9 * 16_000);
        assert_eq!(rest.pcm[0], 6);
        assert_eq!(rest.pcm.last(), Some(&8));
        assert_eq!(rest.speech, [7 * 16_000..9 * 16_000]);
        drafts.keep(&rest, &Decoded::default());

        let (parts, rest) = drafts.split(piece(&[1..6, 7..9, 10..11]), true);
        assert_eq!(parts.len(), 1, "the second was too short yet");
        assert_eq!(rest.unwrap().speech.len(), 2);
    }

    #[test]
    fn a_short_last_piece_is_decoded_as_a_whole() {
        let mut drafts = Drafts::default();
        let first = drafts.rest(piece(&[1..5])).unwrap();
        drafts.keep(&first, &Decoded::default());
        let (parts, rest) = drafts.split(piece(&[1..5, 6..7]), false);
        assert!(parts.is_empty());
        assert_eq!(rest, Some(piece(&[1..5, 6..7])));
    }

    #[test]
    fn a_short_rest_is_decoded_with_the_short_part_before_it() {
        let mut drafts = Drafts::default();
        for seconds in [&[1..5][..], &[1..5, 6..10]] {
            let part = drafts.rest(piece(seconds)).unwrap();
            drafts.keep(&part, &Decoded::default());
        }
        let all = drafts.rest(piece(&[1..5, 6..10]));
        assert_eq!(all, None);
        let (parts, rest) = drafts.split(piece(&[1..5, 6..10, 11..12]), true);
        assert_eq!(parts.len(), 1, "the other part is long enough by itself");
        let rest = rest.unwrap();
        assert_eq!(
            rest.speech,
            [6 * 16_000..10 * 16_000, 11 * 16_000..12 * 16_000]
        );
    }

    #[test]
    fn a_slow_engine_decodes_only_what_is_left() {
        let mut drafts = Drafts::default();
        for seconds in [&[1..5][..], &[1..5, 6..10]] {
            let part = drafts.rest(piece(seconds)).unwrap();
            drafts.keep(&part, &Decoded::default());
        }
        let (parts, rest) = drafts.split(piece(&[1..5, 6..10, 11..12]), false);
        assert_eq!(parts.len(), 2);
        assert_eq!(rest.unwrap().speech, [11 * 16_000..12 * 16_000]);
    }

    #[test]
    fn where_all_is_decoded_nothing_is_decoded_again() {
        let mut drafts = Drafts::default();
        for seconds in [&[1..5][..], &[1..5, 6..10]] {
            let part = drafts.rest(piece(seconds)).unwrap();
            drafts.keep(&part, &Decoded::default());
        }
        let (parts, rest) = drafts.split(piece(&[1..5, 6..10]), true);
        assert_eq!((parts.len(), rest), (2, None));
    }

    #[test]
    fn parts_of_another_piece_or_of_one_cut_elsewhere_are_forgotten() {
        let mut drafts = Drafts::default();
        let first = drafts.rest(piece(&[1..6])).unwrap();
        drafts.keep(&first, &Decoded::default());
        let mut other = piece(&[3..20]);
        other.start_sample = 3 * 16_000;
        let (parts, rest) = drafts.split(other.clone(), true);
        assert!(parts.is_empty());
        assert_eq!(rest, Some(other));

        let first = drafts.rest(piece(&[1..6])).unwrap();
        drafts.keep(&first, &Decoded::default());
        let grown = piece(&[1..9]);
        assert_eq!(drafts.rest(grown.clone()), Some(grown));
    }
}
