//! Metrics over OTLP.

use opentelemetry_otlp::{MetricExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use crate::collector::{Collector, OtlpError, TIMEOUT};

/// Sends metrics to `collector`, under `/v1/metrics`, every minute or as often as
/// `OTEL_METRIC_EXPORT_INTERVAL` says in milliseconds. Histograms' bounds are the caller's to add.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one.
pub fn provider(collector: &Collector) -> Result<MeterProviderBuilder, OtlpError> {
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
        .with_resource(collector.resource()))
}
