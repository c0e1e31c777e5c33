//! Takes commands from the bus and has each of them answered.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use speakr_contract::subjects;
use speakr_core::{
    RecordingId,
    ports::{archive::ArchiveError, platform::FailureKind},
    usecases::recordings::{Asked, Outcome, Recordings, Trouble, chain},
};
use speakr_nats::{
    Bus, BusAnnouncer, BusError, Delivery, Queue, QueueConfig, Taken, retry_pause,
    streams::{COMMANDS, RECORDING_DURABLE, RUN_DURABLE, StreamSettings},
};
use speakr_platform::scratch::Scratch;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    commands::{Command, comes_with_file, correlation, recording_meant, sent_at},
    measures,
};

mod upkeep;

/// Pause after the bus didn't answer.
const BUS_PAUSE: Duration = Duration::from_secs(1);
/// Pause before a start is offered again when no replica has room, or a command that this replica
/// is still working on.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause that another's API may ask for: nobody waits a day because of one answer.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(3_600);
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
    /// How often sound that nobody needs is looked for.
    pub sweep_every: Duration,
    /// How long a run may go on after the replica was asked to end.
    pub run_grace: Duration,
}

/// Answers the commands that it takes from the bus.
pub struct Worker {
    bus: Bus,
    recordings: Recordings,
    /// Name of the file that a recording's sound has in the store.
    sound_name: &'static str,
    /// Where files lie that came in a message.
    scratch: Scratch,
    /// How the streams are made again, should they be lost.
    streams: StreamSettings,
    limits: Limits,
    /// Cancelled when the replica is asked to end.
    stop: CancellationToken,
    /// Room for recordings.
    room: Arc<Semaphore>,
    /// What this replica is working on.
    working_on: Mutex<HashSet<Work>>,
    /// A queue gave nothing but an error.
    in_trouble: AtomicBool,
}

/// What becomes of half a file whose command is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Sent again, it would be refused again.
    Goes,
    /// Sent again, it may well be served, and goes on from there: what is removed is deleted for good.
    Stays,
}

/// What a replica doesn't do twice at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    /// To answer a command: its sequence.
    Command(u64),
    /// To hold a recording.
    Hold(RecordingId),
}

