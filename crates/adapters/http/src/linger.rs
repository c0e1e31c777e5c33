//! Hears out who was refused before all was sent: a connection that is closed on unread bytes is reset,
//! and the reset overtakes the answer that says why.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, header::EXPECT},
};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Bytes, Frame, Incoming, SizeHint};

/// How long the rest of a request is read at most, and how long nothing may come (nginx's
/// `lingering_time` and `lingering_timeout`).
const IN_ALL: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_secs(5);

/// What was left unread of a request, once nobody wants it any more.
#[derive(Clone, Default)]
pub(crate) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Rest {
    /// The body for whoever answers; what they leave is in `Rest`.
    pub(crate) fn of(headers: &HeaderMap, body: Incoming) -> (Self, Body) {
        let rest = Self::default();
        // Who waits to be told to go on has sent nothing, and must not be told to.
        if headers.contains_key(EXPECT) {
            return (rest, Body::new(body));
        }
        let body = Watched {
            body: Some(body),
            rest: rest.clone(),
        };
        (rest, Body::new(body))
    }

    /// Reads what is left and drops it, beside the answer.
    pub(crate) fn drain(self) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut body) = left {
            tokio::spawn(tokio::time::timeout(IN_ALL, async move {
                while let Ok(Some(Ok(_))) = tokio::time::timeout(BETWEEN, body.frame()).await {}
            }));
        }
    }
}

struct Watched {
    body: Option<Incoming>,
    rest: Rest,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|b| !b.is_end_stream()) {
            *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
