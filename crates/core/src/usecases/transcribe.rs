//! Sound in, text out: finds the speech, cuts it into pieces, has them decoded and puts the text
//! together again, while the sound is still coming.

mod assembly;
mod drafts;
mod job;

use std::{collections::VecDeque, sync::Arc};

use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use self::{
    assembly::Assembly,
    drafts::Drafts,
    job::{Job, Purpose},
};
use crate::{
    audio::{SAMPLE_RATE_HZ, ms_to_samples, samples_to_ms},
    ports::{
        speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
    segmenter::{Piece, Segmenter, SegmenterConfig},
    transcript::{Language, Segment},
};

/// The pause after which an open piece is decoded in advance: most likely it ends here.
const LOOK_AHEAD_PAUSE_MS: u64 = 224;
/// Least new sound between two looks at a piece that somebody is still speaking.
const PARTIAL_EVERY_MS: u64 = 1_000;
/// Least speech in an open piece that is worth a look.
const PARTIAL_FROM_MS: u64 = 600;
/// Sound that is looked at in one go, so that other tasks get their turn between.
const STRIDE_SAMPLES: usize = SAMPLE_RATE_HZ as usize;

/// What happens while text is made.
#[derive(Debug, Clone, PartialEq)]
pub enum TranscriptionEvent {
    /// What the words at the end seem to be so far. Replaced by the next partial or segment.
    Partial {
        /// Where it begins in the sound.
        start_ms: u64,
        /// Where it ends.
        end_ms: u64,
        /// The text.
        text: String,
    },
    /// A segment that is final.
    Segment(Segment),
    /// All sound up to here is done with.
    Progress {
        /// Milliseconds of sound.
        decoded_ms: u64,
    },
}

/// Hears what happens while text is made. Called in order, from one task.
pub trait TranscriptionObserver: Send + Sync {
    /// Takes one event; must not block.
    fn on_event(&self, event: TranscriptionEvent);
}

/// An observer that looks away.
impl TranscriptionObserver for () {
    fn on_event(&self, _: TranscriptionEvent) {}
}

/// How the sound comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it is spoken: pieces end at pauses, partial texts are given, the sound is never held up.
    Live,
    /// As fast as it is taken: long pieces, and the source waits for the engine.
    File,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    /// The engine refused, failed, or was cancelled.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// The detector failed.
    #[error(transparent)]
    VoiceActivity(#[from] VoiceActivityError),
}

impl TranscribeError {
    /// Whether the caller's own cancellation is the reason.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Speech(SpeechError::Cancelled))
    }
}

/// The text of one stream of sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TranscribedSound {
    /// The language, of the first speech where several were spoken.
    pub language: Option<Language>,
    /// How sure the engine was of it, 0 to 1, where it detected it.
    pub language_probability: Option<f32>,
    /// The segments in order; empty when nobody spoke.
    pub segments: Vec<Segment>,
    /// Length of the sound.
    pub duration_ms: u64,
    /// How much of it was speech.
    pub speech_ms: u64,
    /// Mean log probability of the tokens, weighted by the length of the text; 0 without text.
    pub mean_log_probability: f32,
    /// How much of it the engine could only guess at ([`Decoded::guessed`]).
    ///
    /// [`Decoded::guessed`]: crate::ports::speech::Decoded::guessed
    pub guessed_ms: u64,
}

/// Makes a detector for one stream.
pub type DetectorFactory =
    Box<dyn Fn() -> Result<Box<dyn VoiceActivityDetector>, VoiceActivityError> + Send + Sync>;

/// Makes text from sound.
pub struct Transcriber {
    engine: Arc<dyn SpeechEngine>,
    detector: DetectorFactory,
    file: SegmenterConfig,
    live: SegmenterConfig,
}

impl Transcriber {
    /// A transcriber on `engine`, with a new detector from `detector` for each stream.
    #[must_use]
    pub fn new(engine: Arc<dyn SpeechEngine>, detector: DetectorFactory) -> Self {
        Self {
            engine,
            detector,
            file: SegmenterConfig::file(),
            live: SegmenterConfig::live(),
        }
    }

    /// Cuts streams of `pace` as `config` says instead of as measured best.
    #[must_use]
    pub fn with_segmentation(mut self, pace: Pace, config: SegmenterConfig) -> Self {
        match pace {
            Pace::Live => self.live = config,
            Pace::File => self.file = config,
        }
        self
    }

    /// Whether the engine can do what `options` ask.
    ///
    /// # Errors
    /// [`TranscribeError::Speech`] with the reason why not.
    pub fn accepts(&self, options: &DecodeOptions) -> Result<(), TranscribeError> {
        Ok(self.engine.accepts(options)?)
    }

    /// Makes text from `sound` (16 kHz mono, in chunks of any size) until it ends.
    ///
    /// # Errors
    /// [`TranscribeError`]: the engine doesn't know the language, fails or was cancelled, or the
    /// detector fails.
    pub async fn run<S>(
        &self,
        sound: S,
        pace: Pace,
        options: &DecodeOptions,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<TranscribedSound, TranscribeError>
    where
        S: Stream<Item = Vec<i16>> + Send + Unpin,
    {
        self.engine.accepts(options)?;
        let detector = (self.detector)()?;
        let config = match pace {
            Pace::Live => &self.live,
            Pace::File => &self.file,
        };
        let assembly = Assembly::new(options.clone(), self.engine.model().multilingual, observer);
        let config = config.clone();
        let narrow = assembly.detects().then(|| ms_to_samples(config.padding_ms));
        let config = if assembly.detects() {
            config.for_any_language()
        } else {
            config.for_language(options.language.as_ref())
        };
        let run = Run {
            engine: &self.engine,
            segmenter: Segmenter::new(config, detector.frame_len()),
            narrow,
            detector,
            pace,
            cancel,
            queue: VecDeque::new(),
            ahead: None,
            drafts: Drafts::default(),
            looked_at: Look::default(),
            assembly,
        };
        run.drive(sound).await
    }
}

/// The last look at an open piece.
#[derive(Debug, Default)]
struct Look {
    /// How much sound there was when it began.
    at_sample: u64,
    /// How much sound had come in by the time it was done: what a look costs.
    cost_samples: u64,
    /// The speech that was looked at.
    speech: Option<(u64, u64)>,
}

/// One stream on its way.
struct Run<'a> {
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

impl Run<'_> {
    async fn drive<S>(mut self, mut sound: S) -> Result<TranscribedSound, TranscribeError>
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
        let (parts, rest) = self.drafts.split(last);
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
            self.assembly.context(),
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
                self.looked_at.cost_samples = self.segmenter.samples() - self.looked_at.at_sample;
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

#[cfg(test)]
mod tests;
