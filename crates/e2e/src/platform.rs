//! The platform, with a client of its API that tests use.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, multipart};
use serde_json::Value;
pub use speakr_testkit::platform::{DATABASE, Options, Role};

use speakr_nats::{BusConfig, Identity, Renewed, TlsFiles};

use crate::{
    Speakr,
    conformance::{Heard, Listener},
    program::{PATIENCE, clip},
};

/// The program with an empty home, and of `environment` what a client needs.
///
/// # Panics
/// When no home can be made.
pub fn client_of<N: AsRef<str>>(environment: impl IntoIterator<Item = (N, String)>) -> Speakr {
    environment
        .into_iter()
        .filter(|(name, _)| {
            ["NATS_", "SPEAKR_API_"]
                .iter()
                .any(|start| name.as_ref().starts_with(start))
        })
        .fold(Speakr::new(), |speakr, (name, value)| {
            speakr.env(name.as_ref(), value)
        })
}

/// The user of the bus who may hear everything.
const OPERATOR: &str = "operator";

/// Everything, running, with a token that allows everything. A test in which something is said on the bus
/// that isn't as the contract has it fails when this is dropped.
pub struct Platform {
    running: speakr_testkit::platform::Platform,
    token: String,
    client: reqwest::Client,
    /// Whoever hears all that is said on the bus.
    listener: Listener,
}

impl Deref for Platform {
    type Target = speakr_testkit::platform::Platform;

    fn deref(&self) -> &Self::Target {
        &self.running
    }
}

impl DerefMut for Platform {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.running
    }
}

/// One without connections: those to a process that has ended are of no more use.
fn new_client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client")
}

impl Drop for Platform {
    fn drop(&mut self) {
        let wrong = self.listener.end().wrong;
        if !std::thread::panicking() {
            assert!(wrong.is_empty(), "said on the bus: {wrong:#?}");
        }
    }
}

impl Platform {
    /// Starts all of it and waits until every service says that it is ready.
    ///
    /// # Panics
    /// When a part doesn't start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_as(&Options::default())
    }

    /// The same, with more settings for every service.
    ///
    /// # Panics
    /// When a part doesn't start.
    #[must_use]
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_as(&Options {
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Options::default()
        })
    }

    /// The same, as `options` say.
    ///
    /// # Panics
    /// When a part doesn't start.
    #[must_use]
    pub fn start_as(options: &Options) -> Self {
        let running = match speakr_testkit::platform::Platform::start(options) {
            Ok(running) => running,
            Err(error) => panic!("{error}"),
        };
        // Another test of this process may have done so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = new_client();
        let listener = Listener::start(BusConfig {
            identity: Identity::Password {
                user: OPERATOR.to_owned(),
                password: Renewed::fixed(running.password(OPERATOR)),
            },
            tls: TlsFiles {
                ca: running.ca().map(ToOwned::to_owned),
                client: None,
            },
            inbox_prefix: Some(format!("_INBOX_{OPERATOR}")),
            ..BusConfig::new(&running.nats.url(), "conformance")
        });
        let mut platform = Self {
            running,
            token: String::new(),
            client,
            listener,
        };
        platform.token = platform.new_token("read,write,transcribe");
        platform
    }

    /// What was said on the bus so far.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.listener.heard()
    }

    /// What a program needs to use this platform, by the names of environment variables.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.running.environment(&self.token)
    }

    /// The program with an empty home, set up for this platform.
    ///
    /// # Panics
    /// When no home can be made.
    #[must_use]
    pub fn client(&self) -> Speakr {
        client_of(self.environment())
    }

    /// The token that allows everything.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Starts services again that have died; gives their names.
    ///
    /// # Panics
    /// When a service can't be started.
    pub fn revive(&mut self) -> Vec<&'static str> {
        self.client = new_client();
        self.running.revive().expect("a service starts")
    }

    /// Starts a service again, with more settings.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn restart(&mut self, role: Role, settings: &[(&str, &str)]) {
        if let Err(error) = self.running.restart(role, settings) {
            panic!("{error}");
        }
        self.client = new_client();
    }

    /// A new token that allows `scopes`.
    ///
    /// # Panics
    /// When none is made.
    #[must_use]
    pub fn new_token(&self, scopes: &str) -> String {
        self.running.new_token("e2e", scopes).expect("a token")
    }

    /// Runs the program of a service with `arguments`; gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, role: Role, arguments: &[&str]) -> String {
        match self.running.run(role, arguments) {
            Ok(said) => said,
            Err(error) => panic!("{error}"),
        }
    }

    /// What `sql` gives, as text.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn sql(&self, sql: &str) -> String {
        self.postgres
            .query(DATABASE, sql)
            .expect("the database answers")
    }

    /// A request without token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url()))
    }

    /// A request with the token that allows everything.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.token)
    }

    /// Sends a bundled clip with more fields to be made into text; gives the answer.
    ///
    /// # Panics
    /// When there is no good answer.
    pub async fn transcribe(&self, clip_name: &str, fields: &[(&str, &str)]) -> Value {
        let bytes = std::fs::read(clip(clip_name)).expect("a clip can be read");
        let file = multipart::Part::bytes(bytes).file_name(clip_name.to_owned());
        let mut form = multipart::Form::new()
            .part("file", file)
            .text("model", "whisper-1");
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        let answer = self
            .request(Method::POST, "/v1/audio/transcriptions")
            .multipart(form)
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert_eq!(status, 200, "{text}\n{}", self.transcriber.log());
        serde_json::from_str(&text).expect("JSON")
    }

    /// Asks for `query`, a body of the query operation, until `done` says so of the answer.
    ///
    /// # Panics
    /// When it never does.
    pub async fn query_until(&self, query: &Value, done: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self
                .request(Method::POST, "/api/v1/query")
                .json(query)
                .send()
                .await
                .expect("an answer");
            let status = answer.status();
            let body: Value = answer.json().await.expect("JSON");
            assert_eq!(status, 200, "{body}");
            if done(&body) {
                return body;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{body}\n{}",
                self.embedder.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
