//! Metrics, measured once and told twice: to whoever reads `/metrics`, and over OTLP where a collector
//! is set.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use metrics_util::layers::FanoutBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{MetricExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};

use crate::otlp::{Collector, OtlpError, TIMEOUT};

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

/// Why nothing can be measured.
type SetUpError = Box<dyn std::error::Error + Send + Sync>;

/// Sends metrics to `collector`, under `/v1/metrics`, every minute or as often as
/// `OTEL_METRIC_EXPORT_INTERVAL` says in milliseconds.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one.
pub fn provider(collector: &Collector) -> Result<SdkMeterProvider, OtlpError> {
    let endpoint = collector.address("/v1/metrics");
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(collector.client())
        .with_endpoint(&endpoint)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|e| OtlpError::Exporter {
            endpoint,
            source: Box::new(e),
        })?;
    Ok(SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_resource(collector.resource())
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
    Ok(handle)
}
