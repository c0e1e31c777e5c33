//! Requests to the API: with a key, a deadline, and as many attempts as may help.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use reqwest::{RequestBuilder, Response, StatusCode, header, redirect};
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::OpenAiError;

/// The largest answer that is read: a long recording's text with all its words.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Longest part of a server's own words in an error.
const MAX_REASON_CHARS: usize = 300;

/// Gives the key, each time anew: it may have changed.
#[derive(Clone)]
pub struct ApiKey(Arc<dyn Fn() -> Result<String, String> + Send + Sync>);

impl ApiKey {
    /// The key that `read` gives, or why there is none.
    pub fn new(read: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Which API, and how patiently.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// Where the API begins, as in `https://api.openai.com/v1`.
    pub base_url: Url,
    /// The key; a server of one's own may want none.
    pub key: Option<ApiKey>,
    /// How long one attempt may take, answer included.
    pub timeout: Duration,
    /// How often to ask in all, where asking again may help.
    pub attempts: u32,
    /// The longest wait between two attempts: a server that asks for more is taken to have
    /// refused.
    pub max_wait: Duration,
}

impl OpenAiConfig {
    /// The API at `base_url`, asked three times with waits of up to 20 s.
    #[must_use]
    pub const fn new(base_url: Url, key: Option<ApiKey>) -> Self {
        Self {
            base_url,
            key,
            timeout: Duration::from_secs(300),
            attempts: 3,
            max_wait: Duration::from_secs(20),
        }
    }
}

/// A request while its body is made.
pub(crate) type Filling<'a> = BoxFuture<'a, Result<RequestBuilder, OpenAiError>>;

/// A client of the API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiClient {
    http: reqwest::Client,
    config: Arc<OpenAiConfig>,
    server: String,
}

impl OpenAiClient {
    /// A client of the API that `config` names.
    ///
    /// # Errors
    /// [`OpenAiError::Setup`].
    pub fn new(config: OpenAiConfig) -> Result<Self, OpenAiError> {
        // Someone else may have chosen a provider for this process; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = name_of(&config.base_url);
        let http = reqwest::Client::builder()
            .user_agent(concat!("speakr/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .connect_timeout(Duration::from_secs(10))
            // A redirect would take the key and the sound somewhere else.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|e| OpenAiError::Setup {
                server: server.clone(),
                reason: chain(&e),
            })?;
        Ok(Self {
            http,
            config: Arc::new(config),
            server,
        })
    }

    /// What errors call the server: its host, without credentials.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Posts to `path` what `fill` puts into the request, as often as may help.
    pub(crate) async fn post<'a, T: DeserializeOwned>(
        &self,
        path: &str,
        fill: &(dyn Fn(RequestBuilder) -> Filling<'a> + Send + Sync),
    ) -> Result<T, OpenAiError> {
        let base = self.config.base_url.as_str().trim_end_matches('/');
        let url = format!("{base}/{path}");
        let mut attempt = 1;
        loop {
            let request = fill(self.authorised(self.http.post(&url))?).await?;
            let error = match self.once(request).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if attempt >= self.config.attempts || !error.is_passing() {
                return Err(error);
            }
            let wait = match &error {
                OpenAiError::TooMany {
                    retry_after: Some(wait),
                    ..
                } => *wait,
                _ => Duration::from_millis(250) * 2_u32.saturating_pow(attempt),
            };
            if wait > self.config.max_wait {
                return Err(error);
            }
            tracing::warn!(%error, attempt, wait_ms = wait.as_millis() as u64, "asking again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn authorised(&self, request: RequestBuilder) -> Result<RequestBuilder, OpenAiError> {
        let Some(key) = &self.config.key else {
            return Ok(request);
        };
        let key = (key.0)().map_err(|reason| OpenAiError::NoKey {
            server: self.server.clone(),
            reason,
        })?;
        Ok(request.bearer_auth(key))
    }

    async fn once<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, OpenAiError> {
        let response = request.send().await.map_err(|e| self.broken(&e))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let body = self.body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| self.malformed(&e.to_string()));
        }
        let (server, reason) = (self.server.clone(), reason(status, &body));
        let code = status.as_u16();
        Err(match code {
            401 | 403 => OpenAiError::Unauthorised {
                server,
                status: code,
                reason,
            },
            429 => OpenAiError::TooMany {
                server,
                reason,
                retry_after,
            },
            500.. => OpenAiError::Server {
                server,
                status: code,
                reason,
            },
            _ => OpenAiError::Refused {
                server,
                status: code,
                reason,
            },
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, OpenAiError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(self.malformed(&format!("it has more than {MAX_ANSWER_BYTES} bytes")));
            }
        }
        Ok(body)
    }

    fn broken(&self, error: &reqwest::Error) -> OpenAiError {
        let server = self.server.clone();
        if error.is_timeout() {
            return OpenAiError::TimedOut {
                server,
                after: self.config.timeout,
            };
        }
        OpenAiError::Unreachable {
            server,
            reason: chain(error),
        }
    }

    pub(crate) fn malformed(&self, reason: &str) -> OpenAiError {
        OpenAiError::Malformed {
            server: self.server.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn name_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "the API".to_owned(),
    }
}

/// `Retry-After` in seconds. Its other form, a date, servers of this API don't send.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// What the server said: the API's `error.message`, or the beginning of what else it sent.
fn reason(status: StatusCode, body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|value| {
        let error = &value["error"];
        error["message"].as_str().or_else(|| error.as_str())
    });
    let text = match message {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REASON_CHARS)
        .collect();
    if text.trim().is_empty() {
        status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned()
    } else {
        text.trim().to_owned()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
