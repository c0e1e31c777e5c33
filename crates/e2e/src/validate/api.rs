//! The API, as a client uses it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, header, multipart};
use serde_json::{Value, json};
use speakr_contract::{headers, ids};
use uuid::Uuid;

use super::{
    check::{Seen, ensure, failed, not_checked},
    settings::Settings,
};

/// What is said: eleven seconds of a speech that everybody may use.
pub(super) const SPEECH: &[u8] = include_bytes!("../../../../assets/speech/jfk.wav");

/// How often it is asked again when there were too many requests.
const PATIENT_TRIES: usize = 6;

/// How long what is under way may take until it can be deleted.
const CLEANING: Duration = Duration::from_secs(30);

/// The tag of everything that a validation makes, beside one of its own.
const TAG: &str = "speakr-validate";

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    /// To what.
    pub(super) asked: String,
    /// Its status.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: header::HeaderMap,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// This, when it has this status.
    pub(super) fn expect(self, status: u16) -> Seen<Self> {
        if self.status == status {
            return Ok(self);
        }
        Err(failed(format!(
            "{} was answered with {} and not {status}: {}",
            self.asked,
            self.status,
            self.shown()
        )))
    }

    /// Its body as JSON.
    pub(super) fn json(&self) -> Seen<Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            failed(format!(
                "{} was answered with what is no JSON ({error}): {}",
                self.asked,
                self.shown()
            ))
        })
    }

    /// Its body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default()
    }

    fn shown(&self) -> String {
        self.text().chars().take(300).collect()
    }
}

/// Recordings that this validation made, and has to take away again.
#[derive(Debug)]
pub(super) struct Own {
    /// A tag that all of them have, and no other recording.
    pub(super) tag: String,
    ids: Mutex<BTreeMap<Uuid, Unfinished>>,
}

/// Whether its text may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unfinished(bool);

impl Own {
    fn new() -> Self {
        Self {
            tag: format!("{TAG}-{}", Uuid::new_v4()),
            ids: Mutex::default(),
        }
    }

    /// The tags of one.
    pub(super) fn tags(&self) -> Vec<String> {
        vec![TAG.to_owned(), self.tag.clone()]
    }

    /// The recording that a request of this name is about to make.
    pub(super) fn expect(&self, correlation_id: Uuid) -> Uuid {
        let id = ids::recording_id(correlation_id);
        self.note(id, Unfinished(true));
        id
    }

    /// It is there now.
    pub(super) fn is_there(&self, id: Uuid) {
        self.note(id, Unfinished(false));
    }

    fn note(&self, id: Uuid, unfinished: Unfinished) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(id, unfinished);
    }

    /// It is gone.
    pub(super) fn is_gone(&self, id: Uuid) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.remove(&id);
    }

    /// Those whose text may still come.
    pub(super) fn unfinished(&self) -> Vec<Uuid> {
        let left = self.left().into_iter();
        left.filter_map(|(id, unfinished)| unfinished.then_some(id))
            .collect()
    }

    fn left(&self) -> Vec<(Uuid, bool)> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().map(|(id, left)| (*id, left.0)).collect()
    }
}

/// The API.
#[derive(Debug)]
pub(super) struct Api {
    /// Its address.
    pub(super) url: String,
    /// What it was asked with.
    pub(super) client: reqwest::Client,
    /// What was made.
    pub(super) own: Own,
    token: Option<String>,
    patience: Duration,
}

