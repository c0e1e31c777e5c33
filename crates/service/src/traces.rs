//! Traces over OTLP: where a request went, over every hop, and how long each took.
//!
//! A hop hands on W3C `traceparent` and `tracestate`; who takes a message over continues the trace
//! in its own span.

use std::collections::HashMap;

use opentelemetry::{
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::LevelFilter, registry::LookupSpan};

use crate::otlp::{Collector, OtlpError, TIMEOUT};

/// The headers that carry a trace from one hop to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeaders {
    /// W3C `traceparent`.
    pub traceparent: String,
    /// W3C `tracestate`, where there is any.
    pub tracestate: Option<String>,
}

/// What the next hop is to be told of the span that runs; nothing where traces are off.
#[must_use]
pub fn current() -> Option<TraceHeaders> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    Some(TraceHeaders {
        traceparent: carrier.remove("traceparent")?,
        tracestate: carrier.remove("tracestate").filter(|s| !s.is_empty()),
    })
}

/// Makes `span` the next part of the trace that a message came with. Call it before the span is
/// entered. Headers that can't be read begin a trace of their own.
pub fn continue_in(span: &Span, traceparent: &str, tracestate: Option<&str>) {
    let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    if let Some(state) = tracestate {
        carrier.insert("tracestate".to_owned(), state.to_owned());
    }
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() && span.set_parent(context).is_err() {
        tracing::debug!("a span had begun before its trace was known");
    }
}

/// Sends spans to `collector`, under `/v1/traces`.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one: spans are lost then, and work goes on.
pub fn provider(collector: &Collector) -> Result<SdkTracerProvider, OtlpError> {
    let endpoint = collector.address("/v1/traces");
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector.client())
        .with_endpoint(&endpoint)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|e| OtlpError::Exporter {
            endpoint,
            source: Box::new(e),
        })?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(collector.resource())
        .build())
}

/// The layer that hands spans to `provider`.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("speakr"))
        .with_filter(LevelFilter::INFO)
}
