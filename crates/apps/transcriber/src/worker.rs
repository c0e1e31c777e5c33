//! Takes commands from the bus and answers each of them.

use std::{sync::Arc, time::Duration};

use speakr_contract::{Message, commands, decode, subjects};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState,
    ports::{
        archive::{Archive, ArchiveError},
        sound::{Microphone, SoundDecoder},
    },
};
use speakr_nats::{
    Bus, BusError, Delivery, Queue, QueueConfig, Request, Taken,
    intents::Intents,
    streams::{COMMANDS, RECORDING_DURABLE, RUN_DURABLE},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    announce::Announcer,
    engine::Engine,
    trouble::{Outcome, Trouble, chain},
};

/// Pause after the bus didn't answer.
const BUS_PAUSE: Duration = Duration::from_secs(1);
/// First pause before a command is tried again; it doubles with each attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Longest such pause.
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(60);
/// Pause before a start is offered again when no replica has room.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(2);
/// Commands that are answered at once, worked on at a time.
const QUICK_COMMANDS: usize = 512;

/// How much this replica takes on, and how patient it is.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Recordings held at a time.
    pub recordings: usize,
    /// Runs worked on at a time.
    pub runs: usize,
    /// How often a command is tried.
    pub max_attempts: u64,
    /// A command is handed to another replica when nothing is heard of it for so long.
    pub ack_wait: Duration,
    /// A client that says nothing for so long has its recording finished.
    pub client_patience: Duration,
    /// How long a run may go on after the replica was asked to end.
    pub run_grace: Duration,
}

/// What a worker is made of.
pub struct Parts {
    /// The bus, with its streams made.
    pub bus: Bus,
    /// The store of record.
    pub archive: Arc<dyn Archive>,
    /// Name of the file that a recording's sound has there.
    pub sound_name: &'static str,
    /// The engine.
    pub engine: Engine,
    /// Reads files of any format.
    pub decoder: Arc<dyn SoundDecoder>,
    /// The microphone of this machine, where its operator allows recording with it.
    pub microphone: Option<Arc<dyn Microphone>>,
    /// How much to take on.
    pub limits: Limits,
    /// Cancelled when the replica is asked to end.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("engine", &self.engine)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Answers the commands that it takes from the bus.
pub struct Worker {
    pub(crate) bus: Bus,
    pub(crate) intents: Intents,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) decoder: Arc<dyn SoundDecoder>,
    pub(crate) microphone: Option<Arc<dyn Microphone>>,
    pub(crate) announcer: Announcer,
    pub(crate) limits: Limits,
    /// Cancelled when the replica is asked to end.
    pub(crate) stop: CancellationToken,
    /// Cancelled when runs have to end too.
    pub(crate) stop_runs: CancellationToken,
    pub(crate) recordings: Arc<Semaphore>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Begins to take commands; its tasks are among `tasks` and end soon after `stop` is cancelled.
    ///
    /// # Errors
    /// [`BusError`] when the queues can't be opened.
    pub async fn start(parts: Parts, tasks: &TaskTracker) -> Result<(), BusError> {
        let Parts {
            bus,
            archive,
            sound_name,
            engine,
            decoder,
            microphone,
            limits,
            stop,
        } = parts;
        let queue = |durable, filter: &str| QueueConfig {
            stream: COMMANDS,
            durable,
            filter: filter.to_owned(),
            ack_wait: limits.ack_wait,
            max_attempts: limits.max_attempts,
            max_ack_pending: 10_000,
        };
        let quick =
            Queue::open(&bus, queue(RECORDING_DURABLE, subjects::RECORDING_COMMANDS)).await?;
        let runs = Queue::open(&bus, queue(RUN_DURABLE, subjects::TRANSCRIPTION_COMMANDS)).await?;
        let worker = Arc::new(Self {
            intents: Intents::open(&bus).await?,
            announcer: Announcer::new(bus.clone(), sound_name),
            bus,
            archive,
            engine: Arc::new(engine),
            decoder,
            microphone,
            recordings: Arc::new(Semaphore::new(limits.recordings)),
            limits,
            stop,
            stop_runs: CancellationToken::new(),
        });
        let run_slots = worker.limits.runs;
        tasks.spawn(Arc::clone(&worker).serve(quick, QUICK_COMMANDS, tasks.clone()));
        tasks.spawn(Arc::clone(&worker).serve(runs, run_slots, tasks.clone()));
        tokio::spawn(async move {
            worker.stop.cancelled().await;
            tokio::time::sleep(worker.limits.run_grace).await;
            worker.stop_runs.cancel();
        });
        Ok(())
    }

