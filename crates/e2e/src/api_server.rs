//! `speakr serve` as another program uses it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout},
    thread,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response, multipart};
use serde_json::Value;

use crate::{
    Speakr,
    program::{PATIENCE, clip},
};

/// A server over the data folder of a [`Speakr`]. It is killed when dropped.
pub struct ApiServer {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    /// Where it listens, as in `http://127.0.0.1:8080`.
    pub url: String,
    /// Its token, where it showed one.
    pub token: Option<String>,
    client: reqwest::Client,
}

impl ApiServer {
    /// Starts it on a free port, with more `arguments`.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(speakr: &Speakr, arguments: &[&str]) -> Self {
        let all = ["serve", "--json", "--listen", "127.0.0.1:0"]
            .iter()
            .chain(arguments);
        let mut child = speakr.command(all).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let said = thread::spawn(move || {
            let mut said = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
            }
            said
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it can be read");
        if line.is_empty() {
            child.kill().ok();
            panic!("it didn't start: {}", said.join().unwrap_or_default());
        }
        let told: Value = serde_json::from_str(&line).expect("it tells in JSON where it is");
        // Another test of this process may have done so already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Self {
            child,
            _stdout: stdout,
            url: told["url"].as_str().expect("a URL").to_owned(),
            token: told["token"].as_str().map(str::to_owned),
            client,
        }
    }

    /// A request without token.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with the token.
    ///
    /// # Panics
    /// When it showed none.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = self.token.as_ref().expect("a token");
        self.bare(method, path).bearer_auth(token)
    }

    /// What a GET of `path` with the token tells.
    ///
    /// # Panics
    /// When it tells no JSON.
    pub async fn told(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    }

    /// Sends a bundled clip with more fields to be made into text.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn transcribe(&self, clip_name: &str, fields: &[(&str, &str)]) -> Response {
        let bytes = std::fs::read(clip(clip_name)).expect("a clip can be read");
        let file = multipart::Part::bytes(bytes).file_name(clip_name.to_owned());
        let mut form = multipart::Form::new()
            .part("file", file)
            .text("model", "whisper-1");
        for (name, value) in fields {
            form = form.text((*name).to_owned(), (*value).to_owned());
        }
        self.request(Method::POST, "/v1/audio/transcriptions")
            .multipart(form)
            .send()
            .await
            .expect("an answer")
    }

    /// Sends Ctrl-C, and gives the exit code and how long the end took.
    ///
    /// # Panics
    /// When it doesn't end.
    #[must_use]
    pub fn interrupt(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let sent = std::process::Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|s| s.success()), "kill -INT failed");
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it doesn't end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server, and the id of the clip of a president that it has stored.
///
/// # Panics
/// When it doesn't store it.
pub async fn with_a_recording(speakr: &Speakr) -> (ApiServer, String) {
    let server = ApiServer::start(speakr, &[]);
    let fields = [("store", "true"), ("tags", "speech,history")];
    let stored = server.transcribe("jfk.wav", &fields).await;
    assert_eq!(stored.status(), 200);
    let stored: Value = stored.json().await.expect("JSON");
    let id = stored["recording_id"].as_str().expect("the recording's id");
    (server, id.to_owned())
}

/// The body of a response that tells a problem of this `kind`.
///
/// # Panics
/// When it tells another, or none.
pub async fn problem(response: Response, status: u16, kind: &str) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["type"], format!("urn:speakr:problem:{kind}"), "{body}");
    assert_eq!(body["status"], status);
    assert!(body["error"]["message"].is_string(), "{body}");
    body
}