/// Work under way; also work that panics ends.
struct Working<'a> {
    worker: &'a Worker,
    work: Work,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.worker
            .working_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.work);
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker that has `recordings` answer what it takes from `bus`, until `stop` is cancelled.
    #[must_use]
    pub fn new(
        bus: Bus,
        recordings: Recordings,
        sound_name: &'static str,
        scratch: Scratch,
        streams: StreamSettings,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        Self {
            bus,
            recordings,
            sound_name,
            scratch,
            streams,
            room: Arc::new(Semaphore::new(limits.recordings)),
            limits,
            stop,
            working_on: Mutex::default(),
            in_trouble: AtomicBool::new(false),
        }
    }

    /// Begins to take commands; its tasks are among `tasks` and end soon after it is asked to. Gives
    /// the queues that it takes them from.
    ///
    /// # Errors
    /// [`BusError`] when the queues can't be opened.
    pub async fn start(self, tasks: &TaskTracker) -> Result<Vec<Queue>, BusError> {
        let queue = |durable, filter: &str| QueueConfig {
            stream: COMMANDS,
            durable,
            filter: filter.to_owned(),
            ack_wait: self.limits.ack_wait,
            max_attempts: self.limits.max_attempts,
            max_ack_pending: 10_000,
        };
        let quick = Queue::open(
            &self.bus,
            queue(RECORDING_DURABLE, subjects::RECORDING_COMMANDS),
        )
        .await?;
        let runs = Queue::open(
            &self.bus,
            queue(RUN_DURABLE, subjects::TRANSCRIPTION_COMMANDS),
        )
        .await?;
        let worker = Arc::new(self);
        let run_slots = worker.limits.runs;
        let queues = vec![quick.clone(), runs.clone()];
        tasks.spawn(Arc::clone(&worker).serve(quick, QUICK_COMMANDS, tasks.clone()));
        tasks.spawn(Arc::clone(&worker).serve(runs, run_slots, tasks.clone()));
        tasks.spawn(Arc::clone(&worker).watch(queues.clone()));
        tasks.spawn(worker.sweep());
        Ok(queues)
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
                    self.in_trouble.store(true, Ordering::Relaxed);
                    self.pause(BUS_PAUSE).await;
                }
            }
        }
    }

    /// Waits for so long, or until the replica is asked to end.
    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    async fn answer(&self, taken: Taken) {
        let (mut delivery, exhausted) = match taken {
            Taken::Work(delivery) => (delivery, false),
            Taken::Exhausted(delivery) => (delivery, true),
        };
        measures::taken(&delivery);
        let span = speakr_service::request_span!(
            "command",
            correlation_id = delivery.request.correlation_id,
            subject = delivery.subject,
        );
        speakr_platform::trace::join(&span, &mut delivery.request);
        async {
            let subject = delivery.subject.clone();
            let began = Instant::now();
            let done = match self.begin(Work::Command(delivery.sequence)) {
                // The bus was away for so long that it takes this replica for dead. That says nothing
                // against the command, however often it happened.
                None => delivery.postpone(NO_ROOM_PAUSE).await,
                Some(_working) if exhausted => {
                    let reason = format!(
                        "it was tried {} times, and each time the work on it broke off",
                        delivery.attempt.saturating_sub(1)
                    );
                    self.put_aside(delivery, &reason, None, Half::Stays).await
                }
                Some(_working) if self.stop.is_cancelled() => delivery.hand_back().await,
                Some(_working) => self.work(delivery).await,
            };
            measures::answered(subject, began.elapsed());
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

    /// Notes what this replica works on, until what it gives back is dropped; `None` when it does
    /// already.
    fn begin(&self, work: Work) -> Option<Working<'_>> {
        let is_new = self
            .working_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(work);
        // Made only where it is true: its end would take out what another still works on.
        is_new.then(|| Working { worker: self, work })
    }

    async fn work(&self, delivery: Delivery) -> Result<(), BusError> {
        let going_on = delivery.in_progress();
        tracing::info!(attempt = delivery.attempt, "command");
        let outcome = self.dispatch(&delivery).await;
        drop(going_on);
        let trouble = match outcome {
            Ok(Outcome::Done) => return delivery.done().await,
            Ok(Outcome::HandBack) => return delivery.hand_back().await,
            Ok(Outcome::Postpone(delay)) => return delivery.postpone(delay).await,
            Err(trouble) => trouble,
        };
        let (reason, kind) = (chain(&trouble), trouble.kind());
        let asked_for = match &trouble {
            Trouble::Away { after, .. } => after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        match trouble {
            Trouble::Refused(_) | Trouble::UnknownModel { .. } => {
                self.put_aside(delivery, &reason, kind, Half::Goes).await
            }
            // The command may hold the sound of what was deleted: it is put nowhere.
            Trouble::Archive(ArchiveError::Deleted(_)) => {
                if self.tell_failed(&delivery, &reason, kind, Half::Goes).await {
                    delivery.done().await
                } else {
                    Ok(())
                }
            }
            Trouble::Bus(_)
            | Trouble::Away { .. }
            | Trouble::Archive(ArchiveError::Io { .. } | ArchiveError::Full { .. })
                if delivery.may_wait() =>
            {
                let pause =
                    retry_pause(delivery.deliveries).max(asked_for.min(LONGEST_ASKED_PAUSE));
                tracing::warn!(
                    error = reason,
                    pause_s = pause.as_secs(),
                    "a command waits for what it needs"
                );
                delivery.postpone(pause).await
            }
            // Nothing is wrong with it: it comes again until the other has ended, or is gone.
            Trouble::Archive(ArchiveError::Taken { .. }) => {
                let pause = retry_pause(delivery.deliveries);
                tracing::info!(
                    error = reason,
                    pause_s = pause.as_secs(),
                    "another writes this recording"
                );
                delivery.postpone(pause).await
            }
            _ if delivery.attempt >= self.limits.max_attempts => {
                self.put_aside(delivery, &reason, kind, Half::Stays).await
            }
            _ => {
                let pause = retry_pause(delivery.attempt);
                tracing::warn!(
                    error = reason,
                    attempt = delivery.attempt,
                    pause_s = pause.as_secs(),
                    "a command failed for now"
                );
                delivery.retry_after(pause).await
            }
        }
    }

    async fn dispatch(&self, delivery: &Delivery) -> Result<Outcome, Trouble> {
        let asked = self.asked(delivery);
        match Command::read(delivery, self.scratch.path()).await? {
            Command::Start(start) => {
                // The same start, sent again: each would take the recording from the other.
                let Some(_holding) = self.begin(Work::Hold(asked.own_recording())) else {
                    return Ok(Outcome::Postpone(retry_pause(delivery.deliveries)));
                };
                let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
                    return Ok(Outcome::Postpone(NO_ROOM_PAUSE));
                };
                self.tell_held();
                let outcome = self.recordings.start(&asked, start).await;
                drop(room);
                self.tell_held();
                outcome
            }
            Command::Stop(id, stop) => self.recordings.stop(id, stop).await,
            Command::Cancel(id) => self.recordings.cancel(&asked, id).await,
            Command::Run(run, file) => {
                let outcome = self.recordings.run(&asked, run).await;
                drop(file);
                outcome
            }
        }
    }

    fn tell_held(&self) {
        measures::held(self.limits.recordings - self.room.available_permits());
    }

    fn asked(&self, delivery: &Delivery) -> Asked {
        Asked {
            correlation_id: correlation(delivery),
            at: sent_at(delivery),
            announcer: Arc::new(BusAnnouncer::new(
                &self.bus,
                delivery.request.clone(),
                self.sound_name,
            )),
        }
    }

    /// Says that there will be no text, and puts the command among the dead letters; but not one of a
    /// recording that was deleted, whose sound it may hold.
    async fn put_aside(
        &self,
        delivery: Delivery,
        reason: &str,
        kind: Option<FailureKind>,
        half: Half,
    ) -> Result<(), BusError> {
        // Half a file that is removed leaves the same mark, later.
        let is_kept = !self.is_of_deleted(&delivery).await;
        if is_kept {
            // Before anybody hears of it: what isn't to be kept is taken away then, also from there.
            delivery.put_aside(reason).await?;
        }
        if !self.tell_failed(&delivery, reason, kind, half).await {
            return Ok(());
        }
        if is_kept {
            measures::put_aside(delivery.subject.clone());
        }
        delivery.done().await
    }

    async fn is_of_deleted(&self, delivery: &Delivery) -> bool {
        let Some(id) = recording_meant(delivery) else {
            return false;
        };
        match self.recordings.is_deleted(id).await {
            Ok(deleted) => deleted,
            // What waits for a store that is away must not wait here again. Nobody can delete anything
            // there now, and a deletion also takes away what is among the dead letters.
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "can't tell whether the recording was deleted"
                );
                false
            }
        }
    }

    /// Says that there will be no text. `false` where that didn't come through: the command comes again.
    async fn tell_failed(
        &self,
        delivery: &Delivery,
        reason: &str,
        kind: Option<FailureKind>,
        half: Half,
    ) -> bool {
        let Some(id) = recording_meant(delivery) else {
            return true;
        };
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        // Before anybody hears of it, and takes it for one that is there.
        if half == Half::Goes
            && comes_with_file(delivery)
            && let Err(error) = self.recordings.remove_half(id).await
        {
            tracing::warn!(error = chain(&error), "half a file stays in the store");
        }
        let told = self
            .recordings
            .give_up(&self.asked(delivery), delivery.sequence, id, reason, kind)
            .await;
        if let Err(error) = &told {
            tracing::warn!(
                error = chain(error),
                "can't say that a command failed; it comes again"
            );
        }
        told.is_ok()
    }
}
