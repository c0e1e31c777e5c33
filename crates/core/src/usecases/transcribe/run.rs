//! One stream of sound on its way: heard, cut, decoded and assembled while it comes.

use std::{collections::VecDeque, sync::Arc};

use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{
    Pace, TranscribeError, TranscribedSound,
    assembly::Assembly,
    drafts::Drafts,
    job::{self, Job, Purpose},
};
use crate::{
    audio::{SAMPLE_RATE_HZ, ms_to_samples, samples_to_ms},
    ports::{
        speech::{Decoded, SpeechEngine, SpeechError},
        voice_activity::VoiceActivityDetector,
    },
    segmenter::{Piece, Segmenter},
};

/// The pause after which an open piece is decoded in advance: most likely it ends here.
const LOOK_AHEAD_PAUSE_MS: u64 = 224;
/// Least new sound between two looks at a piece that somebody is still speaking.
const PARTIAL_EVERY_MS: u64 = 1_000;
/// Looks that are done in this time are quick. Twice what is promised from the end to the text with the bundled
/// model, which takes a quarter of it: a larger model is asked for to hear better.
const QUICK_MS: u64 = 1_000;
/// Least speech in an open piece that is worth a look.
const PARTIAL_FROM_MS: u64 = 600;
/// Sound that is looked at in one go, so that other tasks get their turn between.
const STRIDE_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// The last look at an open piece.
#[derive(Debug, Default)]
struct Look {
    /// How much sound there was when it began.
    at_sample: u64,
    /// How much sound had come in by the time it was done: what a look costs.
    cost_samples: u64,
    /// The most that one has cost since the piece began.
    slowest_samples: u64,
    /// The speech that was looked at.
    speech: Option<(u64, u64)>,
}

impl Look {
    /// Whether another decode as long as the longest of this piece is one that a speaker who has ended may
    /// wait for.
    const fn is_quick(&self) -> bool {
        self.slowest_samples <= ms_to_samples(QUICK_MS)
    }
}

/// One stream on its way.
pub(super) struct Run<'a> {
    engine: &'a Arc<dyn SpeechEngine>,
    detector: Box<dyn VoiceActivityDetector>,
    segmenter: Segmenter,
    /// The padding of pieces, in samples, as long as no language is known that wants more, where
    /// the language is found out.
    narrow: Option<u64>,
    pace: Pace,
    cancel: &'a CancellationToken,
    /// Pieces that wait for the engine, or only for those before them.
    queue: VecDeque<Waiting>,
    /// A piece that was decoded before it had ended.
    ahead: Option<Ahead>,
    drafts: Drafts,
    looked_at: Look,
    assembly: Assembly<'a>,
}

/// An open piece that was decoded.
struct Ahead {
    whole: Piece,
    piece: Piece,
    decoded: Decoded,
}

/// A piece that has ended.
struct Waiting {
    piece: Piece,
    /// Its text, where it is known already.
    decoded: Option<Decoded>,
}

impl From<Piece> for Waiting {
    fn from(piece: Piece) -> Self {
        Self {
            piece,
            decoded: None,
        }
    }
}

/// What woke the loop.
enum Woken {
    Cancelled,
    Sound(Option<Vec<i16>>),
    Stride,
    Decoded(Box<Result<Decoded, SpeechError>>),
}

impl<'a> Run<'a> {
    /// A stream of `pace` whose pieces get no more sound around them than `narrow`, where that is
    /// given, as long as its language isn't known to want more.
    pub(super) fn new(
        engine: &'a Arc<dyn SpeechEngine>,
        detector: Box<dyn VoiceActivityDetector>,
        segmenter: Segmenter,
        narrow: Option<u64>,
        pace: Pace,
        assembly: Assembly<'a>,
        cancel: &'a CancellationToken,
    ) -> Self {
        Self {
            engine,
            detector,
            segmenter,
            narrow,
            pace,
            cancel,
            queue: VecDeque::new(),
            ahead: None,
            drafts: Drafts::default(),
            looked_at: Look::default(),
            assembly,
        }
    }

