//! The API as a whole.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, middleware};
use speakr_core::{
    ports::{access::TokenStore, transcription::Transcription},
    usecases::library::Library,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    access::Access,
    guard::{self, Gate},
    observe::{TraceHook, observe},
    operations::{self, Size},
    problem::Problem,
    rate::RateLimit,
};

/// Which names in a request's `Host` are answered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// All: somebody in front of this checks them.
    Any,
    /// These, without port.
    Only(Vec<String>),
}

impl Hosts {
    /// The names of this machine for itself.
    #[must_use]
    pub fn loopback() -> Self {
        Self::Only(
            ["localhost", "127.0.0.1", "[::1]"]
                .map(str::to_owned)
                .into(),
        )
    }
}

/// How the API is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Which hosts are answered to.
    pub hosts: Hosts,
    /// Origins whose pages may ask; none by default.
    pub allowed_origins: Vec<String>,
    /// Most bytes of a file to transcribe, with its form.
    pub max_upload_bytes: u64,
    /// Most bytes of any other body.
    pub max_body_bytes: u64,
    /// Uploads that are worked on at a time; each has its file here.
    pub max_uploads: usize,
    /// Requests a second of one token, in the long run.
    pub requests_per_second: u32,
    /// Requests of one token at once.
    pub burst: u32,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long the text of a file may take, upload included.
    pub transcription_timeout: Duration,
    /// Where uploads lie while they are worked on.
    pub scratch: PathBuf,
    /// Makes a request's span part of the trace that its headers tell of.
    pub trace: Option<TraceHook>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            hosts: Hosts::loopback(),
            allowed_origins: Vec::new(),
            max_upload_bytes: 2 * 1024 * 1024 * 1024,
            max_body_bytes: 256 * 1024,
            max_uploads: 64,
            requests_per_second: 200,
            burst: 400,
            timeout: Duration::from_secs(30),
            transcription_timeout: Duration::from_secs(3_600),
            scratch: std::env::temp_dir(),
            trace: None,
        }
    }
}

/// The API over a library and a way to transcribe. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    library: Library,
    transcription: Arc<dyn Transcription>,
    access: Access,
    rate: RateLimit,
    /// Room for uploads.
    uploads: Arc<Semaphore>,
    /// Cancelled when nobody waits for what takes long any more.
    broken_off: CancellationToken,
    config: ApiConfig,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API over `library` and `transcription`, for those with a token in `tokens`.
    #[must_use]
    pub fn new(
        library: Library,
        transcription: Arc<dyn Transcription>,
        tokens: Arc<dyn TokenStore>,
        config: ApiConfig,
    ) -> Self {
        Self(Arc::new(Inner {
            library,
            transcription,
            access: Access::new(tokens),
            rate: RateLimit::new(config.requests_per_second, config.burst),
            uploads: Arc::new(Semaphore::new(
                config.max_uploads.min(Semaphore::MAX_PERMITS),
            )),
            broken_off: CancellationToken::new(),
            config,
        }))
    }

    /// Texts that are still being made are broken off, and who waits for one is told to ask again: this
    /// server is about to end, and they would hear nothing at all otherwise.
    pub fn break_off(&self) {
        self.0.broken_off.cancel();
    }

    pub(crate) fn broken_off(&self) -> &CancellationToken {
        &self.0.broken_off
    }

    pub(crate) fn library(&self) -> &Library {
        &self.0.library
    }

    pub(crate) fn transcription(&self) -> &Arc<dyn Transcription> {
        &self.0.transcription
    }

    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(crate) fn rate(&self) -> &RateLimit {
        &self.0.rate
    }

    pub(crate) fn uploads(&self) -> &Arc<Semaphore> {
        &self.0.uploads
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.0.config
    }

    /// The router of all operations.
    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for operation in operations::all() {
            let (max_bytes, timeout) = match operation.size {
                Size::Ordinary => (self.config().max_body_bytes, self.config().timeout),
                Size::Upload => (
                    self.config().max_upload_bytes,
                    self.config().transcription_timeout,
                ),
            };
            let gate = Gate {
                api: self.clone(),
                scope: operation.scope,
                max_bytes,
                timeout,
            };
            let body = usize::try_from(max_bytes).unwrap_or(usize::MAX);
            let handler = (operation.handler)()
                .layer(axum::extract::DefaultBodyLimit::max(body))
                .layer(middleware::from_fn_with_state(gate, guard::gate));
            router = router.route(operation.path, handler);
        }
        router
            .method_not_allowed_fallback(async || {
                Problem::no_such_method("see /docs for what can be done here")
            })
            .fallback(async || Problem::not_found("see /docs for what there is"))
            .layer(middleware::from_fn_with_state(
                self.clone(),
                guard::host_and_origin,
            ))
            .layer(middleware::from_fn_with_state(self.0.config.trace, observe))
            .with_state(self.clone())
    }
}
