//! Traces over OTLP: where a request went, over every hop, and how long each took.
//!
//! A hop hands on W3C `traceparent` and `tracestate`; who takes a message over continues the trace
//! in its own span.

use std::collections::HashMap;

use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::propagation::TraceContextPropagator;
pub use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    registry::LookupSpan,
};

use crate::collector::{Collector, OtlpError};

/// The headers that carry a trace from one hop to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeaders {
    /// W3C `traceparent`.
    pub traceparent: String,
    /// W3C `tracestate`, where there is any.
    pub tracestate: Option<String>,
}

impl TraceHeaders {
    /// Headers that came from elsewhere; nothing where they name no trace.
    #[must_use]
    pub fn read(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        Self::of(&context(traceparent, tracestate))
    }

    fn of(context: &Context) -> Option<Self> {
        if !context.span().span_context().is_valid() {
            return None;
        }
        let mut carrier = HashMap::new();
        TraceContextPropagator::new().inject_context(context, &mut carrier);
        Some(Self {
            traceparent: carrier.remove("traceparent")?,
            tracestate: carrier.remove("tracestate").filter(|s| !s.is_empty()),
        })
    }
}

/// The context that headers tell of; one without a trace where they can't be read.
fn context(traceparent: &str, tracestate: Option<&str>) -> Context {
    let mut carrier = HashMap::from([("traceparent".to_owned(), traceparent.trim().to_owned())]);
    if let Some(state) = tracestate {
        carrier.insert("tracestate".to_owned(), state.to_owned());
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// What the next hop is to be told of the span that runs; nothing where traces are off.
#[must_use]
pub fn current() -> Option<TraceHeaders> {
    TraceHeaders::of(&Span::current().context())
}

/// Makes `span` the next part of the trace that a message came with. Call it before the span is
/// entered. Headers that can't be read begin a trace of their own.
pub fn continue_in(span: &Span, traceparent: &str, tracestate: Option<&str>) {
    let context = context(traceparent, tracestate);
    if context.span().span_context().is_valid() && span.set_parent(context).is_err() {
        tracing::debug!("a span had begun before its trace was known");
    }
}

/// Sends spans to `collector`, under `/v1/traces`.
///
/// # Errors
/// [`OtlpError`]. That nobody listens there isn't one: spans are lost then, and work goes on.
pub fn provider(collector: &Collector) -> Result<SdkTracerProvider, OtlpError> {
    let exporter = collector
        .aim(SpanExporter::builder().with_http(), "/v1/traces")
        .build()
        .map_err(|e| collector.no_exporter("/v1/traces", e))?;
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

/// The same for spans alone whose target begins with `target`: what is logged inside of them, and what
/// libraries do, stays out of the trace.
pub fn layer_of_spans<S>(
    provider: &SdkTracerProvider,
    target: &'static str,
) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("speakr"))
        .with_filter(filter_fn(move |of| {
            of.is_span() && *of.level() <= LevelFilter::INFO && of.target().starts_with(target)
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_where_they_name_a_trace() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = TraceHeaders::read(&format!(" {parent}\n"), Some("vendor=1")).unwrap();
        assert_eq!(read.traceparent, parent);
        assert_eq!(read.tracestate.as_deref(), Some("vendor=1"));
        for none in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "🎙",
        ] {
            assert_eq!(TraceHeaders::read(none, None), None, "{none}");
        }
    }
}
