//! Capture: sound from a source to the archive as it comes, and on to whoever listens.

use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt, future::Fuse, pin_mut, select_biased, stream};
use tokio::sync::mpsc;

use crate::{
    audio::{SAMPLE_RATE_HZ, level_dbfs, samples_to_ms},
    ports::{
        archive::{ArchiveError, SoundWriter},
        sound::{SoundError, SoundSource},
    },
};

/// Sound is made to survive a power cut this often (counted in samples of it).
const SYNC_INTERVAL_SAMPLES: u64 = SAMPLE_RATE_HZ as u64;

/// What somebody asks of a running capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// End it and keep the sound.
    Stop,
    /// End it because nobody has spoken for as long as was agreed.
    StopForSilence,
    /// End it and throw the sound away.
    Cancel,
    /// Pause it, or go on after a pause.
    TogglePause,
}

/// Why a capture ended.
#[derive(Debug)]
pub enum CaptureEnd {
    /// Somebody asked.
    Asked,
    /// Nobody spoke for as long as was agreed.
    Silence,
    /// The source had no more.
    SourceEnded,
    /// It reached its greatest length.
    MaxDuration,
    /// Somebody asked to throw it away.
    Cancelled,
    /// The source broke off; what came before is kept.
    SourceBroke(SoundError),
    /// The sound can't be kept any more (disk full, …); what was written before is kept.
    ArchiveFailed(ArchiveError),
}

/// A capture that has ended.
#[derive(Debug)]
pub struct Captured {
    /// Samples kept.
    pub samples: u64,
    /// Why it ended.
    pub end: CaptureEnd,
}

impl Captured {
    /// Length of the kept sound.
    #[must_use]
    pub const fn duration_ms(&self) -> u64 {
        samples_to_ms(self.samples)
    }
}

/// Watches a capture: the level meter.
pub trait CaptureObserver: Send + Sync {
    /// One chunk has come. `captured_ms` counts what is kept.
    fn on_sound(&self, level_dbfs: f32, captured_ms: u64, paused: bool);
}

/// Captures until told to stop.
///
/// Each chunk is written before it is handed to `listener`, so that no text is ever made of
/// sound that isn't kept. A listener that is gone or slow doesn't hold the capture up.
/// Once told to stop, the source's remaining sound (what its buffers still hold) is kept too.
pub async fn capture(
    source: &mut dyn SoundSource,
    writer: &mut dyn SoundWriter,
    controls: &mut mpsc::UnboundedReceiver<Control>,
    max_duration: Option<Duration>,
    listener: mpsc::UnboundedSender<Vec<i16>>,
    observer: &dyn CaptureObserver,
) -> Captured {
    let max_samples = max_duration
        .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
        .map(|ms| ms.saturating_mul(crate::audio::SAMPLES_PER_MS));
    let mut paused = false;
    let mut ending: Option<CaptureEnd> = None;
    let mut synced = 0;
    loop {
        let next = {
            // A closed control channel means that nobody can ask any more: only the source ends
            // the capture then.
            let control = async {
                match controls.recv().await {
                    Some(control) => control,
                    None => std::future::pending().await,
                }
            };
            let control = if ending.is_none() {
                control.fuse()
            } else {
                Fuse::terminated()
            };
            let chunk = source.next().fuse();
            pin_mut!(control, chunk);
            select_biased! {
                control = control => Event::Control(control),
                chunk = chunk => Event::Sound(chunk),
            }
        };
        match next {
            Event::Control(Control::TogglePause) => paused = !paused,
            Event::Control(Control::Cancel) => {
                source.stop().await;
                return Captured {
                    samples: writer.samples(),
                    end: CaptureEnd::Cancelled,
                };
            }
            Event::Control(control @ (Control::Stop | Control::StopForSilence)) => {
                ending = Some(if control == Control::Stop {
                    CaptureEnd::Asked
                } else {
                    CaptureEnd::Silence
                });
                source.stop().await;
            }
            Event::Sound(Ok(Some(mut pcm))) => {
                if paused {
                    observer.on_sound(level_dbfs(&pcm), samples_to_ms(writer.samples()), true);
                    continue;
                }
                let mut full = false;
                if let Some(max) = max_samples {
                    let left = max.saturating_sub(writer.samples());
                    if pcm.len() as u64 >= left {
                        pcm.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                        full = true;
                    }
                }
                if let Err(error) = writer.write(&pcm).await {
                    source.stop().await;
                    let end = CaptureEnd::ArchiveFailed(error);
                    return Captured {
                        samples: writer.samples(),
                        end,
                    };
                }
                if writer.samples() - synced >= SYNC_INTERVAL_SAMPLES {
                    synced = writer.samples();
                    if let Err(error) = writer.sync().await {
                        source.stop().await;
                        let end = CaptureEnd::ArchiveFailed(error);
                        return Captured {
                            samples: writer.samples(),
                            end,
                        };
                    }
                }
                observer.on_sound(level_dbfs(&pcm), samples_to_ms(writer.samples()), false);
                // Nobody listening is fine: the sound is kept, text can be made later.
                listener.send(pcm).ok();
                if full {
                    source.stop().await;
                    let end = ending.unwrap_or(CaptureEnd::MaxDuration);
                    return finish(writer, end).await;
                }
            }
            Event::Sound(Ok(None)) => {
                return finish(writer, ending.unwrap_or(CaptureEnd::SourceEnded)).await;
            }
            Event::Sound(Err(error)) => {
                // A source that stumbles while it is being stopped has given what it had.
                let end = ending.unwrap_or(CaptureEnd::SourceBroke(error));
                return finish(writer, end).await;
            }
        }
    }
}

