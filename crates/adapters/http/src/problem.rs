//! Errors as RFC 9457 problems. Each bears OpenAI's `error` object too, which is where clients of
//! that API look for the reason.

use std::error::Error;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use speakr_core::{
    ports::{
        access::TokenStoreError, archive::ArchiveError, embedding::EmbeddingError,
        index::IndexError, transcription::TranscriptionError,
    },
    usecases::library::LibraryError,
};

/// When to ask again where there is too much to do, in seconds.
const BUSY_RETRY_S: u64 = 2;

/// Why a request wasn't served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: StatusCode,
    /// Which kind, as the last part of its `type`.
    pub kind: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// What happened this time, and what to do.
    pub detail: String,
    /// When to ask again, in seconds.
    pub retry_after_s: Option<u64>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $status:ident, $kind:literal, $title:literal;)*) => {
        impl Problem {
            $($(#[$doc])*
            pub(crate) fn $name(detail: impl Into<String>) -> Self {
                Self {
                    status: StatusCode::$status,
                    kind: $kind,
                    title: $title,
                    detail: detail.into(),
                    retry_after_s: None,
                }
            })*
        }
    };
}

kinds! {
    malformed: BAD_REQUEST, "malformed", "The request can't be read";
    refused: UNPROCESSABLE_ENTITY, "refused", "The request can't be served as it is";
    unauthorised: UNAUTHORIZED, "unauthorised", "A valid token is needed";
    forbidden: FORBIDDEN, "forbidden", "This isn't allowed";
    not_found: NOT_FOUND, "not-found", "There is no such thing";
    unknown_model: NOT_FOUND, "model-not-found", "There is no such model";
    gone: GONE, "gone", "It was deleted";
    no_such_method: METHOD_NOT_ALLOWED, "method", "This can't be done here";
    too_slow: REQUEST_TIMEOUT, "too-slow", "The request came too slowly";
    conflict: CONFLICT, "conflict", "It isn't ready for this";
    too_large: PAYLOAD_TOO_LARGE, "too-large", "The request is too large";
    wrong_type: UNSUPPORTED_MEDIA_TYPE, "content-type", "The content type isn't supported";
    misdirected: MISDIRECTED_REQUEST, "host", "The request names another host";
    too_many: TOO_MANY_REQUESTS, "rate", "Too many requests";
    internal: INTERNAL_SERVER_ERROR, "internal", "Something failed here";
    upstream: BAD_GATEWAY, "upstream", "Something failed behind this";
    unavailable: SERVICE_UNAVAILABLE, "unavailable", "Not available at the moment";
    timed_out: GATEWAY_TIMEOUT, "timeout", "It took too long";
}

impl Problem {
    /// The same, with when to ask again.
    pub(crate) const fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after_s = seconds;
        self
    }

    /// Something failed that the asker can't mend: told in the log, not to them.
    pub(crate) fn hidden(what: &str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = chain(error), "{what}");
        Self::internal(format!("{what}; the log tells why"))
    }

    /// The object that is sent.
    pub(crate) fn body(&self) -> serde_json::Value {
        let (kind, status) = (self.kind, self.status.as_u16());
        let openai_type = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        // As OpenAI's own API says it.
        let (code, param) = match kind {
            "model-not-found" => ("model_not_found", Some("model")),
            kind => (kind, None),
        };
        json!({
            "type": format!("urn:speakr:problem:{kind}"),
            "title": self.title,
            "status": status,
            "detail": self.detail,
            "error": {"message": self.detail, "type": openai_type, "code": code, "param": param},
        })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(
            self.status,
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
        ) {
            // What is still coming isn't read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<LibraryError> for Problem {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::Archive(error) => error.into(),
            LibraryError::Index(error) => error.into(),
            LibraryError::Embedding(error) => error.into(),
            error @ LibraryError::Copies(_) => Self::hidden(
                "copies in the streams are still there; delete it again",
                &error,
            ),
            LibraryError::OtherModel { .. } => {
                tracing::error!(error = chain(&error), "nothing can be found by its meaning");
                Self::unavailable(format!(
                    "{error}. Mode \"keyword\" finds it. Who runs this server gives it the model of \
                     the index, or has the index made anew"
                ))
            }
            LibraryError::EmptyQuery => Self::malformed("query_text is empty"),
            error @ (LibraryError::NoId(_) | LibraryError::NoMatch(_)) => {
                Self::not_found(error.to_string())
            }
            error @ LibraryError::Ambiguous { .. } => Self::malformed(error.to_string()),
        }
    }
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotFound(_) => Self::not_found(error.to_string()),
            ArchiveError::Deleted(_) => Self::gone(error.to_string()),
            error => Self::hidden("the store of recordings failed", &error),
        }
    }
}

impl From<IndexError> for Problem {
    fn from(error: IndexError) -> Self {
        if matches!(error, IndexError::Busy { .. }) {
            tracing::warn!(error = chain(&error), "the index is too busy");
            return Self::unavailable("there is more to do than can be done at the moment")
                .retry_after(Some(BUSY_RETRY_S));
        }
        Self::hidden("the index failed", &error)
    }
}

impl From<EmbeddingError> for Problem {
    fn from(error: EmbeddingError) -> Self {
        Self::hidden("the embedding model failed", &error)
    }
}

impl From<TokenStoreError> for Problem {
    fn from(error: TokenStoreError) -> Self {
        tracing::error!(error = chain(&error), "tokens can't be looked up");
        Self::unavailable("tokens can't be looked up at the moment").retry_after(Some(2))
    }
}

impl From<TranscriptionError> for Problem {
    fn from(error: TranscriptionError) -> Self {
        let text = error.to_string();
        match &error {
            TranscriptionError::Refused { .. } => Self::refused(text),
            TranscriptionError::UnknownModel { .. } => Self::unknown_model(text),
            TranscriptionError::Busy { retry_after_s, .. } => {
                Self::unavailable(text).retry_after(Some(retry_after_s.unwrap_or(5)))
            }
            TranscriptionError::TimedOut { .. } => Self::timed_out(text),
            TranscriptionError::Cancelled => Self::unavailable(text),
            TranscriptionError::Unauthorised { .. } => {
                tracing::error!(error = text, "transcribing failed");
                Self::upstream("the transcription service doesn't take this server's credentials")
            }
            TranscriptionError::Failed { .. } => Self::hidden("transcribing failed", &error),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
