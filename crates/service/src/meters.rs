//! Metrics, measured once and told twice: to whoever reads `/metrics`, and over OTLP where a collector
//! is set.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use metrics_util::layers::FanoutBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use speakr_telemetry::{Collector, OtlpError, metrics as otlp};

/// The end of the names of durations, and bounds of their histograms in seconds.
const SECONDS: (&str, [f64; 14]) = (
    "_seconds",
    [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
    ],
);

/// The same for factors, such as computing time by length of sound.
const FACTORS: (&str, [f64; 10]) = (
    "_factor",
    [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0],
);

/// The memory of this process, by the name that Prometheus's own clients give it.
const MEMORY: &str = "process_resident_memory_bytes";

/// How often it is looked at for a collector, which asks for nothing.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Why nothing can be measured.
type SetUpError = Box<dyn std::error::Error + Send + Sync>;

/// Sends metrics to `collector`, under `/v1/metrics`, every minute or as often as
/// `OTEL_METRIC_EXPORT_INTERVAL` says in milliseconds.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one.
pub fn provider(collector: &Collector) -> Result<SdkMeterProvider, OtlpError> {
    Ok(otlp::provider(collector)?
        .with_view(|instrument: &Instrument| bounds(instrument.name()))
        .build())
}

/// The histogram of what is called `name`, where it has bounds of its own.
fn bounds(name: &str) -> Option<Stream> {
    let boundaries = if name.ends_with(SECONDS.0) {
        SECONDS.1.to_vec()
    } else if name.ends_with(FACTORS.0) {
        FACTORS.1.to_vec()
    } else {
        return None;
    };
    Stream::builder()
        .with_aggregation(Aggregation::ExplicitBucketHistogram {
            boundaries,
            record_min_max: true,
        })
        .build()
        .ok()
}

/// Measures from now on in this process, for the handle's reader and for `otlp`.
///
/// # Errors
/// When something else measures already.
pub(crate) fn install(
    service: &'static str,
    version: &'static str,
    otlp: Option<&SdkMeterProvider>,
) -> Result<PrometheusHandle, SetUpError> {
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix(SECONDS.0.to_owned()), &SECONDS.1)?
        .set_buckets_for_metric(Matcher::Suffix(FACTORS.0.to_owned()), &FACTORS.1)?
        .build_recorder();
    let handle = prometheus.handle();
    if let Some(provider) = otlp {
        let meter = OpenTelemetryMetrics::new(provider.meter("speakr"));
        let both = FanoutBuilder::default()
            .add_recorder(prometheus)
            .add_recorder(OpenTelemetryRecorder::new(meter))
            .build();
        metrics::set_global_recorder(both).map_err(|e| e.to_string())?;
    } else {
        metrics::set_global_recorder(prometheus).map_err(|e| e.to_string())?;
    }
    metrics::describe_gauge!(
        "speakr_build_info",
        "1, with the service's name and version"
    );
    metrics::gauge!("speakr_build_info", "service" => service, "version" => version).set(1.0);
    metrics::describe_gauge!(MEMORY, "Memory that the process has in use");
    measure_memory();
    Ok(handle)
}

/// Measures the memory of this process as it is now. Where the system doesn't tell it, there is no such
/// metric.
pub(crate) fn measure_memory() {
    let status = std::fs::read_to_string("/proc/self/status");
    if let Some(bytes) = status.ok().and_then(|status| resident_bytes(&status)) {
        metrics::gauge!(MEMORY).set(bytes as f64);
    }
}

/// The same, again and again.
pub(crate) async fn keep_measuring_memory() {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        measure_memory();
    }
}

/// What Linux says of a process's memory, in its words: `VmRSS:     1234 kB`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_system_says_of_it_or_nothing() {
        let status = "Name:\tspeakr\nVmHWM:\t   90000 kB\nVmRSS:\t   82560 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(82_560 * 1024));
        for strange in ["", "Name:\tspeakr\n", "VmRSS:\t12 pages\n", "VmRSS:\n"] {
            assert_eq!(resident_bytes(strange), None, "{strange}");
        }
    }
}
