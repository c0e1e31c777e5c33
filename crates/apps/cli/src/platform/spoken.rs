//! Sound that the platform makes text of, while it is spoken or later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use speakr_api::ApiClient;
use speakr_contract::{
    AudioData, Message,
    commands::{RecordingCancel, RecordingStart, RecordingStop, TranscriptionRun},
};
use speakr_core::{
    CorrelationId, Recording, RecordingId, Segment, Transcript,
    audio::samples_to_ms,
    ports::sound::SoundSource,
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};
use speakr_nats::{Bus, BusConfig, BusError, Caller, Told, wire_options};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use uuid::Uuid;

use super::{request, unreachable};
use crate::{
    failure::{ExitCode, Failure, chain},
    telemetry::Trace,
};

/// How long the platform may be away when all sound is spoken. Until then it may be away as long as
/// it likes.
const AWAY_FOR: Duration = Duration::from_secs(20);
/// Pause before the bus is asked again after it didn't take something.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is looked whether the connection was lost and is back.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the platform may take to hear of a recording that is thrown away.
const CANCELS_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a command beside the file in it.
const COMMAND_BYTES: usize = 128 * 1024;

/// What speaks to the platform.
#[derive(Clone)]
pub(crate) struct SpokenBy {
    pub(crate) config: BusConfig,
    pub(crate) api: Option<ApiClient>,
    pub(crate) trace: Trace,
    /// Ends the waiting; the sound is kept here.
    pub(crate) interrupt: CancellationToken,
    /// Whether what is interrupted is to be thrown away there too.
    pub(crate) discard: CancellationToken,
    pub(crate) observer: Arc<dyn TranscriptionObserver>,
}

/// What came of it.
pub(crate) struct Spoken {
    /// The text, under the id that the recording has here.
    pub(crate) transcript: Transcript,
    /// Its id there, which is another only where the platform had a part of it before.
    pub(crate) there: RecordingId,
}

/// One attempt under one id.
struct Attempt<'a> {
    by: &'a SpokenBy,
    bus: Bus,
    caller: Caller,
    id: RecordingId,
    start: RecordingStart,
    /// Tells the commands of this attempt from those of another under the same id: who asks again
    /// wants an answer, and the server drops what it takes for a repeat.
    name: String,
    /// Connections made when the last command was sent that has an answer.
    connections: u64,
    /// The text that came before all sound was sent: that of a part, from before.
    early: Option<Transcript>,
    /// Its part of the trace, which ends with it.
    _span: Span,
}

impl SpokenBy {
    /// Sends `sound` of `recording` as it comes, and waits for the text.
    ///
    /// # Errors
    /// Why there is none (yet). The sound is kept here then.
    pub(crate) async fn live<S>(&self, recording: &Recording, sound: S) -> Result<Spoken, Failure>
    where
        S: Stream<Item = Result<Vec<i16>, Failure>> + Send + Unpin,
    {
        let mut attempt = self.begin(recording, recording.correlation_id).await?;
        let done = attempt.speak(sound).await;
        let (transcript, sent_ms) = self.or_take_back(&attempt, done).await?;
        self.answer(recording, whole(transcript, sent_ms)?).await
    }

    /// Sends the kept sound of `recording`, which `open` opens, and waits for the text. Where the
    /// platform has a part of it from before, all of it goes under a new id.
    ///
    /// # Errors
    /// As [`SpokenBy::live`].
    pub(crate) async fn again<S, O>(
        &self,
        recording: &Recording,
        open: impl Fn() -> O,
    ) -> Result<Spoken, Failure>
    where
        S: Stream<Item = Result<Vec<i16>, Failure>> + Send + Unpin,
        O: Future<Output = Result<S, Failure>>,
    {
        let mut attempt = self.begin(recording, recording.correlation_id).await?;
        let done = attempt.speak(open().await?).await;
        let (transcript, sent_ms) = self.or_take_back(&attempt, done).await?;
        if transcript.duration_ms >= sent_ms {
            return self.answer(recording, transcript).await;
        }
        let part = transcript.recording_id;
        tracing::info!(
            kept_ms = transcript.duration_ms,
            sent_ms,
            "the platform has a part of it"
        );
        let mut attempt = self.begin(recording, CorrelationId::random()).await?;
        let done = attempt.speak(open().await?).await;
        let (transcript, sent_ms) = self.or_take_back(&attempt, done).await?;
        let spoken = self.answer(recording, whole(transcript, sent_ms)?).await?;
        // The part is in the whole. Where it can't be taken away it is no harm.
        if let Some(api) = &self.api
            && let Err(error) = api.delete(part).await
        {
            tracing::warn!(error = chain(&error), recording_id = %part, "a part of it stays");
        }
        Ok(spoken)
    }

