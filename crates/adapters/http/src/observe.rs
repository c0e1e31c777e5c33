//! Each request gets an id, a span for its logs, and a place in the metrics.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use speakr_core::CorrelationId;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("speakr-correlation-id");

/// Makes the span of a request part of the trace that its headers tell of.
#[derive(Debug, Clone, Copy)]
pub struct TraceHook(pub fn(&tracing::Span, &HeaderMap));

/// There is one kind of trace: who compares settings cares whether there is a hook.
impl PartialEq for TraceHook {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TraceHook {}

/// A method as the metrics name it: what clients make up must not make up a series each.
fn known(method: &Method) -> &'static str {
    const METHODS: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let place = METHODS.iter().position(|known| known == method);
    place.map_or("other", |place| NAMES[place])
}

/// Names the request, and tells log and metrics how it went. What was asked and answered isn't
/// logged.
pub(crate) async fn observe(
    State(trace): State<Option<TraceHook>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let request_id = Uuid::new_v4();
    // One that a client made up goes on with the request, so that both sides find it in their
    // logs; anything that is no UUID isn't taken over into ours.
    let correlation = request
        .headers()
        .get(&CORRELATION_ID)
        .and_then(|value| Uuid::try_parse(value.to_str().ok()?).ok())
        .map_or_else(CorrelationId::random, CorrelationId::from);
    request.extensions_mut().insert(correlation);
    let method = known(request.method());
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!(
        "http",
        correlation_id = %correlation,
        recording_id = tracing::field::Empty,
        request_id = %request_id,
        method,
        path,
    );
    if let Some(TraceHook(join)) = trace {
        join(&span, request.headers());
    }

    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    span.in_scope(|| {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, took_ms, "answered");
    });
    metrics::histogram!(
        "speakr_http_request_duration_seconds",
        "method" => method,
        "path" => path,
        "status" => status.to_string(),
    )
    .record(took.as_secs_f64());

    let headers = response.headers_mut();
    for (name, id) in [
        (REQUEST_ID, request_id),
        (CORRELATION_ID, *correlation.as_uuid()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            headers.entry(name).or_insert(value);
        }
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_clients_make_up_are_one() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        for made_up in ["FOO1", "get", "TRACE"] {
            assert_eq!(known(&made_up.parse().unwrap()), "other");
        }
    }
}
