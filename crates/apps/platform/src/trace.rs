//! One trace over every hop of the bus.

use speakr_nats::Request;
use speakr_service::traces;
use tracing::Span;

/// Makes `span` the next part of the trace that `request` came with, and `request` hand on `span` to
/// whatever it causes.
pub fn join(span: &Span, request: &mut Request) {
    if let Some(traceparent) = &request.traceparent {
        traces::continue_in(span, traceparent, request.tracestate.as_deref());
    }
    span.in_scope(|| hand_on(request));
}

/// Makes `request` hand on the span that runs. Where traces are off, what came with it goes on.
pub fn hand_on(request: &mut Request) {
    if let Some(headers) = traces::current() {
        request.traceparent = Some(headers.traceparent);
        request.tracestate = headers.tracestate;
    }
}
