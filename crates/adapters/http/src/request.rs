//! Reading requests, with problems for what can't be read.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use speakr_core::{RecordingId, Tags};

use crate::{api::Api, guard::too_large, problem::Problem};

/// Most tags in one request.
const MAX_TAGS: usize = 64;

/// Longest tag, in characters.
const MAX_TAG_CHARS: usize = 200;

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::wrong_type(
                "Content-Type has to be application/json",
            ));
        }
        let max = api.config().max_body_bytes;
        let body = axum::body::to_bytes(
            request.into_body(),
            usize::try_from(max).unwrap_or(usize::MAX),
        )
        .await
        .map_err(|_| too_large(max))?;
        object(&body).map(Self)
    }
}

/// What `body` holds, which has to be a JSON object.
pub(crate) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde would take a list for an object's values in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::malformed(
            "the body isn't what is wanted: it is a list, and has to be an object",
        ));
    }
    serde_json::from_slice(body)
        .map_err(|e| Problem::malformed(format!("the body isn't what is wanted: {e}")))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The recording that the path names; its id is put into the request's logs.
pub(crate) struct OfRecording(pub(crate) RecordingId);

impl FromRequestParts<Api> for OfRecording {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|e| Problem::malformed(e.body_text()))?;
        let id: RecordingId = text
            .parse()
            .map_err(|_| Problem::not_found("a recording's id is a UUID"))?;
        tracing::Span::current().record("recording_id", tracing::field::display(id));
        Ok(Self(id))
    }
}

/// Parameters of a query string; one that comes again adds to the first.
pub(crate) struct Parameters(Vec<(String, String)>);

impl FromRequestParts<Api> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let pairs = url::form_urlencoded::parse(query).into_owned().collect();
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The last value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// All values of `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Tags that may be stored.
pub(crate) fn tags<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Result<Tags, Problem> {
    let tags = Tags::new(items);
    if tags.len() > MAX_TAGS {
        return Err(Problem::malformed(format!(
            "at most {MAX_TAGS} tags are taken"
        )));
    }
    for tag in tags.iter() {
        if tag.chars().count() > MAX_TAG_CHARS || tag.chars().any(char::is_control) {
            return Err(Problem::malformed(format!(
                "a tag has at most {MAX_TAG_CHARS} characters, and no control characters"
            )));
        }
    }
    Ok(tags)
}

/// How many are wanted: 1 to `max`, `default` where it isn't said.
pub(crate) fn limit(wanted: Option<u64>, default: usize, max: usize) -> Result<usize, Problem> {
    let Some(wanted) = wanted else {
        return Ok(default);
    };
    usize::try_from(wanted)
        .ok()
        .filter(|n| (1..=max).contains(n))
        .ok_or_else(|| Problem::malformed(format!("limit has to be from 1 to {max}")))
}

/// A time in RFC 3339.
pub(crate) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| {
        text.parse().map_err(|_| {
            Problem::malformed(format!(
                "{name} has to be a time such as 2026-01-31T09:30:00Z"
            ))
        })
    })
    .transpose()
}
