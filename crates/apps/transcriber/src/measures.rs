//! What is measured, as Prometheus reads it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use speakr_core::usecases::recordings::Meter;
use speakr_nats::{Bus, BusError, Delivery, Queue, streams};

/// Counts what the decoder does.
#[derive(Debug, Default)]
pub struct Measures {
    /// Sound made into text, in milliseconds: a counter has whole seconds alone.
    transcribed_ms: AtomicU64,
}

impl Measures {
    /// Says what each metric means.
    #[must_use]
    pub fn describe() -> Self {
        describe_histogram!(
            "speakr_command_seconds",
            "Time from taking a command to its answer; that of a start is as long as its recording"
        );
        describe_histogram!(
            "speakr_transcription_seconds",
            "Time to make a text of kept sound"
        );
        describe_histogram!(
            "speakr_real_time_factor",
            "Time to make a text of kept sound, as a part of the length of the sound"
        );
        describe_counter!("speakr_transcribed_seconds_total", "Sound made into text");
        describe_counter!(
            "speakr_decode_errors_total",
            "Times that the decoder failed"
        );
        describe_counter!(
            "speakr_redeliveries_total",
            "Commands that were handed out again"
        );
        describe_counter!("speakr_dead_letters_total", "Commands that were put aside");
        describe_counter!(
            "speakr_vanished_clients_total",
            "Recordings finished because nothing more came"
        );
        describe_gauge!("speakr_queue_waiting", "Commands that wait");
        describe_gauge!(
            "speakr_queue_working",
            "Commands worked on by all replicas together"
        );
        describe_gauge!(
            "speakr_recordings_held",
            "Recordings that this replica holds"
        );
        describe_gauge!(
            "speakr_stream_bytes",
            "Bytes in a stream: of commands and of sound more is refused when it is full, of events and \
             of dead letters the oldest go then"
        );
        describe_gauge!("speakr_stream_max_bytes", "Most bytes that a stream takes");
        describe_gauge!("speakr_stream_messages", "Messages in a stream");
        counter!("speakr_decode_errors_total").absolute(0);
        counter!("speakr_vanished_clients_total").absolute(0);
        Self::default()
    }
}

impl Meter for Measures {
    fn decoded(&self, took: Option<Duration>, sound_ms: u64) {
        let before = self.transcribed_ms.fetch_add(sound_ms, Ordering::Relaxed);
        counter!("speakr_transcribed_seconds_total").absolute((before + sound_ms) / 1_000);
        let Some(took) = took else { return };
        histogram!("speakr_transcription_seconds").record(took.as_secs_f64());
        let sound = Duration::from_millis(sound_ms);
        if !sound.is_zero() {
            let factor = took.as_secs_f64() / sound.as_secs_f64();
            histogram!("speakr_real_time_factor").record(factor);
        }
    }

    fn decode_failed(&self) {
        counter!("speakr_decode_errors_total").increment(1);
    }

    fn client_vanished(&self) {
        counter!("speakr_vanished_clients_total").increment(1);
    }
}

/// A command was taken.
pub(crate) fn taken(delivery: &Delivery) {
    let again = u64::from(delivery.deliveries > 1);
    counter!("speakr_redeliveries_total", "subject" => delivery.subject.clone()).increment(again);
}

/// A command was answered, after so long.
pub(crate) fn answered(subject: String, took: Duration) {
    histogram!("speakr_command_seconds", "subject" => subject).record(took.as_secs_f64());
}

/// A command was put aside.
pub(crate) fn put_aside(subject: String) {
    counter!("speakr_dead_letters_total", "subject" => subject).increment(1);
}

/// So many recordings are held.
pub(crate) fn held(recordings: usize) {
    // Exact up to 2^53.
    #[allow(clippy::cast_precision_loss, reason = "a gauge needs no more")]
    gauge!("speakr_recordings_held").set(recordings as f64);
}

/// Reads how much there is to do. Gives how many commands lie in their stream that no queue knows of; some may
/// have come or gone while it was read.
#[allow(clippy::cast_precision_loss, reason = "a gauge needs no more")]
pub(crate) async fn read_depths(bus: &Bus, queues: &[Queue]) -> Result<u64, BusError> {
    let (mut known, mut stored) = (0, 0);
    for queue in queues {
        let (waiting, working) = queue.depth().await?;
        known += waiting + working;
        let name = queue.name();
        gauge!("speakr_queue_waiting", "queue" => name).set(waiting as f64);
        gauge!("speakr_queue_working", "queue" => name).set(working as f64);
    }
    for level in streams::levels(bus).await? {
        gauge!("speakr_stream_bytes", "stream" => level.stream).set(level.bytes as f64);
        gauge!("speakr_stream_max_bytes", "stream" => level.stream).set(level.max_bytes as f64);
        gauge!("speakr_stream_messages", "stream" => level.stream).set(level.messages as f64);
        if level.stream == streams::COMMANDS {
            stored = level.messages;
        }
        if level.refuses && level.is_alarming() {
            tracing::warn!(
                stream = level.stream,
                bytes = level.bytes,
                max_bytes = level.max_bytes,
                "a stream is nearly full; it will refuse what is sent to it"
            );
        }
    }
    Ok(stored.saturating_sub(known))
}
