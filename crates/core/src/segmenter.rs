//! Cuts a stream of sound into pieces that a speech engine can decode one by one.
//!
//! Pure: samples and probabilities of speech go in, pieces come out; no clock, no model. Every
//! decision is made frame by frame, so that the pieces don't depend on how the stream was chunked.
//! Every frame that counts as speech lies in exactly one piece.

use std::{collections::VecDeque, ops::Range};

use crate::{
    audio::{level_dbfs, ms_to_samples},
    transcript::Language,
};

/// Sound around the speech of languages other than English.
const WIDE_PADDING_MS: u64 = 800;

/// How a stream is cut. Durations in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmenterConfig {
    /// Speech begins at this probability…
    pub speech_on: f32,
    /// …and goes on until it has been below this one (hysteresis, as Silero's own iterator has).
    pub speech_off: f32,
    /// A gap shorter than this doesn't interrupt a stretch of speech.
    pub min_gap_ms: u64,
    /// A stretch of speech shorter than this is a click, not speech.
    pub min_speech_ms: u64,
    /// Sound kept before the first and after the last speech of a piece.
    pub padding_ms: u64,
    /// No piece is longer than this.
    pub longest_ms: u64,
    /// When a piece grows too long, it is cut at its longest gap after this point.
    pub earliest_cut_ms: u64,
    /// A pause ends a piece. The first entry whose `.0` (length of the piece's speech so far) has
    /// been reached from the back decides how long the pause must be (`.1`). Ascending by `.0`,
    /// which begins at 0.
    pub pauses: Vec<(u64, u64)>,
}

impl SegmenterConfig {
    /// For files: long pieces with much context, cut at long pauses only.
    #[must_use]
    pub fn file() -> Self {
        Self {
            speech_on: 0.5,
            speech_off: 0.35,
            min_gap_ms: 96,
            min_speech_ms: 96,
            padding_ms: 480,
            longest_ms: 28_000,
            earliest_cut_ms: 8_000,
            pauses: vec![(0, 2_000)],
        }
    }

    /// For a microphone: pieces as long as the engine understands best (shorter ones cost words:
    /// `speakr-bench accuracy --pace live --pauses …` shows how many), ended by a shorter pause
    /// the longer they get.
    #[must_use]
    pub fn live() -> Self {
        Self {
            longest_ms: 24_000,
            earliest_cut_ms: 10_000,
            pauses: vec![(0, 2_000), (16_000, 600)],
            ..Self::file()
        }
    }

    /// The same for speech in `language`: the engine hears English best with little sound around
    /// the speech, and other languages with more (`speakr-bench accuracy --padding-ms …`).
    #[must_use]
    pub fn for_language(mut self, language: Option<&Language>) -> Self {
        if language.is_some_and(|language| *language != Language::english()) {
            self.padding_ms = WIDE_PADDING_MS;
        }
        self
    }

    /// The same for speech whose language is found out as it is decoded: there is sound enough for
    /// any, and a piece that turns out to be English takes less of it ([`Piece::with_padding`]).
    #[must_use]
    pub fn for_any_language(mut self) -> Self {
        self.padding_ms = self.padding_ms.max(WIDE_PADDING_MS);
        self
    }

    fn pause_after(&self, speech_ms: u64) -> u64 {
        self.pauses
            .iter()
            .rev()
            .find(|(from, _)| *from <= speech_ms)
            .map_or(u64::MAX, |(_, pause)| *pause)
    }
}

/// A piece of the stream that holds speech.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in the stream, in samples.
    pub start_sample: u64,
    /// Its sound.
    pub pcm: Vec<i16>,
    /// Where in the stream there is speech in it, in samples.
    pub speech: Vec<Range<u64>>,
}

impl Piece {
    /// Where it ends in the stream, in samples.
    #[must_use]
    pub fn end_sample(&self) -> u64 {
        self.start_sample + self.pcm.len() as u64
    }