    /// Sends a whole file where it fits into one message; gives it back where it doesn't.
    ///
    /// # Errors
    /// As [`SpokenBy::live`].
    pub(crate) async fn file(
        &self,
        recording: &Recording,
        file: Vec<u8>,
    ) -> Result<Option<Spoken>, Failure> {
        let mut attempt = self.begin(recording, recording.correlation_id).await?;
        attempt.connected().await?;
        let room = attempt
            .bus
            .max_payload_bytes()
            .saturating_sub(COMMAND_BYTES)
            / 4
            * 3;
        if file.len() > room {
            return Ok(None);
        }
        let run = TranscriptionRun {
            recording_id: None,
            audio_data: Some(AudioData(file)),
            tags: attempt.start.tags.clone(),
            metadata: attempt.start.metadata.clone(),
            created_at: attempt.start.created_at,
            options: attempt.start.options.clone(),
        };
        let name = format!("run-{}", attempt.name);
        attempt.ask(&run, &name).await?;
        let told = attempt.outcome(&run).await;
        let transcript = self.or_take_back(&attempt, told).await?;
        self.answer(recording, transcript).await.map(Some)
    }

    async fn begin(
        &self,
        recording: &Recording,
        correlation_id: CorrelationId,
    ) -> Result<Attempt<'_>, Failure> {
        let mut config = self.config.clone();
        // Sound is kept here meanwhile, and goes as soon as there is a connection.
        config.start_without_server = true;
        let bus = Bus::connect(&config).await?;
        let id = RecordingId::from_correlation(correlation_id);
        let (span, headers) = self.trace.of_recording(correlation_id, id);
        let caller = Caller::open(&bus, id, request(correlation_id, headers)).await?;
        let start = RecordingStart {
            tags: recording.tags.clone().into(),
            metadata: recording.metadata.clone(),
            created_at: Some(recording.created_at),
            options: Some(wire_options(&recording.options)),
            ..RecordingStart::default()
        };
        Ok(Attempt {
            by: self,
            bus,
            caller,
            id,
            start,
            name: Uuid::new_v4().simple().to_string(),
            connections: 0,
            early: None,
            _span: span,
        })
    }

    /// What `done` is; where it was interrupted to be thrown away, the platform hears of it.
    async fn or_take_back<T>(
        &self,
        attempt: &Attempt<'_>,
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.discard.is_cancelled() {
            let cancel = RecordingCancel {
                recording_id: *attempt.id.as_uuid(),
            };
            let told = tokio::time::timeout(CANCELS_WITHIN, attempt.caller.ask(&cancel, "cancel"));
            match told.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error = chain(&error), "not taken back"),
                Err(_) => tracing::warn!("the platform can't be told to throw it away"),
            }
        }
        done
    }

    /// The text as it belongs to `recording`, whole.
    async fn answer(
        &self,
        recording: &Recording,
        mut transcript: Transcript,
    ) -> Result<Spoken, Failure> {
        let there = transcript.recording_id;
        if transcript.segments.is_empty() && !transcript.text.is_empty() {
            match &self.api {
                Some(api) => match api.transcript(there).await {
                    Ok(whole) => transcript = whole,
                    Err(error) => tracing::warn!(error = chain(&error), "no parts of the text"),
                },
                None => tracing::warn!("the text came without its parts"),
            }
        }
        for segment in &transcript.segments {
            self.observer
                .on_event(TranscriptionEvent::Segment(segment.clone()));
        }
        transcript.recording_id = recording.recording_id;
        Ok(Spoken { transcript, there })
    }

    fn cancelled() -> Failure {
        Failure::new(ExitCode::Cancelled, "transcribing was cancelled")
    }
}

