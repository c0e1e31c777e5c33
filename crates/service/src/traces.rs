//! Traces over OTLP: where a request went, over every hop, and how long each took.
//!
//! A hop hands on W3C `traceparent` and `tracestate`; who takes a message over continues the trace
//! in its own span.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{Request, Response};
use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::LevelFilter, registry::LookupSpan};

/// How long one delivery to the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why traces can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The client of the collector can't be set up.
    #[error("the client of the trace collector can't be set up")]
    Client(#[source] reqwest::Error),
    /// The exporter can't be set up.
    #[error("traces can't be sent to {endpoint}")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

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

/// Sends spans to the collector at `endpoint` (OTLP over HTTP, protobuf; `/v1/traces` is added).
///
/// # Errors
/// [`TraceError`]. That nobody listens there isn't one: spans are lost then, and work goes on.
pub fn provider(
    service: &'static str,
    version: &'static str,
    endpoint: &url::Url,
) -> Result<SdkTracerProvider, TraceError> {
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(TraceError::Client)?;
    let address = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client {
            http,
            runtime: tokio::runtime::Handle::current(),
        })
        .with_endpoint(&address)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|e| TraceError::Exporter {
            endpoint: address,
            source: Box::new(e),
        })?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", version))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
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

/// The exporter works on a thread without a runtime: requests run on the service's own.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let work = self.runtime.spawn(async move {
            let response = http.execute(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = Response::new(response.bytes().await?);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok::<_, reqwest::Error>(answer)
        });
        Ok(work.await??)
    }
}
