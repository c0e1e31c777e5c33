//! How much there is to do, as Prometheus and collectors read it.

use std::{sync::Arc, time::Duration};

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use speakr_nats::Queue;
use tokio_util::sync::CancellationToken;

/// How often it is read.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Says what each metric means.
fn describe() {
    describe_gauge!("speakr_queue_waiting", "Events that wait");
    describe_gauge!(
        "speakr_queue_working",
        "Events worked on by all replicas together"
    );
    describe_histogram!(
        "speakr_embedder_duration_seconds",
        "Time to make one text findable"
    );
    describe_counter!(
        "speakr_embedder_passages_total",
        "Passages that were made findable"
    );
    describe_counter!(
        "speakr_embedder_redeliveries_total",
        "Events that were handed out again"
    );
    describe_counter!(
        "speakr_embedder_failures_total",
        "Times that a text couldn't be made findable, and was put off"
    );
    describe_counter!(
        "speakr_embedder_dead_letters_total",
        "Events that were put aside"
    );
}

/// Reads how much is in `queue` until `stop`, and makes it again where it is gone.
pub(crate) async fn measure(queue: Arc<Queue>, stop: CancellationToken) {
    describe();
    while !stop.is_cancelled() {
        match queue.depth().await {
            Ok((waiting, working)) => {
                let name = queue.name();
                // Exact up to 2^53.
                #[allow(clippy::cast_precision_loss, reason = "a gauge needs no more")]
                {
                    gauge!("speakr_queue_waiting", "queue" => name).set(waiting as f64);
                    gauge!("speakr_queue_working", "queue" => name).set(working as f64);
                }
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "can't read how much there is to do"
                );
                mend(&queue).await;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
    }
}

/// Makes `queue` again where it is gone, once there is its stream: that is the transcriber's to make.
async fn mend(queue: &Queue) {
    if !matches!(queue.is_there().await, Ok(false)) {
        return;
    }
    match queue.make_again().await {
        Ok(()) => tracing::warn!(queue = queue.name(), "it was gone, and is made again"),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a queue is gone and can't be made again yet"
        ),
    }
}