    async fn serve(self: Arc<Self>, queue: Queue, at_a_time: usize, tasks: TaskTracker) {
        let slots = Arc::new(Semaphore::new(at_a_time.max(1)));
        while !self.stop.is_cancelled() {
            let slot = tokio::select! {
                () = self.stop.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            match queue.next().await {
                Ok(None) => {}
                Ok(Some(taken)) => {
                    let worker = Arc::clone(&self);
                    tasks.spawn(async move {
                        worker.answer(taken).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "can't take commands");
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = tokio::time::sleep(BUS_PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn answer(&self, taken: Taken) {
        let (delivery, exhausted) = match taken {
            Taken::Work(delivery) => (delivery, false),
            Taken::Exhausted(delivery) => (delivery, true),
        };
        let span = speakr_service::request_span!(
            "command",
            correlation_id = delivery.request.correlation_id,
            subject = delivery.subject,
        );
        async {
            let subject = delivery.subject.clone();
            let began = std::time::Instant::now();
            let done = if exhausted {
                let reason = format!(
                    "it was tried {} times, and each time the work on it broke off",
                    delivery.attempt - 1
                );
                self.put_aside(delivery, &reason).await
            } else if self.stop.is_cancelled() {
                delivery.hand_back().await
            } else {
                self.work(delivery).await
            };
            metrics::histogram!("speakr_command_seconds", "subject" => subject)
                .record(began.elapsed().as_secs_f64());
            if let Err(error) = done {
                tracing::warn!(
                    error = chain(&error),
                    "can't answer a command; it comes again"
                );
            }
        }
        .instrument(span)
        .await;
    }

    async fn work(&self, delivery: Delivery) -> Result<(), BusError> {
        let going_on = delivery.in_progress();
        tracing::info!(attempt = delivery.attempt, "command");
        let outcome = self.dispatch(&delivery).await;
        drop(going_on);
        match outcome {
            Ok(Outcome::Done) => delivery.done().await,
            Ok(Outcome::HandBack) | Err(Trouble::Ending) => delivery.hand_back().await,
            Ok(Outcome::Postpone(delay)) => delivery.postpone(delay).await,
            Err(Trouble::Refused(reason)) => self.put_aside(delivery, &reason).await,
            Err(error) if delivery.attempt >= self.limits.max_attempts => {
                self.put_aside(delivery, &chain(&error)).await
            }
            Err(error) => {
                let doublings = u32::try_from(delivery.attempt.saturating_sub(1)).unwrap_or(16);
                let pause = RETRY_PAUSE
                    .saturating_mul(2_u32.saturating_pow(doublings.min(16)))
                    .min(LONGEST_RETRY_PAUSE);
                tracing::warn!(
                    error = chain(&error),
                    attempt = delivery.attempt,
                    pause_s = pause.as_secs(),
                    "a command failed for now"
                );
                delivery.retry_after(pause).await
            }
        }
    }

    async fn dispatch(&self, delivery: &Delivery) -> Result<Outcome, Trouble> {
        match delivery.subject.as_str() {
            commands::RecordingStart::SUBJECT => {
                let Ok(slot) = Arc::clone(&self.recordings).try_acquire_owned() else {
                    return Ok(Outcome::Postpone(NO_ROOM_PAUSE));
                };
                let outcome = self.start_recording(delivery, read(delivery)?).await;
                drop(slot);
                outcome
            }
            commands::RecordingStop::SUBJECT => self.stop_recording(read(delivery)?).await,
            commands::RecordingCancel::SUBJECT => {
                self.cancel_recording(delivery, read(delivery)?).await
            }
            commands::TranscriptionRun::SUBJECT => self.run(delivery, read(delivery)?).await,
            other => Err(Trouble::Refused(format!("{other} is no command"))),
        }
    }

    /// Says that there will be no text, and puts the command among the dead letters.
    async fn put_aside(&self, delivery: Delivery, reason: &str) -> Result<(), BusError> {
        if let Some(id) = recording_meant(&delivery) {
            tracing::Span::current().record("recording_id", tracing::field::display(id));
            let recording = self.mark_failed(id, reason).await;
            self.announcer
                .failed(
                    &delivery.request,
                    delivery.sequence,
                    id,
                    recording.as_ref(),
                    reason,
                )
                .await?;
        }
        metrics::counter!("speakr_dead_letters_total", "subject" => delivery.subject.clone())
            .increment(1);
        delivery.bury(reason).await
    }

    /// Writes into the description, where there is one, why there is no text.
    pub(crate) async fn mark_failed(&self, id: RecordingId, reason: &str) -> Option<Recording> {
        let mut recording = match self.archive.recording(id).await {
            Ok(recording) => recording,
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => return None,
            Err(error) => {
                tracing::warn!(error = chain(&error), "can't read the recording");
                return None;
            }
        };
        // Sound that is still in the bus isn't in the store: its state must say so.
        if recording.state != RecordingState::Capturing
            && recording.state != RecordingState::Transcribed
        {
            recording.state = RecordingState::Failed;
            recording.error = Some(reason.to_owned());
            if let Err(error) = self.archive.update(&recording).await {
                tracing::warn!(error = chain(&error), "can't mark the recording as failed");
            }
        }
        Some(recording)
    }
}

/// The recording that a command that failed was about, where whoever asked waits for its text.
fn recording_meant(delivery: &Delivery) -> Option<RecordingId> {
    let own = own_recording(&delivery.request);
    match delivery.subject.as_str() {
        commands::RecordingStart::SUBJECT => Some(own),
        commands::TranscriptionRun::SUBJECT => Some(
            decode::<commands::TranscriptionRun>(&delivery.payload)
                .ok()
                .and_then(|run| run.recording_id)
                .map_or(own, RecordingId::from),
        ),
        _ => None,
    }
}

/// The recording that a request makes.
pub(crate) fn own_recording(request: &Request) -> RecordingId {
    RecordingId::from_correlation(CorrelationId::from(request.correlation_id))
}

fn read<M: Message>(delivery: &Delivery) -> Result<M, Trouble> {
    decode(&delivery.payload).map_err(|refused| Trouble::Refused(refused.to_string()))
}
