//! Requests to the API.

use std::{fmt, path::Path, time::Duration};

use futures::StreamExt;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{self, HeaderValue},
    redirect,
};
use serde::de::DeserializeOwned;
use speakr_core::{
    RecordingId, Tags, Transcript,
    ports::index::Filter,
    search::{ListedRecording, SearchRequest, SearchResponse},
};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::{
    error::ApiError,
    wire::{Problem, QueryRequest, QueryResponse, RecordingList, RecordingSummary, TagChange},
};

/// The largest answer that is read: a long recording's text with all its words.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Longest part of a server's own words in an error.
const MAX_DETAIL_CHARS: usize = 300;
/// Most recordings that the API lists at once.
pub const MOST_LISTED: usize = 1_000;
/// Most results that the API gives at once.
pub const MOST_RESULTS: usize = 100;

/// A bearer token. It is never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token `text`; white space around it is none of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Which API, and how patiently.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it is, as in `https://speakr.example`.
    pub url: Url,
    /// What opens it; a server on loopback may want none.
    pub token: Option<Token>,
    /// How long one request may take, answer included; sound has as long as it takes.
    pub timeout: Duration,
    /// W3C `traceparent` of who asks, sent with each request.
    pub traceparent: Option<String>,
    /// W3C `tracestate`, where there is any.
    pub tracestate: Option<String>,
}

/// A file of sound that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundFile {
    /// RIFF WAVE.
    Wav,
    /// FLAC.
    Flac,
}

/// A client of the API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    config: ApiConfig,
    server: String,
}

impl ApiClient {
    /// A client of the API that `config` names.
    ///
    /// # Errors
    /// [`ApiError::Setup`].
    pub fn new(config: ApiConfig) -> Result<Self, ApiError> {
        // Someone else may have chosen a provider for this process; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = config.url.origin().ascii_serialization();
        let http = reqwest::Client::builder()
            .user_agent(concat!("speakr/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // A redirect would take the token somewhere else.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| ApiError::Setup {
                server: server.clone(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            http,
            config,
            server,
        })
    }

    /// What errors call the server: its address, without credentials.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Searches. The API gives at most 100 results.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, ApiError> {
        let query = QueryRequest {
            query_text: &request.query,
            filter_tags: &request.filter.tags,
            limit: request.limit.min(MOST_RESULTS),
            mode: request.mode,
            since: request.filter.since,
            until: request.filter.until,
        };
        let asked = self.request(Method::POST, &["api", "v1", "query"])?;
        let response: QueryResponse = self.json(asked.json(&query)).await?;
        Ok(response.into())
    }

    /// Recordings that pass `filter`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<ListedRecording>, ApiError> {
        let mut asked = vec![("limit", limit.clamp(1, MOST_LISTED).to_string())];
        let tags: Vec<_> = filter.tags.iter().collect();
        if !tags.is_empty() {
            asked.push(("tags", tags.join(",")));
        }
        for (name, time) in [("since", filter.since), ("until", filter.until)] {
            asked.extend(time.map(|time| (name, time.to_string())));
        }
        self.listed(&asked).await
    }

    /// Recordings whose id begins with `prefix`, a few at most.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn with_prefix(&self, prefix: &str) -> Result<Vec<ListedRecording>, ApiError> {
        self.listed(&[("id_prefix", prefix.to_owned())]).await
    }

    async fn listed(&self, asked: &[(&str, String)]) -> Result<Vec<ListedRecording>, ApiError> {
        let request = self.request(Method::GET, &["api", "v1", "recordings"])?;
        let list: RecordingList = self.json(request.query(asked)).await?;
        Ok(list.recordings.into_iter().map(Into::into).collect())
    }

    /// The text of one recording, with its segments.
    ///
    /// # Errors
    /// [`ApiError::NotReady`] where it has none yet, and others.
    pub async fn transcript(&self, id: RecordingId) -> Result<Transcript, ApiError> {
        let id = id.to_string();
        let request = self.request(Method::GET, &["api", "v1", "recordings", &id, "export"])?;
        self.json(request.query(&[("format", "json")])).await
    }

    /// Adds and removes tags; gives those that it has then.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn tag(&self, id: RecordingId, add: &Tags, remove: &Tags) -> Result<Tags, ApiError> {
        let id = id.to_string();
        let request = self.request(Method::PATCH, &["api", "v1", "recordings", &id, "tags"])?;
        let summary: RecordingSummary = self.json(request.json(&TagChange { add, remove })).await?;
        Ok(summary.tags)
    }

    /// Deletes a recording everywhere.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete(&self, id: RecordingId) -> Result<(), ApiError> {
        let id = id.to_string();
        let request = self.request(Method::DELETE, &["api", "v1", "recordings", &id])?;
        self.send(request.timeout(self.config.timeout))
            .await
            .map(drop)
    }

    /// Writes the sound of one recording to `place`; says what kind of file it is.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn sound(&self, id: RecordingId, place: &Path) -> Result<SoundFile, ApiError> {
        let id = id.to_string();
        let request = self.request(Method::GET, &["api", "v1", "recordings", &id, "sound"])?;
        let response = self.send(request).await?;
        let kind = match response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
        {
            Some("audio/flac") => SoundFile::Flac,
            Some("audio/wav") => SoundFile::Wav,
            other => {
                return Err(ApiError::Malformed {
                    server: self.server.clone(),
                    reason: format!("sound of the type {}", other.unwrap_or("(none)")),
                });
            }
        };
        let failed = |cause| ApiError::Write {
            place: place.display().to_string(),
            cause,
        };
        let mut file = tokio::fs::File::create(place).await.map_err(failed)?;
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| self.unreachable(error))?;
            file.write_all(&bytes).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(kind)
    }

    /// A request for the path of these parts, below the path that the API may have.
    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ApiError> {
        let mut url = self.config.url.clone();
        url.path_segments_mut()
            .map_err(|()| ApiError::Setup {
                server: self.server.clone(),
                reason: "its URL can have no path".to_owned(),
            })?
            .pop_if_empty()
            .extend(path);
        let mut request = self.http.request(method, url);
        for (name, value) in [
            ("traceparent", &self.config.traceparent),
            ("tracestate", &self.config.tracestate),
        ] {
            // It comes from somebody's environment: what is no header's value keeps nobody from an answer.
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_str) {
                request = request.header(name, value);
            }
        }
        Ok(match &self.config.token {
            Some(token) => request.bearer_auth(&token.0),
            None => request,
        })
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let response = self.send(request.timeout(self.config.timeout)).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| ApiError::Malformed {
            server: self.server.clone(),
            reason: error.to_string(),
        })
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| self.unreachable(error))?;
            if body.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(ApiError::Malformed {
                    server: self.server.clone(),
                    reason: format!("more than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// Sends it; anything but success is an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        let detail = serde_json::from_slice::<Problem>(&body)
            .map(|problem| problem.detail)
            .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned());
        let detail: String = detail.trim().chars().take(MAX_DETAIL_CHARS).collect();
        let server = self.server.clone();
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ApiError::Unauthorised { server, detail }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => ApiError::NotFound { detail },
            StatusCode::CONFLICT => ApiError::NotReady { detail },
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                ApiError::Refused { detail }
            }
            status => ApiError::Failed {
                server,
                status: status.as_u16(),
                detail,
            },
        })
    }

    fn unreachable(&self, error: reqwest::Error) -> ApiError {
        ApiError::Unreachable {
            server: self.server.clone(),
            cause: error.without_url().into(),
        }
    }
}
