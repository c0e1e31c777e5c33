//! What one request carries over every hop.

use async_nats::HeaderMap;
use speakr_contract::headers;
use uuid::Uuid;

/// What one request carries from its first command to its last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub correlation_id: Uuid,
    /// W3C `traceparent`, where tracing is on.
    pub traceparent: Option<String>,
    /// W3C `tracestate`.
    pub tracestate: Option<String>,
}

impl Request {
    /// A request of this name, without a trace.
    #[must_use]
    pub const fn new(correlation_id: Uuid) -> Self {
        Self {
            correlation_id,
            traceparent: None,
            tracestate: None,
        }
    }

    /// A request of this name that begins a trace (W3C Trace Context: two random ids, sampled).
    #[must_use]
    pub fn traced(correlation_id: Uuid) -> Self {
        let span = Uuid::new_v4().simple().to_string();
        Self {
            traceparent: Some(format!("00-{}-{}-01", Uuid::new_v4().simple(), &span[..16])),
            ..Self::new(correlation_id)
        }
    }

    /// Reads the headers of a message; `fallback` names a request that names itself not, or not
    /// with a UUID.
    pub(crate) fn of_headers(map: Option<&HeaderMap>, fallback: Uuid) -> Self {
        let get = |name: &str| map.and_then(|m| m.get(name)).map(|v| v.as_str().to_owned());
        Self {
            correlation_id: get(headers::CORRELATION_ID)
                .and_then(|id| Uuid::parse_str(&id).ok())
                .unwrap_or(fallback),
            traceparent: get(headers::TRACEPARENT),
            tracestate: get(headers::TRACESTATE),
        }
    }

    /// The headers of a message of this request.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(
            headers::CORRELATION_ID,
            self.correlation_id.to_string().as_str(),
        );
        for (name, value) in [
            (headers::TRACEPARENT, &self.traceparent),
            (headers::TRACESTATE, &self.tracestate),
        ] {
            // A header with a line break would be another header.
            if let Some(value) = value
                && !value.contains(['\r', '\n'])
            {
                map.insert(name, value.as_str());
            }
        }
        map
    }
}
