//! Puts the text of the pieces together: times of the whole sound, language, and a second try
//! where the engine left speech out or was unsure.

use super::{TranscribedSound, TranscriptionEvent, TranscriptionObserver};
use crate::{
    audio::{ms_to_samples, samples_to_ms},
    ports::speech::{DecodeOptions, Decoded},
    segmenter::Piece,
    transcript::{Language, Segment, join_texts},
};

/// Speech after the last text of a piece that is worth decoding again. With 1,200 a clause of five words was lost
/// live (`speakr-bench accuracy`, long-2609); with 500 what is heard once more is worse than nothing.
const LEFT_OUT_MS: u64 = 900;
/// A second try begins at least this far into its piece, so that tries come to an end.
const LEFT_OUT_FROM_MS: u64 = 400;
/// A language detected at least this surely is kept for the pieces that follow.
const SURE_OF_LANGUAGE: f32 = 0.7;
/// Below this mean log probability a kept language is doubted (Whisper's own limit for a failed
/// decode is −1).
const DOUBT_BELOW: f32 = -0.9;

/// The text so far.
pub(super) struct Assembly<'a> {
    observer: &'a dyn TranscriptionObserver,
    options: DecodeOptions,
    /// Whether the language is to be detected.
    detects: bool,
    /// Whether speech was heard in a language that is heard better with more sound around it.
    room: bool,
    /// A decode in the kept language that is doubted, while the piece is decoded again.
    doubted: Option<Decoded>,
    result: TranscribedSound,
    /// Sum of mean log probabilities times the length of the text, and of the lengths.
    weighted: (f64, f64),
    progress_ms: u64,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        options: DecodeOptions,
        multilingual: bool,
        observer: &'a dyn TranscriptionObserver,
    ) -> Self {
        Self {
            observer,
            detects: multilingual && options.language.is_none(),
            options,
            room: false,
            doubted: None,
            result: TranscribedSound::default(),
            weighted: (0.0, 0.0),
            progress_ms: 0,
        }
    }

    /// How the next piece is to be decoded.
    pub(super) fn options(&self) -> DecodeOptions {
        let mut options = self.options.clone();
        if self.doubted.is_some() {
            options.language = None;
        }
        options
    }

    /// Whether the language is to be found out.
    pub(super) const fn detects(&self) -> bool {
        self.detects
    }

    /// Whether the next piece is in a language that is heard better with more sound around it, as
    /// far as is known.
    pub(super) fn wants_room(&self) -> bool {
        match &self.options.language {
            Some(language) => self.doubted.is_none() && is_other(language),
            None => self.room,
        }
    }

    /// Whether `decoded` tells for the first time that the language is one that wants more room,
    /// surely or not: the piece is to be decoded again with it.
    pub(super) fn learns_that_it_wants_room(&mut self, decoded: &Decoded) -> bool {
        if self.room
            || self.options.language.is_some()
            || !decoded.language.as_ref().is_some_and(is_other)
        {
            return false;
        }
        self.room = true;
        self.keep_language(decoded);
        if self.options.language.is_some() && self.result.language.is_none() {
            self.result.language.clone_from(&decoded.language);
            self.result.language_probability = decoded.language_probability;
        }
        true
    }

    /// Tells how far the sound is done with.
    pub(super) fn progress(&mut self, ms: u64) {
        if ms > self.progress_ms {
            self.progress_ms = ms;
            self.observer
                .on_event(TranscriptionEvent::Progress { decoded_ms: ms });
        }
    }

    /// Shows what an open piece seems to say, in the order of its parts.
    pub(super) fn partial<'d>(
        &self,
        start_sample: u64,
        end_sample: u64,
        parts: impl Iterator<Item = &'d Decoded>,
    ) {
        let segments: Vec<Segment> = parts.flat_map(|d| d.segments.iter().cloned()).collect();
        let text = join_texts(&segments);
        if !text.is_empty() {
            self.observer.on_event(TranscriptionEvent::Partial {
                start_ms: samples_to_ms(start_sample),
                end_ms: samples_to_ms(end_sample),
                text,
            });
        }
    }

    /// Takes the text of a piece. Gives a piece back that must be decoded before all others: the
    /// part that the engine left out, or the whole in another language.
    pub(super) fn take(&mut self, piece: Piece, decoded: Decoded) -> Option<Piece> {
        let decoded = match self.doubted.take() {
            Some(first) if first.mean_log_probability >= decoded.mean_log_probability => first,
            Some(_) => {
                self.keep_language(&decoded);
                decoded
            }
            None if self.is_doubtful(&decoded) => {
                self.doubted = Some(decoded);
                return Some(piece);
            }
            None => {
                self.keep_language(&decoded);
                decoded
            }
        };
        if self.result.language.is_none() && !decoded.segments.is_empty() {
            self.result.language.clone_from(&decoded.language);
            self.result.language_probability = decoded.language_probability;
        }
        let rest = left_out(&piece, &decoded);
        let piece_start = samples_to_ms(piece.start_sample);
        let piece_end = samples_to_ms(piece.end_sample());
        let length: usize = decoded.segments.iter().map(|s| s.text.len()).sum();
        self.weighted.0 += f64::from(decoded.mean_log_probability) * length as f64;
        self.weighted.1 += length as f64;
        if decoded.guessed {
            self.result.guessed_ms += piece_end - piece_start;
        }
        for segment in decoded.segments {
            self.add(segment, piece_start, piece_end);
        }
        if rest.is_none() {
            self.progress(piece_end);
        }
        rest
    }

    fn is_doubtful(&self, decoded: &Decoded) -> bool {
        self.detects
            && self.options.language.is_some()
            && decoded.mean_log_probability < DOUBT_BELOW
    }

    fn keep_language(&mut self, decoded: &Decoded) {
        let sure = decoded
            .language_probability
            .is_some_and(|p| p >= SURE_OF_LANGUAGE);
        if self.detects && sure && !decoded.segments.is_empty() {
            self.options.language.clone_from(&decoded.language);
        }
    }

    fn add(&mut self, mut segment: Segment, piece_start: u64, piece_end: u64) {
        if segment.text.trim().is_empty() {
            return;
        }
        let earliest = self.result.segments.last().map_or(0, |s| s.end_ms);
        // Engines round, and now and then give times out of order or past the end.
        let within = |ms: u64, from: u64| (piece_start + ms).min(piece_end).max(from);
        segment.start_ms = within(segment.start_ms, earliest);
        segment.end_ms = within(segment.end_ms, segment.start_ms);
        if let Some(words) = &mut segment.words {
            let mut from = segment.start_ms;
            for word in words {
                word.start_ms = within(word.start_ms, from).min(segment.end_ms.max(from));
                word.end_ms = within(word.end_ms, word.start_ms);
                from = word.end_ms;
            }
        }
        self.observer
            .on_event(TranscriptionEvent::Segment(segment.clone()));
        self.result.segments.push(segment);
    }

    /// The whole result, for a sound of `samples` of which `speech` were speech.
    pub(super) fn finish(mut self, samples: u64, speech: u64) -> TranscribedSound {
        self.progress(samples_to_ms(samples));
        self.result.duration_ms = samples_to_ms(samples);
        self.result.speech_ms = samples_to_ms(speech);
        if self.weighted.1 > 0.0 {
            self.result.mean_log_probability = (self.weighted.0 / self.weighted.1) as f32;
        }
        self.result
    }
}

fn is_other(language: &Language) -> bool {
    *language != Language::english()
}

/// The end of `piece` from its last text on, if so much speech is left there that the engine must
/// have stopped too early. A piece without any text isn't tried again.
fn left_out(piece: &Piece, decoded: &Decoded) -> Option<Piece> {
    let last_ms = decoded.segments.last()?.end_ms;
    let from = piece.start_sample + ms_to_samples(last_ms);
    let speech: Vec<_> = piece
        .speech
        .iter()
        .filter(|r| r.end > from)
        .map(|r| r.start.max(from)..r.end)
        .collect();
    let left: u64 = speech.iter().map(|r| r.end - r.start).sum();
    if left < ms_to_samples(LEFT_OUT_MS) || last_ms < LEFT_OUT_FROM_MS {
        return None;
    }
    let skip = usize::try_from(from - piece.start_sample).ok()?;
    tracing::debug!(from, left, "the engine stopped early");
    Some(Piece {
        start_sample: from,
        pcm: piece.pcm.get(skip..)?.to_vec(),
        speech,
    })
}
