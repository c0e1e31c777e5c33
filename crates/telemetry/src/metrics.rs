//! Metrics over OTLP.

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use crate::collector::{Collector, OtlpError};

/// Sends metrics to `collector`, under `/v1/metrics`, every minute or as often as
/// `OTEL_METRIC_EXPORT_INTERVAL` says in milliseconds. Histograms' bounds are the caller's to add.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one.
pub fn provider(collector: &Collector) -> Result<MeterProviderBuilder, OtlpError> {
    let exporter = collector
        .aim(MetricExporter::builder().with_http(), "/v1/metrics")
        .build()
        .map_err(|e| collector.no_exporter("/v1/metrics", e))?;
    Ok(SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_resource(collector.resource()))
}