impl Attempt<'_> {
    /// Start, sound, stop, and then the text; with the length of the sound that was sent.
    async fn speak<S>(&mut self, mut sound: S) -> Result<(Transcript, u64), Failure>
    where
        S: Stream<Item = Result<Vec<i16>, Failure>> + Send + Unpin,
    {
        let start = self.start.clone();
        let name = format!("start-{}", self.name);
        let mut waiting = Vec::new();
        let mut ended = false;
        // Sound that comes before the platform is there is neither lost nor kept waiting.
        let interrupt = self.by.interrupt.clone();
        {
            let started = self.ask_when_there(&start, &name);
            tokio::pin!(started);
            loop {
                tokio::select! {
                    started = &mut started => break started?,
                    () = interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                    pcm = sound.next(), if !ended => match pcm {
                        Some(pcm) => waiting.extend(pcm?),
                        None => ended = true,
                    },
                    () = tokio::time::sleep(AWAY_FOR), if ended => {
                        return Err(unreachable(&self.by.config).await);
                    }
                }
            }
        }
        self.connections = self.bus.connections();
        let mut sender = self.caller.sound();
        let mut troubled = false;
        let mut unsent = 0_u64;
        let mut next = Some(waiting);
        loop {
            if let Some(pcm) = next.take() {
                let sent = tokio::select! {
                    () = interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                    sent = sender.send(&pcm) => sent,
                };
                if let Err(error) = &sent
                    && !troubled
                {
                    tracing::warn!(error = chain(error), "sound waits here");
                }
                troubled = sent.is_err();
            }
            if ended {
                break;
            }
            tokio::select! {
                () = interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                pcm = sound.next() => match pcm {
                    // The platform hears no more of it, and its length is still to be known.
                    Some(pcm) if self.early.is_some() => unsent += pcm?.len() as u64,
                    Some(pcm) => next = Some(pcm?),
                    None => ended = true,
                },
                told = self.caller.told() => self.meanwhile(told).await?,
                // What was lost with a connection is noticed in a pause too.
                () = tokio::time::sleep(LOOK_EVERY) => next = Some(Vec::new()),
            }
        }
        let sent_ms = samples_to_ms(sender.samples() + unsent);
        if let Some(early) = self.early.take() {
            return Ok((early, sent_ms));
        }
        let since = Instant::now();
        loop {
            let finished = tokio::select! {
                () = interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                finished = sender.finish() => finished,
            };
            match finished {
                Ok(_) => break,
                Err(error) if since.elapsed() > AWAY_FOR => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "sound waits here");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        let stop = RecordingStop {
            recording_id: *self.id.as_uuid(),
            transcribe_on_stop: true,
            metadata: speakr_core::recording::Metadata::new(),
        };
        let name = format!("stop-{}", self.name);
        self.ask(&stop, &name).await?;
        let transcript = self.outcome(&start).await?;
        Ok((transcript, sent_ms))
    }

    async fn meanwhile(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Told::Partial(partial) => {
                let (start_ms, end_ms, text) = (partial.start_ms, partial.end_ms, partial.text);
                self.by.observer.on_event(if partial.is_final {
                    TranscriptionEvent::Segment(Segment {
                        start_ms,
                        end_ms,
                        text,
                        words: None,
                    })
                } else {
                    TranscriptionEvent::Partial {
                        start_ms,
                        end_ms,
                        text,
                    }
                });
                Ok(())
            }
            Told::Failed { reason, .. } => Err(refused(&reason)),
            Told::Cancelled => Err(Failure::new(
                ExitCode::Failed,
                "the recording was thrown away on the platform",
            )),
            Told::Closed => Err(unreachable(&self.by.config).await),
            Told::Succeeded(event) => {
                self.early = Some(speakr_nats::transcript(*event, Timestamp::now()));
                Ok(())
            }
        }
    }

    /// Waits for what comes of it. Events that came while the connection was lost went unheard:
    /// once it is back, `command` is sent again, and so is its answer.
    async fn outcome<M: Message>(&mut self, command: &M) -> Result<Transcript, Failure> {
        let mut away_since: Option<Instant> = None;
        if let Some(early) = self.early.take() {
            return Ok(early);
        }
        let interrupt = self.by.interrupt.clone();
        loop {
            tokio::select! {
                () = interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                told = self.caller.told() => match told {
                    Told::Succeeded(event) => {
                        return Ok(speakr_nats::transcript(*event, Timestamp::now()));
                    }
                    told => self.meanwhile(told).await?,
                },
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if !self.bus.is_connected() {
                        let since = *away_since.get_or_insert_with(Instant::now);
                        if since.elapsed() > AWAY_FOR {
                            return Err(unreachable(&self.by.config).await);
                        }
                    } else if self.bus.connections() > self.connections {
                        away_since = None;
                        let connections = self.bus.connections();
                        match self.caller.ask_again(command).await {
                            Ok(()) => self.connections = connections,
                            Err(error) => tracing::warn!(error = chain(&error), "asking again"),
                        }
                    } else {
                        away_since = None;
                    }
                }
            }
        }
    }

    /// Sends a command as soon as the bus takes it.
    async fn ask_when_there<M: Message>(&self, command: &M, name: &str) -> Result<(), Failure> {
        loop {
            match self.caller.ask(command, name).await {
                Ok(()) => return Ok(()),
                Err(error @ (BusError::TooLarge { .. } | BusError::Encode { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "the bus takes nothing yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The same, for as long as the platform may be away.
    async fn ask<M: Message>(&mut self, command: &M, name: &str) -> Result<(), Failure> {
        let asked = tokio::select! {
            () = self.by.interrupt.cancelled() => return Err(SpokenBy::cancelled()),
            asked = tokio::time::timeout(AWAY_FOR, self.ask_when_there(command, name)) => asked,
        };
        match asked {
            Ok(asked) => asked?,
            Err(_) => return Err(unreachable(&self.by.config).await),
        }
        if self.connections == 0 {
            self.connections = self.bus.connections();
        }
        Ok(())
    }

    async fn connected(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while !self.bus.is_connected() {
            if since.elapsed() > AWAY_FOR {
                return Err(unreachable(&self.by.config).await);
            }
            tokio::select! {
                () = self.by.interrupt.cancelled() => return Err(SpokenBy::cancelled()),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        Ok(())
    }
}

/// The sound of `source` as it is sent: where it breaks off, so does the sending.
pub(crate) fn sound_of(
    source: Box<dyn SoundSource>,
) -> impl Stream<Item = Result<Vec<i16>, Failure>> + Send + Unpin {
    Box::pin(futures::stream::try_unfold(
        source,
        |mut source| async move {
            let next = source.next().await.map_err(Failure::from)?;
            Ok(next.map(|pcm| (pcm, source)))
        },
    ))
}

/// `transcript`, if it is of all the sound that was sent: what isn't there stays here.
fn whole(transcript: Transcript, sent_ms: u64) -> Result<Transcript, Failure> {
    if transcript.duration_ms >= sent_ms {
        return Ok(transcript);
    }
    Err(Failure::new(
        ExitCode::Failed,
        format!(
            "the connection was away for so long that the platform has only {} of {sent_ms} ms",
            transcript.duration_ms
        ),
    ))
}

fn refused(reason: &str) -> Failure {
    Failure::new(
        ExitCode::Failed,
        format!("the platform makes no text of it: {reason}"),
    )
}