    /// The same with at most so much sound around its speech, in samples.
    #[must_use]
    pub fn with_padding(&self, samples: u64) -> Self {
        let (Some(first), Some(last)) = (self.speech.first(), self.speech.last()) else {
            return self.clone();
        };
        let start = first.start.saturating_sub(samples).max(self.start_sample);
        let end = (last.end + samples).min(self.end_sample()).max(start);
        let place = |sample: u64| usize::try_from(sample - self.start_sample).unwrap_or(usize::MAX);
        Self {
            start_sample: start,
            pcm: self
                .pcm
                .get(place(start)..place(end))
                .unwrap_or_default()
                .to_vec(),
            speech: self.speech.clone(),
        }
    }

    /// Samples of speech in it.
    #[must_use]
    pub fn speech_samples(&self) -> u64 {
        self.speech.iter().map(|r| r.end - r.start).sum()
    }
}

/// What is known of one frame.
#[derive(Debug, Clone, Copy)]
struct Frame {
    probability: f32,
    level_dbfs: f32,
}

/// Cuts one stream.
#[derive(Debug)]
pub struct Segmenter {
    config: SegmenterConfig,
    frame_len: u64,
    /// Samples from `buffer_start` on.
    buffer: VecDeque<i16>,
    buffer_start: u64,
    /// What is known of the frames from `frames_start` on.
    frames: VecDeque<Frame>,
    frames_start: u64,
    /// Frames decided so far.
    decided: u64,
    /// Stretches of speech (in frames) of the open piece that have ended.
    speech: Vec<Range<u64>>,
    /// The stretch that is going on: its first frame, and the frame after its last speech.
    current: Option<Range<u64>>,
    /// Where a stretch begins that goes on over a cut: it is speech however short it still is.
    continued: Option<u64>,
    /// Where the last piece ended: no later piece begins before.
    cut_sample: u64,
    speech_samples: u64,
}

impl Segmenter {
    /// A segmenter for frames of `frame_len` samples.
    #[must_use]
    pub fn new(config: SegmenterConfig, frame_len: usize) -> Self {
        Self {
            config,
            frame_len: frame_len.max(1) as u64,
            buffer: VecDeque::new(),
            buffer_start: 0,
            frames: VecDeque::new(),
            frames_start: 0,
            decided: 0,
            speech: Vec::new(),
            current: None,
            continued: None,
            cut_sample: 0,
            speech_samples: 0,
        }
    }

