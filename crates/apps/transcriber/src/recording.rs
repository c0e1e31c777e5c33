//! `recording.start`: holds a recording from its first sound to its text.

use std::time::Duration;

use futures::stream;
use speakr_contract::{CaptureSide, commands::RecordingStart};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    audio::samples_to_ms,
    ports::{
        archive::{ArchiveError, SoundWriter},
        sound::{Device, SoundSource},
    },
    usecases::transcribe::{Pace, TranscribedSound},
};
use speakr_nats::{
    BusError, Delivery, Request,
    audio::{self, AudioListener, Heard},
    control::Controls,
    intents::Intent,
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    announce,
    run::{Kept, sent_at},
    text::LOOK_AGAIN,
    trouble::{Outcome, Trouble, chain},
    worker::{Worker, own_recording},
};

/// After a stop, an end mark or more sound may still be on its way for so long.
const LATE_SOUND: Duration = Duration::from_secs(3);
/// Pause after the bus didn't give sound.
const BUS_PAUSE: Duration = Duration::from_millis(500);
/// Sound is made to survive a crash of the store this often.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// Where the sound comes from.
enum Source {
    Client(AudioListener),
    Host(Box<dyn SoundSource>),
}

/// What came of listening once.
enum Came {
    Sound(Vec<i16>),
    /// Nothing more is there now.
    Nothing {
        /// For how long.
        quiet: Duration,
    },
    /// There will be no more.
    End,
}

impl Source {
    async fn next(&mut self) -> Result<Came, Trouble> {
        match self {
            Self::Host(source) => Ok(match source.next().await? {
                Some(pcm) => Came::Sound(pcm),
                None => Came::End,
            }),
            Self::Client(listener) => match listener.next().await {
                Ok(Heard::Sound(pcm)) => Ok(Came::Sound(pcm)),
                Ok(Heard::CaughtUp) => Ok(Came::Nothing {
                    quiet: Duration::ZERO,
                }),
                Ok(Heard::Silence(quiet)) => Ok(Came::Nothing { quiet }),
                Ok(Heard::End) => Ok(Came::End),
                Err(error @ BusError::Sound { .. }) => {
                    // What came before it is good: it is kept, and its text made.
                    tracing::warn!(error = chain(&error), "the sound ends here");
                    Ok(Came::End)
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no sound for now");
                    tokio::time::sleep(BUS_PAUSE).await;
                    // The client isn't to blame for a bus that is away.
                    Ok(Came::Nothing {
                        quiet: Duration::ZERO,
                    })
                }
            },
        }
    }
}

/// Why a recording ended.
enum End {
    /// It is to be kept; and whether its text is to be made.
    Keep {
        transcribe: bool,
    },
    Cancelled,
    Ending,
}