/// A client of HTTP that believes `ca`, too.
pub(super) fn client(settings: &Settings) -> Result<reqwest::Client, String> {
    // Somebody else in this process may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(settings.patience())
        .connect_timeout(Duration::from_secs(10));
    if let Some(path) = &settings.asked.ca {
        let wrong = |error: &dyn std::fmt::Display| format!("--ca {}: {error}", path.display());
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        let all = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
        for certificate in all {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|error| error.to_string())
}

impl Api {
    /// At its address, with its token.
    pub(super) fn new(settings: &Settings, client: reqwest::Client) -> Self {
        Self {
            url: settings.url.clone(),
            client,
            own: Own::new(),
            token: settings.token.clone(),
            patience: settings.patience(),
        }
    }

    /// Another API with its own token, for the same client.
    pub(super) fn beside(&self, url: &str, token: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            client: self.client.clone(),
            own: Own::new(),
            token: Some(token.to_owned()),
            patience: self.patience,
        }
    }

    /// Whether there is a token to ask with.
    pub(super) fn need_token(&self) -> Seen<()> {
        if self.token.is_some() {
            return Ok(());
        }
        Err(not_checked(
            "no token: SPEAKR_API_TOKEN, or the file that SPEAKR_API_TOKEN_FILE names, with the scopes \
             read, write and transcribe",
        ))
    }

    /// A request without token.
    pub(super) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with the token.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bare(method, path);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the answer. One too many waits as long as the API asks for.
    pub(super) async fn send(&self, request: RequestBuilder) -> Seen<Answer> {
        for _ in 0..PATIENT_TRIES {
            let again = request.try_clone();
            let answer = self
                .once(again.ok_or_else(|| failed("a request of one piece"))?)
                .await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            let wait = answer.header("retry-after").parse().unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
        self.once(request).await
    }

    /// The same, whatever the answer.
    pub(super) async fn once(&self, request: RequestBuilder) -> Seen<Answer> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let answer = self.client.execute(request).await?;
        Ok(Answer {
            asked,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await?.to_vec(),
        })
    }

    /// What a GET gives, which has to succeed.
    pub(super) async fn get(&self, path: &str) -> Seen<Answer> {
        self.send(self.request(Method::GET, path))
            .await?
            .expect(200)
    }

    /// Sends `file` to be made into text, as the request `correlation_id`.
    pub(super) async fn transcribe(
        &self,
        correlation_id: Uuid,
        file: &[u8],
        fields: &[(&str, &str)],
    ) -> Seen<Answer> {
        // A form can't be sent twice, so it is made anew when there were too many requests.
        for _ in 0..PATIENT_TRIES {
            let part = multipart::Part::bytes(file.to_vec()).file_name("speech.wav");
            let mut form = multipart::Form::new()
                .part("file", part)
                .text("model", "whisper-1");
            for (name, value) in fields {
                form = form.text((*name).to_owned(), (*value).to_owned());
            }
            let request = self
                .request(Method::POST, "/v1/audio/transcriptions")
                .header(headers::CORRELATION_ID, correlation_id.to_string())
                .multipart(form);
            let answer = self.once(request).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(failed("there were too many requests, time and again"))
    }

    /// Keeps the speech as a recording of this validation; gives its id, and what was answered.
    pub(super) async fn store(&self, correlation_id: Uuid) -> Seen<(Uuid, Value)> {
        let id = self.own.expect(correlation_id);
        let tags = self.own.tags().join(",");
        let fields = [("store", "true"), ("tags", tags.as_str())];
        let answer = self.transcribe(correlation_id, SPEECH, &fields).await?;
        let told = answer.expect(200)?.json()?;
        self.own.is_there(id);
        ensure(told["recording_id"] == id.to_string(), || {
            format!("the recording isn't {id}, the UUIDv5 of its correlation id: {told}")
        })?;
        Ok((id, told))
    }

    /// Asks for `query` once.
    pub(super) async fn query(&self, query: &Value) -> Seen<Value> {
        let request = self.request(Method::POST, "/api/v1/query").json(query);
        self.send(request).await?.expect(200)?.json()
    }

    /// Asks for `query` until `done` says so of the answer.
    pub(super) async fn query_until(
        &self,
        query: &Value,
        done: impl Fn(&Value) -> bool,
    ) -> Seen<Value> {
        let began = Instant::now();
        loop {
            let answer = self.query(query).await?;
            if done(&answer) {
                return Ok(answer);
            }
            ensure(began.elapsed() < self.patience, || {
                let text: String = answer.to_string().chars().take(300).collect();
                format!("after {:?} {query} still gives {text}", self.patience)
            })?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What a search for the speech's meaning, with words that aren't in it, finds under `tag`.
    pub(super) fn meaning(tag: &str) -> Value {
        json!({"query_text": "serving your nation", "filter_tags": [tag], "mode": "semantic"})
    }

    /// Deletes a recording.
    pub(super) async fn delete(&self, id: Uuid) -> Seen<u16> {
        let request = self.request(Method::DELETE, &format!("/api/v1/recordings/{id}"));
        let status = self.send(request).await?.status;
        if matches!(status, 204 | 404 | 410) {
            return Ok(status);
        }
        Err(failed(format!("recording {id} can't be deleted: {status}")))
    }

    /// Deletes everything that this validation made, and what bears its tag; gives how much, and what
    /// is left.
    pub(super) async fn clean(&self) -> Seen<usize> {
        let began = Instant::now();
        let mut deleted = 0;
        loop {
            let mut left: Vec<(Uuid, bool)> = self.own.left();
            for id in self.with_tag().await? {
                if !left.iter().any(|(known, _)| *known == id) {
                    left.push((id, false));
                }
            }
            if left.is_empty() {
                return Ok(deleted);
            }
            for (id, unfinished) in &left {
                let status = self.delete(*id).await?;
                deleted += usize::from(status == 204);
                // One whose text may still come is asked for again until it is there.
                if status != 404 || !unfinished {
                    self.own.is_gone(*id);
                }
            }
            if began.elapsed() > CLEANING {
                // Nobody knows of them: nothing was made.
                for (id, _) in left {
                    self.own.is_gone(id);
                }
                let still = self.with_tag().await?;
                ensure(still.is_empty(), || {
                    format!("still there, with the tag {}: {still:?}", self.own.tag)
                })?;
                return Ok(deleted);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Recordings of this validation that the API lists.
    async fn with_tag(&self) -> Seen<Vec<Uuid>> {
        let list = self
            .get(&format!(
                "/api/v1/recordings?limit=100&tags={}",
                self.own.tag
            ))
            .await?
            .json()?;
        let list = list["recordings"].as_array().cloned().unwrap_or_default();
        let ids = list
            .iter()
            .filter_map(|r| r["recording_id"].as_str()?.parse().ok());
        Ok(ids.collect())
    }

    /// Whether anything was made that isn't deleted yet.
    pub(super) fn owes(&self) -> bool {
        !self.own.left().is_empty()
    }
}