    /// Samples that have come in.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.buffer_start + self.buffer.len() as u64
    }

    /// Samples of speech in the pieces given so far.
    #[must_use]
    pub const fn speech_samples(&self) -> u64 {
        self.speech_samples
    }

    /// Where the sound that isn't in a piece yet begins: all before is done with.
    #[must_use]
    pub fn settled_sample(&self) -> u64 {
        self.first_frame()
            .map_or(self.decided * self.frame_len, |f| f * self.frame_len)
            .max(self.cut_sample)
    }

    /// Takes the next samples and the probabilities of the frames that have become whole with
    /// them; gives the pieces that have ended.
    pub fn push(&mut self, pcm: &[i16], probabilities: &[f32]) -> Vec<Piece> {
        self.buffer.extend(pcm);
        let mut pieces = Vec::new();
        for &probability in probabilities {
            let from = self.decided * self.frame_len;
            let level = level_dbfs(&self.copy(from..from + self.frame_len));
            self.frames.push_back(Frame {
                probability,
                level_dbfs: level,
            });
            self.decided += 1;
            self.step(probability);
            pieces.extend(self.close_if_due());
            self.forget();
        }
        pieces
    }

    /// The stream has ended: gives what is left.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        // Samples of an unfinished frame belong to speech if they follow it at once.
        let end = self.samples();
        if let Some(current) = self.current.take() {
            self.end_stretch(current);
        }
        if let Some(last) = self.speech.last() {
            let speech_end = last.end * self.frame_len;
            let tail = if last.end == self.decided {
                end
            } else {
                speech_end
            };
            let until = (speech_end + self.padding()).max(tail).min(end);
            let mut piece = self.cut(self.speech.len(), until);
            if let Some(last) = piece.speech.last_mut() {
                last.end = last.end.max(tail);
            }
            pieces.push(piece);
        }
        self.speech_samples += pieces.iter().map(Piece::speech_samples).sum::<u64>();
        pieces
    }

    /// The piece as it would be if the stream ended now, without ending it: for a look ahead.
    /// `None` when nobody speaks.
    #[must_use]
    pub fn open_piece(&self) -> Option<Piece> {
        let mut speech = self.speech.clone();
        if let Some(current) = &self.current
            && self.is_speech(current)
        {
            speech.push(current.clone());
        }
        let last = speech.last()?.end * self.frame_len;
        let start = self.start_of(speech.first()?);
        let end = (last + self.padding()).min(self.samples());
        Some(Piece {
            start_sample: start,
            pcm: self.copy(start..end),
            speech: self.in_samples(&speech),
        })
    }

    /// How long nobody has spoken, in samples; `None` when no piece is open.
    #[must_use]
    pub fn pause_samples(&self) -> Option<u64> {
        let last = self.current.as_ref().or(self.speech.last())?.end;
        Some((self.decided - last) * self.frame_len)
    }

    fn padding(&self) -> u64 {
        ms_to_samples(self.config.padding_ms)
    }

    fn frames_in(&self, ms: u64) -> u64 {
        ms_to_samples(ms).div_ceil(self.frame_len)
    }

    fn is_speech(&self, stretch: &Range<u64>) -> bool {
        let is_long = stretch.end - stretch.start >= self.frames_in(self.config.min_speech_ms);
        is_long || self.continued == Some(stretch.start) && !stretch.is_empty()
    }

    fn first_frame(&self) -> Option<u64> {
        self.speech
            .first()
            .or(self.current.as_ref())
            .map(|r| r.start)
    }

    /// Where a piece begins whose first speech is `stretch`.
    fn start_of(&self, stretch: &Range<u64>) -> u64 {
        (stretch.start * self.frame_len)
            .saturating_sub(self.padding())
            .max(self.cut_sample)
    }

    fn in_samples(&self, frames: &[Range<u64>]) -> Vec<Range<u64>> {
        frames
            .iter()
            .map(|r| r.start * self.frame_len..r.end * self.frame_len)
            .collect()
    }

    fn copy(&self, range: Range<u64>) -> Vec<i16> {
        let from = range.start.saturating_sub(self.buffer_start) as usize;
        let to = range.end.saturating_sub(self.buffer_start) as usize;
        let to = to.min(self.buffer.len());
        self.buffer.range(from.min(to)..to).copied().collect()
    }

    /// Moves the state of speech on by the frame just decided.
    fn step(&mut self, probability: f32) {
        let frame = self.decided - 1;
        match &mut self.current {
            None if probability >= self.config.speech_on => {
                self.current = Some(frame..frame + 1);
            }
            None => {}
            Some(current) if probability >= self.config.speech_off => {
                current.end = frame + 1;
            }
            Some(current) => {
                let gap = frame + 1 - current.end;
                let ended = current.clone();
                if gap >= self.frames_in(self.config.min_gap_ms) {
                    self.current = None;
                    self.end_stretch(ended);
                }
            }
        }
    }

    fn end_stretch(&mut self, stretch: Range<u64>) {
        if self.is_speech(&stretch) {
            self.speech.push(stretch);
        }
    }

    /// Ends the open piece if its pause is long enough, or if it has grown too long.
    fn close_if_due(&mut self) -> Option<Piece> {
        let first = self.first_frame()?;
        if self.current.is_none() {
            let last = self.speech.last()?.end;
            let speech_ms = (last - first) * self.frame_len / ms_to_samples(1);
            let pause = self.frames_in(self.config.pause_after(speech_ms));
            if self.decided - last >= pause {
                let until = last * self.frame_len + self.padding();
                let until = until.min(self.decided * self.frame_len);
                return Some(self.close(self.speech.len(), until));
            }
        }
        let start = self.start_of(&(first..first));
        let longest = ms_to_samples(self.config.longest_ms);
        // A frame ahead, so that the piece never exceeds the limit.
        if (self.decided + 1) * self.frame_len - start > longest {
            return Some(self.split(start));
        }
        None
    }

    /// Cuts a piece that has grown too long: in its longest gap, or else at its quietest place.
    fn split(&mut self, start: u64) -> Piece {
        let earliest = start + ms_to_samples(self.config.earliest_cut_ms);
        let mut best: Option<(usize, u64)> = None;
        for i in 0..self.speech.len() {
            let end = self.speech[i].end;
            let next = self
                .speech
                .get(i + 1)
                .or(self.current.as_ref())
                .map_or(self.decided, |r| r.start);
            if end * self.frame_len >= earliest && best.is_none_or(|(_, gap)| next - end >= gap) {
                best = Some((i, next - end));
            }
        }
        if let Some((i, gap)) = best {
            let end = self.speech[i].end * self.frame_len;
            // Both sides get padding; a short gap is shared.
            let until = end + self.padding().min(gap * self.frame_len / 2);
            return self.close(i + 1, until);
        }
        let frame = self.quietest_frame(earliest / self.frame_len + 1);
        // Not in a gap that is going on: whether its frames count as speech isn't known before its end.
        let frame = self.current.as_ref().map_or(frame, |c| frame.min(c.end));
        self.split_stretch(frame);
        let whole = self.speech.iter().take_while(|r| r.end <= frame).count();
        self.close(whole, frame * self.frame_len)
    }

    /// Breaks the stretch of speech that holds `frame` in two there.
    fn split_stretch(&mut self, frame: u64) {
        if let Some(i) = self.speech.iter().position(|r| r.contains(&frame)) {
            let tail = frame..self.speech[i].end;
            self.speech[i].end = frame;
            self.speech.insert(i + 1, tail);
            self.speech.retain(|r| !r.is_empty());
        } else if let Some(current) = &mut self.current
            && current.start < frame
        {
            let head = current.start..frame.min(current.end);
            current.start = frame;
            self.continued = Some(frame);
            current.end = current.end.max(frame);
            self.speech.push(head);
        }
    }

    /// The frame from `earliest` on where speech is least likely and the sound most quiet, over
    /// itself and its neighbours.
    fn quietest_frame(&self, earliest: u64) -> u64 {
        let score = |frame: u64| -> f32 {
            let mut sum = 0.0;
            for f in frame.saturating_sub(1)..=(frame + 1).min(self.decided - 1) {
                if let Some(known) = self
                    .frames
                    .get(f.saturating_sub(self.frames_start) as usize)
                {
                    // A fall of 60 dB weighs as much as a fall from certain speech to none.
                    sum += known.probability + known.level_dbfs / 60.0;
                }
            }
            sum
        };
        let mut best = (self.decided, f32::INFINITY);
        for frame in earliest..self.decided {
            let score = score(frame);
            if score <= best.1 {
                best = (frame, score);
            }
        }
        best.0
    }

    fn close(&mut self, stretches: usize, until: u64) -> Piece {
        let piece = self.cut(stretches, until);
        self.speech_samples += piece.speech_samples();
        piece
    }

    /// Takes the first `stretches` stretches of speech as a piece that ends at `until`.
    fn cut(&mut self, stretches: usize, until: u64) -> Piece {
        let speech: Vec<_> = self.speech.drain(..stretches).collect();
        let start = speech.first().map_or(self.cut_sample, |r| self.start_of(r));
        let piece = Piece {
            start_sample: start,
            pcm: self.copy(start..until),
            speech: self.in_samples(&speech),
        };
        self.cut_sample = until;
        piece
    }

    /// Drops what no later piece can need.
    fn forget(&mut self) {
        let needed = self
            .first_frame()
            .unwrap_or(self.decided)
            .saturating_mul(self.frame_len)
            .saturating_sub(self.padding())
            .max(self.cut_sample)
            .min(self.decided * self.frame_len);
        let drop = needed.saturating_sub(self.buffer_start) as usize;
        self.buffer.drain(..drop.min(self.buffer.len()));
        self.buffer_start = self.buffer_start.max(needed);
        let frame = needed / self.frame_len;
        let drop = frame.saturating_sub(self.frames_start) as usize;
        self.frames.drain(..drop.min(self.frames.len()));
        self.frames_start = self.frames_start.max(frame);
    }
}

#[cfg(test)]
mod tests;
