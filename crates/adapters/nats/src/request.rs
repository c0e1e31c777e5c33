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

    /// A request of this name that is part of the trace of `parent`, a W3C `traceparent`; where there
    /// is none, or it isn't one, it begins a trace (two random ids, sampled).
    #[must_use]
    pub fn traced(correlation_id: Uuid, parent: Option<&str>) -> Self {
        let traceparent = parent
            .map(str::trim)
            .filter(|parent| is_traceparent(parent))
            .map_or_else(new_traceparent, str::to_owned);
        Self {
            traceparent: Some(traceparent),
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

fn new_traceparent() -> String {
    let span = Uuid::new_v4().simple().to_string();
    format!("00-{}-{}-01", Uuid::new_v4().simple(), &span[..16])
}

/// Whether it is as W3C Trace Context has it: version, trace, span and flags, in lower-case
/// hexadecimal digits, and neither id all zeros.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hexadecimal = |part: &str, digits: usize| {
        part.len() == digits && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    };
    match parts.as_slice() {
        [version, trace, span, flags] => {
            hexadecimal(version, 2)
                && *version != "ff"
                && hexadecimal(trace, 32)
                && trace.contains(|c| c != '0')
                && hexadecimal(span, 16)
                && span.contains(|c| c != '0')
                && hexadecimal(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_or_begins() {
        let id = Uuid::from_u128(1);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Request::traced(id, Some(parent));
        assert_eq!(request.traceparent.as_deref(), Some(parent));
        for none in [
            None,
            Some(""),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"),
            Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
            Some("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Some("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ] {
            let begun = Request::traced(id, none).traceparent.unwrap();
            assert!(
                is_traceparent(&begun) && Some(begun.as_str()) != none,
                "{begun}"
            );
        }
    }
}