impl Worker {
    pub(crate) async fn start_recording(
        &self,
        delivery: &Delivery,
        start: RecordingStart,
    ) -> Result<Outcome, Trouble> {
        let id = own_recording(&delivery.request);
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        let mut controls = Controls::listen(&self.bus, *id.as_uuid()).await?;
        let done = self.hold(delivery, id, start, &mut controls).await;
        match done {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Cancelled | Trouble::Archive(ArchiveError::Deleted(_))) => {
                self.throw_away(&delivery.request, id).await?;
                Ok(Outcome::Done)
            }
            Err(Trouble::Ending) => Ok(Outcome::HandBack),
            Err(other) => Err(other),
        }
    }

    async fn hold(
        &self,
        delivery: &Delivery,
        id: RecordingId,
        start: RecordingStart,
        controls: &mut Controls,
    ) -> Result<(), Trouble> {
        let request = &delivery.request;
        let intent = self.intents.get(*id.as_uuid()).await?;
        if intent.cancelled {
            return Err(Trouble::Cancelled);
        }
        let known = match self.archive.recording(id).await {
            Ok(recording) => Some(recording),
            Err(ArchiveError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let capture = start.capture;
        let mut recording = match known {
            Some(recording) if recording.state != RecordingState::Capturing => {
                return self.go_on(request, recording, &intent, controls).await;
            }
            Some(recording) => recording,
            None => describe(delivery, start),
        };
        self.check_options(&recording)?;
        let source = self.source(id, capture).await?;
        let mut writer = self.writer(&recording).await?;
        self.announcer.started(request, &recording).await?;
        tracing::info!("recording");

        let live = self.begin_live(request, &recording);
        let end = self
            .capture(source, writer.as_mut(), &live.sound, controls, id)
            .await;
        let transcribe = match end {
            Ok(End::Keep { transcribe }) => transcribe,
            Ok(End::Cancelled) => return Err(Trouble::Cancelled),
            Ok(End::Ending) => return Err(Trouble::Ending),
            Err(error) => return Err(error),
        };
        self.finish(request, &mut recording, writer).await?;
        if !transcribe {
            return Ok(());
        }
        let made = live.finish(self, controls, id).await?;
        self.deliver(request, &recording, made).await
    }

    /// A start that comes again after the sound was kept: the rest is done.
    async fn go_on(
        &self,
        request: &Request,
        recording: Recording,
        intent: &Intent,
        controls: &mut Controls,
    ) -> Result<(), Trouble> {
        let id = recording.recording_id;
        self.announcer.started(request, &recording).await?;
        self.announcer.finished(request, &recording).await?;
        audio::purge(&self.bus, *id.as_uuid()).await?;
        if recording.state == RecordingState::Transcribed
            && let Some(transcript) = self.archive.transcript(id).await?
        {
            return self.announcer.succeeded(request, &transcript).await;
        }
        if intent.stop.as_ref().is_none_or(|stop| stop.transcribe) {
            return self.transcribe_kept(request, &recording, controls).await;
        }
        Ok(())
    }

    async fn source(&self, id: RecordingId, capture: CaptureSide) -> Result<Source, Trouble> {
        match (capture, &self.microphone) {
            (CaptureSide::Client, _) => {
                Ok(Source::Client(AudioListener::new(&self.bus, *id.as_uuid())))
            }
            (CaptureSide::Host, Some(microphone)) => {
                Ok(Source::Host(microphone.open(&Device::Default).await?))
            }
            (CaptureSide::Host, None) => Err(Trouble::Refused(
                "this service doesn't record with a microphone of its own: capture the sound at \
                 the client, or set SPEAKR_HOST_CAPTURE=1 where one replica runs beside a \
                 microphone"
                    .to_owned(),
            )),
        }
    }

    /// Keeps the sound and hands it to the decoder until the recording ends.
    async fn capture(
        &self,
        mut source: Source,
        writer: &mut dyn SoundWriter,
        listener: &mpsc::UnboundedSender<Vec<i16>>,
        controls: &mut Controls,
        id: RecordingId,
    ) -> Result<End, Trouble> {
        let host = matches!(source, Source::Host(_));
        let mut kept = Kept::new(writer);
        if host {
            kept.append();
        }
        let mut intent = Intent::default();
        let mut stopped_at: Option<Instant> = None;
        let mut ended_at: Option<Instant> = None;
        let mut look = tokio::time::interval(LOOK_AGAIN);
        let mut synced_at = Instant::now();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(End::Ending),
                _ = controls.next() => intent = self.intents.get(*id.as_uuid()).await?,
                _ = look.tick() => intent = self.intents.get(*id.as_uuid()).await?,
                () = tokio::time::sleep(BUS_PAUSE), if ended_at.is_some() => {}
                came = source.next(), if ended_at.is_none() => match came? {
                    Came::Sound(pcm) => {
                        kept.write(&pcm).await?;
                        // A decoder that failed says so when its text is asked for.
                        drop(listener.send(pcm));
                        if synced_at.elapsed() > SYNC_EVERY {
                            kept.sync().await?;
                            synced_at = Instant::now();
                        }
                    }
                    Came::End => ended_at = Some(Instant::now()),
                    Came::Nothing { quiet } => {
                        let late = stopped_at.is_some_and(|at| at.elapsed() > LATE_SOUND);
                        let vanished = quiet > self.limits.client_patience;
                        if vanished && stopped_at.is_none() {
                            tracing::warn!(quiet_s = quiet.as_secs(), "the client vanished");
                        }
                        if (late || vanished) && let Source::Client(client) = &mut source {
                            let rest = client.give_up_on_gaps();
                            kept.write(&rest).await?;
                            drop(listener.send(rest));
                            ended_at = Some(Instant::now());
                            if vanished && intent.stop.is_none() {
                                return Ok(End::Keep { transcribe: true });
                            }
                        }
                    }
                },
            }
            if intent.cancelled {
                return Ok(End::Cancelled);
            }
            if intent.stop.is_some() && stopped_at.is_none() {
                stopped_at = Some(Instant::now());
                if let Source::Host(source) = &mut source {
                    source.stop().await;
                }
            }
            let Some(ended) = ended_at else { continue };
            let vanished = ended.elapsed() > self.limits.client_patience;
            if let Some(stop) = &intent.stop {
                return Ok(End::Keep {
                    transcribe: stop.transcribe,
                });
            }
            if host || vanished {
                return Ok(End::Keep { transcribe: true });
            }
        }
    }

    /// All sound is there: it is kept for good, and the bus is free of it.
    async fn finish(
        &self,
        request: &Request,
        recording: &mut Recording,
        mut writer: Box<dyn SoundWriter>,
    ) -> Result<(), Trouble> {
        let id = recording.recording_id;
        writer.sync().await?;
        recording.duration_ms = Some(samples_to_ms(writer.samples()));
        drop(writer);
        self.archive.compact_sound(id).await?;
        if let Some(stop) = self.intents.get(*id.as_uuid()).await?.stop {
            recording.metadata.extend(stop.metadata);
        }
        recording.state = RecordingState::Captured;
        self.archive.update(recording).await?;
        self.announcer.finished(request, recording).await?;
        audio::purge(&self.bus, *id.as_uuid()).await?;
        tracing::info!(duration_ms = recording.duration_ms, "recorded");
        Ok(())
    }

    fn begin_live(&self, request: &Request, recording: &Recording) -> Live {
        let (sound, heard) = mpsc::unbounded_channel::<Vec<i16>>();
        let cancel = CancellationToken::new();
        let task = tokio::spawn({
            let (decoding, request, recording, cancel) = (
                self.decoding(),
                request.clone(),
                recording.clone(),
                cancel.clone(),
            );
            let stream = stream::unfold(heard, |mut heard| async move {
                heard.recv().await.map(|pcm| (pcm, heard))
            });
            async move {
                decoding
                    .decode(&request, &recording, Box::pin(stream), Pace::Live, &cancel)
                    .await
            }
        });
        Live {
            sound,
            task,
            _cancel: cancel.drop_guard(),
        }
    }
}

/// The text that is made while the sound comes.
struct Live {
    sound: mpsc::UnboundedSender<Vec<i16>>,
    task: JoinHandle<Result<TranscribedSound, Trouble>>,
    /// Ends the decoder when the recording is given up.
    _cancel: tokio_util::sync::DropGuard,
}

impl Live {
    /// The text of all that came.
    async fn finish(
        self,
        worker: &Worker,
        controls: &mut Controls,
        id: RecordingId,
    ) -> Result<TranscribedSound, Trouble> {
        let Self {
            sound,
            mut task,
            _cancel,
        } = self;
        drop(sound);
        tokio::select! {
            made = &mut task => {
                made.map_err(|error| Trouble::Scratch(std::io::Error::other(error)))?
            }
            why = worker.watch_for_cancel(controls, id) => Err(why),
        }
    }
}

fn describe(delivery: &Delivery, start: RecordingStart) -> Recording {
    let mut recording = Recording::begin(
        CorrelationId::from(delivery.request.correlation_id),
        start.created_at.unwrap_or_else(|| sent_at(delivery)),
        Tags::new(&start.tags),
        announce::options(start.options),
    );
    recording.metadata = start.metadata;
    recording
}