enum Event {
    Control(Control),
    Sound(Result<Option<Vec<i16>>, SoundError>),
}

async fn finish(writer: &mut dyn SoundWriter, end: CaptureEnd) -> Captured {
    let end = match writer.sync().await {
        Ok(()) => end,
        Err(error) => CaptureEnd::ArchiveFailed(error),
    };
    Captured {
        samples: writer.samples(),
        end,
    }
}

/// Sound on its way from a file to the transcriber, kept in the archive as it passes.
///
/// Reads only as fast as the transcriber takes it, so that memory doesn't grow with length.
pub struct Tee<'a> {
    source: &'a mut (dyn SoundSource + 'static),
    writer: Option<&'a mut (dyn SoundWriter + 'static)>,
    failure: Option<TeeError>,
    samples: u64,
    kept: u64,
}

/// Why a file's sound ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum TeeError {
    /// The source broke.
    #[error(transparent)]
    Source(#[from] SoundError),
    /// The sound can't be kept.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl<'a> Tee<'a> {
    /// Passes `source` on, through `writer` where there is one. What a resumed writer has
    /// already isn't written again.
    pub fn new(
        source: &'a mut (dyn SoundSource + 'static),
        writer: Option<&'a mut (dyn SoundWriter + 'static)>,
    ) -> Self {
        let kept = writer.as_ref().map_or(0, |w| w.samples());
        Self {
            source,
            writer,
            failure: None,
            samples: 0,
            kept,
        }
    }

    /// The sound; it ends at the first failure, which [`Tee::finish`] then tells.
    pub fn stream(&mut self) -> impl Stream<Item = Vec<i16>> + Send + Unpin + '_ {
        stream::unfold(self, |tee| async move {
            match tee.step().await {
                Ok(Some(pcm)) => Some((pcm, tee)),
                Ok(None) => None,
                Err(failure) => {
                    tee.failure = Some(failure);
                    None
                }
            }
        })
        .boxed()
    }

    async fn step(&mut self) -> Result<Option<Vec<i16>>, TeeError> {
        if self.failure.is_some() {
            return Ok(None);
        }
        let Some(pcm) = self.source.next().await? else {
            return Ok(None);
        };
        let begin = self.samples;
        self.samples += pcm.len() as u64;
        if let Some(writer) = self.writer.as_mut()
            && self.samples > self.kept
        {
            let known = usize::try_from(self.kept.saturating_sub(begin)).unwrap_or(usize::MAX);
            writer.write(pcm.get(known..).unwrap_or_default()).await?;
        }
        Ok(Some(pcm))
    }

    /// Samples that passed, once the stream has ended.
    ///
    /// # Errors
    /// What ended the stream early.
    pub async fn finish(self) -> Result<u64, TeeError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if let Some(writer) = self.writer {
            writer.sync().await?;
        }
        Ok(self.samples)
    }
}

#[cfg(test)]
mod tests;
