//! Takes events one by one and brings the index into agreement with what they tell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use speakr_contract::{
    Message, decode,
    events::{
        EmbeddingSucceeded, RecordingCancelled, RecordingFinished, TranscriptionFailed,
        TranscriptionSucceeded,
    },
    ids,
};
use speakr_core::{
    RecordingId,
    usecases::{
        library::{Library, LibraryError, Refreshed},
        recordings::chain,
    },
};
use speakr_nats::{Bus, BusError, Delivery, Queue, Taken, retry_pause};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

/// Pause after the bus failed.
const BUS_PAUSE: Duration = Duration::from_secs(1);

/// Makes transcripts findable.
#[derive(Clone)]
pub(crate) struct Worker {
    bus: Bus,
    library: Library,
    model: String,
    max_attempts: u64,
    stop: CancellationToken,
}

/// What became of one event.
enum Outcome {
    Done,
    /// It bears the text of what was deleted.
    OfDeleted(Uuid),
    /// It can't be read: nobody can work on it.
    Refused(String),
    /// It may go better later.
    Failed {
        error: LibraryError,
        /// Whether it fails for what is away or busy just now, and not for the recording itself.
        outage: bool,
    },
    Bus(BusError),
}

impl Worker {
    /// Works with `library`, whose embedder is `model`, until `stop`.
    pub(crate) const fn new(
        bus: Bus,
        library: Library,
        model: String,
        max_attempts: u64,
        stop: CancellationToken,
    ) -> Self {
        Self {
            bus,
            library,
            model,
            max_attempts,
            stop,
        }
    }