    /// Makes the text of `sound` until it ends.
    pub(super) async fn drive<S>(
        mut self,
        mut sound: S,
    ) -> Result<TranscribedSound, TranscribeError>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        let mut job: Option<Job> = None;
        let mut inbox: Vec<i16> = Vec::new();
        let mut taken = 0;
        let mut ended = false;
        loop {
            if let Some(job) = &mut job {
                self.reconsider(job, ended);
            } else {
                job = self.next_job(ended);
                if job.is_none() && ended {
                    break;
                }
            }
            // A file waits for the engine; a microphone never does.
            let hungry = !ended && (self.pace == Pace::Live || self.queue.is_empty());
            let unread = taken < inbox.len();
            let woken = tokio::select! {
                () = self.cancel.cancelled() => Woken::Cancelled,
                result = job::finished(&mut job) => Woken::Decoded(Box::new(result)),
                () = yield_once(), if hungry && unread => Woken::Stride,
                chunk = sound.next(), if hungry && !unread => Woken::Sound(chunk),
            };
            match woken {
                Woken::Cancelled => {
                    job::abandon(job).await;
                    return Err(SpeechError::Cancelled.into());
                }
                Woken::Sound(Some(chunk)) => {
                    inbox = chunk;
                    taken = 0;
                }
                Woken::Sound(None) => {
                    ended = true;
                    self.take_last();
                }
                Woken::Stride => {
                    let until = (taken + STRIDE_SAMPLES).min(inbox.len());
                    self.hear(&inbox[taken..until])?;
                    taken = until;
                }
                Woken::Decoded(result) => {
                    if let Some(done) = job.take() {
                        self.done(done, *result)?;
                    }
                }
            }
        }
        let duration = self.segmenter.samples();
        Ok(self
            .assembly
            .finish(duration, self.segmenter.speech_samples()))
    }

    fn hear(&mut self, pcm: &[i16]) -> Result<(), TranscribeError> {
        let probabilities = self.detector.push(pcm)?;
        let pieces = self.segmenter.push(pcm, &probabilities);
        if !pieces.is_empty() {
            self.looked_at.slowest_samples = 0;
        }
        self.queue.extend(pieces.into_iter().map(Waiting::from));
        if self.queue.is_empty() {
            self.assembly
                .progress(samples_to_ms(self.segmenter.settled_sample()));
        }
        Ok(())
    }

    /// The sound has ended: what is left of it is decoded as quickly as possible.
    fn take_last(&mut self) {
        let mut pieces = self.segmenter.finish();
        let last = pieces.pop();
        self.queue.extend(pieces.into_iter().map(Waiting::from));
        let Some(last) = last else {
            return;
        };
        let (parts, rest) = self.drafts.split(last, self.looked_at.is_quick());
        tracing::debug!(parts = parts.len(), rest = rest.is_some(), "the last piece");
        self.queue
            .extend(parts.into_iter().map(|(piece, decoded)| Waiting {
                piece,
                decoded: Some(decoded),
            }));
        self.queue.extend(rest.map(Waiting::from));
    }

    /// What the idle engine should do next.
    fn next_job(&mut self, ended: bool) -> Option<Job> {
        while let Some(Waiting {
            piece: whole,
            decoded,
        }) = self.queue.pop_front()
        {
            let known = match decoded {
                Some(decoded) => Some((whole.clone(), decoded)),
                None => {
                    self.drafts.clear();
                    self.ahead
                        .take()
                        .filter(|ahead| same_speech(&ahead.whole, &whole))
                        .map(|ahead| (ahead.piece, ahead.decoded))
                }
            };
            let Some((piece, decoded)) = known else {
                return Some(self.start(Purpose::Final, whole));
            };
            tracing::debug!(start = piece.start_sample, "decoded in advance");
            if let Some(again) = self.take(whole, piece, decoded) {
                return Some(self.start(Purpose::Final, again));
            }
        }
        if ended || self.pace == Pace::File {
            return None;
        }
        self.look_ahead()
    }

    /// A look at the open piece, if one is due.
    fn look_ahead(&mut self) -> Option<Job> {
        let pause = self.segmenter.pause_samples()?;
        let paused = pause >= ms_to_samples(LOOK_AHEAD_PAUSE_MS);
        let waited = self.segmenter.samples() - self.looked_at.at_sample;
        let wait = ms_to_samples(PARTIAL_EVERY_MS).max(2 * self.looked_at.cost_samples);
        if !paused && waited < wait {
            return None;
        }
        let piece = self.drafts.rest(self.segmenter.open_piece()?)?;
        let speech = extent(&piece);
        if paused
            && let Some(ahead) = &self.ahead
            && same_speech(&ahead.whole, &piece)
        {
            // The last look happened to see all of it.
            self.drafts.keep(&ahead.piece, &ahead.decoded);
        }
        if self.looked_at.speech == Some(speech)
            || (!paused && piece.speech_samples() < ms_to_samples(PARTIAL_FROM_MS))
        {
            return None;
        }
        self.looked_at.at_sample = self.segmenter.samples();
        self.looked_at.speech = Some(speech);
        Some(self.start(Purpose::Look { paused }, piece))
    }

    /// Takes the text of `piece` of `whole`. Gives what must be decoded before all else.
    fn take(&mut self, whole: Piece, piece: Piece, decoded: Decoded) -> Option<Piece> {
        if self.narrow.is_some() && self.assembly.learns_that_it_wants_room(&decoded) {
            return Some(whole);
        }
        self.assembly.take(piece, decoded)
    }

    fn start(&self, purpose: Purpose, whole: Piece) -> Job {
        let piece = match self.narrow {
            Some(padding) if !self.assembly.wants_room() => whole.with_padding(padding),
            _ => whole.clone(),
        };
        Job::start(
            Arc::clone(self.engine),
            purpose,
            (whole, piece),
            self.assembly.options(),
            self.cancel.child_token(),
        )
    }

    /// Stops a look that has become useless, so that the engine is free for what matters.
    fn reconsider(&self, job: &mut Job, ended: bool) {
        let Purpose::Look { paused } = job.purpose else {
            return;
        };
        let useless = if !self.queue.is_empty() {
            !self
                .queue
                .iter()
                .any(|next| same_speech(&next.piece, &job.whole))
        } else if ended {
            true
        } else {
            // The speaker has paused meanwhile: a look at the whole of it is worth more.
            !paused
                && self
                    .segmenter
                    .pause_samples()
                    .is_some_and(|p| p >= ms_to_samples(LOOK_AHEAD_PAUSE_MS))
                && self
                    .segmenter
                    .open_piece()
                    .is_some_and(|open| extent(&open).1 != extent(&job.piece).1)
        };
        if useless {
            job.stop();
        }
    }

    fn done(
        &mut self,
        job: Job,
        result: Result<Decoded, SpeechError>,
    ) -> Result<(), TranscribeError> {
        if self.cancel.is_cancelled() {
            return Err(SpeechError::Cancelled.into());
        }
        match (job.purpose, result) {
            (Purpose::Final, result) => {
                if let Some(again) = self.take(job.whole, job.piece, result?) {
                    self.queue.push_front(again.into());
                }
            }
            (Purpose::Look { .. }, Err(SpeechError::Cancelled)) if job.is_stopped() => {
                self.looked_at.speech = None;
            }
            (Purpose::Look { paused }, result) => {
                let decoded = result?;
                let cost = self.segmenter.samples() - self.looked_at.at_sample;
                self.looked_at.cost_samples = cost;
                self.looked_at.slowest_samples = self.looked_at.slowest_samples.max(cost);
                if self.queue.is_empty() {
                    self.assembly.partial(
                        self.drafts.start_sample(&job.piece),
                        job.piece.end_sample(),
                        self.drafts.decoded().chain([&decoded]),
                    );
                    if paused {
                        self.drafts.keep(&job.piece, &decoded);
                    }
                }
                self.ahead = Some(Ahead {
                    whole: job.whole,
                    piece: job.piece,
                    decoded,
                });
            }
        }
        Ok(())
    }
}

/// First and last sample of the speech in `piece`.
fn extent(piece: &Piece) -> (u64, u64) {
    let start = piece.speech.first().map_or(0, |r| r.start);
    let end = piece.speech.last().map_or(0, |r| r.end);
    (start, end)
}

fn same_speech(a: &Piece, b: &Piece) -> bool {
    a.start_sample == b.start_sample && a.speech == b.speech
}

/// Lets other tasks have a turn.
async fn yield_once() {
    let mut yielded = false;
    futures::future::poll_fn(|cx| {
        if yielded {
            return std::task::Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