    /// Takes events out of `queue`, `at_once` at a time.
    pub(crate) async fn run(self, queue: Arc<Queue>, at_once: usize, tasks: &TaskTracker) {
        let room = Arc::new(Semaphore::new(at_once));
        while !self.stop.is_cancelled() {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            match queue.next().await {
                Ok(None) => {}
                Ok(Some(Taken::Work(delivery))) => {
                    let worker = self.clone();
                    tasks.spawn(async move {
                        worker.work(delivery).await;
                        drop(place);
                    });
                }
                Ok(Some(Taken::Exhausted(delivery))) => {
                    let reason = format!(
                        "it was tried {} times, and each time the work on it broke off",
                        delivery.attempt.saturating_sub(1)
                    );
                    if let Err(error) = self.put_aside(delivery, &reason).await {
                        tell(&error);
                    }
                }
                Err(error) => {
                    tell(&error);
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(BUS_PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn work(&self, mut delivery: Delivery) {
        let span = speakr_service::request_span!(
            "event",
            correlation_id = delivery.request.correlation_id,
            subject = delivery.subject,
        );
        speakr_platform::trace::join(&span, &mut delivery.request);
        if delivery.deliveries > 1 {
            metrics::counter!("speakr_embedder_redeliveries_total").increment(1);
        }
        async {
            let busy = delivery.in_progress();
            let outcome = tokio::select! {
                outcome = self.follow(&delivery) => Some(outcome),
                () = self.stop.cancelled() => None,
            };
            drop(busy);
            let answered = match outcome {
                None => delivery.hand_back().await,
                Some(Outcome::Done) => delivery.done().await,
                Some(Outcome::OfDeleted(id)) => delivery.erase(id).await,
                Some(Outcome::Refused(reason)) => self.put_aside(delivery, &reason).await,
                Some(Outcome::Failed { error, outage }) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        attempt = delivery.attempt,
                        outage,
                        "not findable yet"
                    );
                    metrics::counter!("speakr_embedder_failures_total").increment(1);
                    if outage && delivery.may_wait() {
                        let pause = retry_pause(delivery.deliveries);
                        delivery.postpone(pause).await
                    } else if delivery.attempt >= self.max_attempts {
                        self.put_aside(delivery, &chain(&error)).await
                    } else {
                        let pause = retry_pause(delivery.attempt);
                        delivery.retry_after(pause).await
                    }
                }
                Some(Outcome::Bus(error)) => {
                    tell(&error);
                    let pause = retry_pause(delivery.deliveries);
                    delivery.postpone(pause).await
                }
            };
            if let Err(error) = answered {
                tell(&error);
            }
        }
        .instrument(span)
        .await;
    }

    async fn follow(&self, delivery: &Delivery) -> Outcome {
        let id = match recording_of(&delivery.subject, &delivery.payload) {
            Ok(Some(id)) => id,
            Ok(None) => return Outcome::Done,
            Err(reason) => return Outcome::Refused(reason),
        };
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        let began = Instant::now();
        let recording = RecordingId::from(id);
        if delivery.subject != TranscriptionSucceeded::SUBJECT {
            return match self.library.refresh_description(recording).await {
                Ok(()) => Outcome::Done,
                Err(error) => self.failed(error).await,
            };
        }
        let passages = match self.library.refresh(recording).await {
            Ok(Refreshed::Findable { passages }) => passages,
            Ok(refreshed) => {
                tracing::info!(?refreshed, "nothing to make findable any more");
                // A deletion takes texts out of the stream. This one came after it.
                return match self.library.archive().is_deleted(recording).await {
                    Ok(true) => Outcome::OfDeleted(id),
                    Ok(false) => Outcome::Done,
                    Err(error) => self.failed(error.into()).await,
                };
            }
            Err(error) => return self.failed(error).await,
        };
        metrics::histogram!("speakr_embedder_duration_seconds").record(began.elapsed());
        metrics::counter!("speakr_embedder_passages_total").increment(passages as u64);
        tracing::info!(
            passages,
            took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "findable"
        );
        let event_id = ids::event_id(
            delivery.request.correlation_id,
            EmbeddingSucceeded::SUBJECT,
            &format!("{id}:{}:{}", self.model, told_by(&delivery.payload)),
        );
        let event = EmbeddingSucceeded {
            event_id,
            recording_id: id,
            passages: passages as u64,
            model: self.model.clone(),
        };
        match self
            .bus
            .publish(&event, &delivery.request, &event_id.to_string())
            .await
        {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Bus(error),
        }
    }

    /// Puts an event among the dead letters; but not one of a recording that was deleted, whose text it
    /// may bear.
    async fn put_aside(&self, delivery: Delivery, reason: &str) -> Result<(), BusError> {
        if let Ok(Some(id)) = recording_of(&delivery.subject, &delivery.payload)
            && let Ok(true) = self.library.archive().is_deleted(id.into()).await
        {
            return delivery.done().await;
        }
        metrics::counter!("speakr_embedder_dead_letters_total").increment(1);
        delivery.bury(reason).await
    }

    async fn failed(&self, error: LibraryError) -> Outcome {
        let outage = !self.library.is_of_the_recording(&error).await;
        Outcome::Failed { error, outage }
    }
}

/// The recording that an event tells of; none where it changes nothing in the index.
fn recording_of(subject: &str, payload: &[u8]) -> Result<Option<Uuid>, String> {
    let id = match subject {
        TranscriptionSucceeded::SUBJECT => {
            decode::<TranscriptionSucceeded>(payload).map(|event| event.recording_id)
        }
        TranscriptionFailed::SUBJECT => {
            decode::<TranscriptionFailed>(payload).map(|event| event.recording_id)
        }
        RecordingFinished::SUBJECT => {
            decode::<RecordingFinished>(payload).map(|event| event.recording_id)
        }
        RecordingCancelled::SUBJECT => {
            decode::<RecordingCancelled>(payload).map(|event| event.recording_id)
        }
        // Kinds that this version doesn't know, and those that tell of no change.
        _ => return Ok(None),
    };
    id.map(Some).map_err(|refused| refused.to_string())
}

/// The id of the event that told of a text: another text of the same recording is told by another, and that it
/// can be found is told again.
fn told_by(payload: &[u8]) -> Uuid {
    decode::<TranscriptionSucceeded>(payload).map_or(Uuid::nil(), |event| event.event_id)
}

fn tell(error: &BusError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the bus failed; it is tried again"
    );
}
