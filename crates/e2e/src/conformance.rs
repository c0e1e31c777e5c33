//! Listens to everything that is said on a platform's bus, and holds each message against the contract:
//! its subject, its payload, its headers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use async_nats::{HeaderMap, Message};
use futures::StreamExt;
use serde_json::Value;
use speakr_contract::{Kind, audio::Chunk, catalogue, headers, subjects};
use speakr_nats::{Bus, BusConfig};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What is listened to: all but what replicas ask each other (`speakr.control.*`). Who asks there is told
/// when nobody listens, and one more listener would take that answer away.
const LISTENED_TO: [&str; 4] = [
    subjects::COMMANDS,
    subjects::EVENTS,
    subjects::AUDIO,
    subjects::DEAD_LETTERS,
];

/// A payload with more bytes isn't held against its schema, whose expressions look at each of them again
/// and again; its type reads it all the same.
const MOST_FOR_SCHEMA: usize = 256 * 1024;

/// After the last message for so long, nothing more is taken to be on its way.
const QUIET: Duration = Duration::from_millis(200);

/// What was heard so far.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    /// Messages by their kind: the subject, `speakr.audio` for all sound.
    pub kinds: BTreeMap<String, usize>,
    /// What isn't as the contract has it, message by message.
    pub wrong: Vec<String>,
}

/// Somebody who listens, in a thread of their own.
#[derive(Debug)]
pub struct Listener {
    heard: Arc<Mutex<Heard>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens as `config` says; comes back when nothing is missed any more.
    ///
    /// # Panics
    /// When the bus can't be reached.
    #[must_use]
    pub fn start(config: BusConfig) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn({
            let heard = Arc::clone(&heard);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(listen(&config, &heard, &ready, stopped));
            }
        });
        is_ready.recv().expect("somebody listens to the bus");
        Self {
            heard,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What was heard so far.
    #[must_use]
    pub fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// Hears what is on its way still, and no more; gives all that was heard.
    pub fn end(&mut self) -> Heard {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has said why.
            let _ = thread.join();
        }
        self.heard()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(
    config: &BusConfig,
    heard: &Mutex<Heard>,
    ready: &mpsc::Sender<()>,
    mut stopped: oneshot::Receiver<()>,
) {
    let bus = Bus::connect(config).await.expect("a connection");
    let mut all = Vec::new();
    for subject in LISTENED_TO {
        all.push(bus.client().subscribe(subject).await.expect("a right"));
    }
    // The server has taken the subscriptions by then.
    bus.client().flush().await.expect("an answer");
    ready.send(()).ok();
    let mut messages = futures::stream::select_all(all);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => note(heard, &message),
                None => return,
            },
            _ = &mut stopped => break,
        }
    }
    while let Ok(Some(message)) = tokio::time::timeout(QUIET, messages.next()).await {
        note(heard, &message);
    }
}

fn note(heard: &Mutex<Heard>, message: &Message) {
    let subject = message.subject.as_str();
    let headers = message.headers.clone().unwrap_or_default();
    let wrong = wrong_with(subject, &headers, &message.payload);
    let kind = match subjects::recording_of_audio(subject) {
        Some(_) => "speakr.audio",
        None => subject,
    };
    let mut heard = lock(heard);
    *heard.kinds.entry(kind.to_owned()).or_default() += 1;
    heard
        .wrong
        .extend(wrong.into_iter().map(|what| format!("{subject}: {what}")));
}

/// What isn't as the contract has it in a message.
#[must_use]
pub fn wrong_with(subject: &str, map: &HeaderMap, payload: &[u8]) -> Vec<String> {
    let mut wrong = wrong_headers(subject, map);
    if let Some(recording) = subjects::recording_of_audio(subject) {
        wrong.extend(wrong_sound(recording, map, payload));
    } else if let Some(of) = subject.strip_prefix("speakr.dead_letter.") {
        // Its payload is as whoever sent it made it, which may be what is wrong with it.
        if header(map, headers::DEAD_SUBJECT) != Some(format!("speakr.{of}").as_str()) {
            wrong.push("it doesn't say where it was sent to".to_owned());
        }
        if header(map, headers::DEAD_REASON).is_none_or(str::is_empty) {
            wrong.push("it has no reason".to_owned());
        }
        let attempts = header(map, headers::DEAD_ATTEMPTS).and_then(|text| text.parse().ok());
        if attempts.is_none_or(|attempts: u64| attempts == 0) {
            wrong.push("it doesn't say how often it was tried".to_owned());
        }
    } else {
        wrong.extend(wrong_payload(subject, map, payload));
    }
    wrong
}

fn header<'a>(map: &'a HeaderMap, name: &str) -> Option<&'a str> {
    map.get(name).map(async_nats::HeaderValue::as_str)
}

/// The headers that every message has, and those that nobody knows.
fn wrong_headers(subject: &str, map: &HeaderMap) -> Vec<String> {
    let mut known = vec![
        headers::CORRELATION_ID,
        headers::MESSAGE_ID,
        headers::TRACEPARENT,
        headers::TRACESTATE,
    ];
    if subject.starts_with("speakr.audio.") {
        known.extend([headers::CHUNK, headers::END]);
    }
    if subject.starts_with("speakr.dead_letter.") {
        known.extend([
            headers::DEAD_REASON,
            headers::DEAD_SUBJECT,
            headers::DEAD_ATTEMPTS,
        ]);
    }
    let mut wrong: Vec<_> = map
        .iter()
        .map(|(name, _)| name.to_string())
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("the contract has no header {name}"))
        .collect();
    let correlation = header(map, headers::CORRELATION_ID);
    if correlation.is_none_or(|id| Uuid::parse_str(id).is_err()) {
        wrong.push(format!("its correlation id is {correlation:?}"));
    }
    let stored = subject != "speakr.event.transcription.partial";
    if stored && header(map, headers::MESSAGE_ID).is_none_or(str::is_empty) {
        wrong.push("it has no Nats-Msg-Id".to_owned());
    }
    let trace = header(map, headers::TRACEPARENT);
    if trace.is_some_and(|trace| !is_traceparent(trace)) {
        wrong.push(format!("its traceparent is {trace:?}"));
    }
    wrong
}

/// As W3C Trace Context has it.
fn is_traceparent(text: &str) -> bool {
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    let digits = text
        .chars()
        .all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c));
    lengths == [2, 32, 16, 2] && digits && !text[3..35].chars().all(|c| c == '0')
}

fn wrong_sound(recording: Uuid, map: &HeaderMap, payload: &[u8]) -> Vec<String> {
    let (chunk, end) = (header(map, headers::CHUNK), header(map, headers::END));
    let read = match Chunk::read(chunk, end, payload) {
        Ok(read) => read,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    if chunk.is_some() && end.is_some() {
        wrong.push("it is sound and an end mark".to_owned());
    }
    if end.is_some() && !payload.is_empty() {
        wrong.push("an end mark has a payload".to_owned());
    }
    let (is, wanted) = (header(map, headers::MESSAGE_ID), read.message_id(recording));
    if is != Some(wanted.as_str()) {
        wrong.push(format!("its Nats-Msg-Id is {is:?} and not {wanted}"));
    }
    wrong
}

fn wrong_payload(subject: &str, map: &HeaderMap, payload: &[u8]) -> Vec<String> {
    let Some(entry) = catalogue::find(subject) else {
        return vec!["the contract has no such subject".to_owned()];
    };
    let value: Value = match serde_json::from_slice(payload) {
        Ok(value) => value,
        Err(error) => return vec![format!("it is no JSON: {error}")],
    };
    let mut wrong = Vec::new();
    if payload.len() <= MOST_FOR_SCHEMA {
        match jsonschema::validator_for(&entry.schema) {
            Ok(schema) => wrong.extend(schema.iter_errors(&value).map(|e| e.to_string())),
            Err(error) => wrong.push(format!("its schema can't be used: {error}")),
        }
    }
    match (entry.reread)(payload) {
        Err(refused) => wrong.push(refused.to_string()),
        // A client may send what nobody here knows; we don't.
        Ok(read) if entry.kind == Kind::Event && read != value => {
            wrong.push("its type doesn't have all of it".to_owned());
        }
        Ok(_) => {}
    }
    let event_id = value["event_id"].as_str();
    let stored = header(map, headers::MESSAGE_ID);
    if entry.kind == Kind::Event && stored.is_some() && stored != event_id {
        wrong.push(format!("it is event {event_id:?}, stored as {stored:?}"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBJECT: &str = "speakr.event.recording.cancelled";

    fn message(id: &str) -> (HeaderMap, Value) {
        let mut map = HeaderMap::new();
        let own = Uuid::from_u128(1).to_string();
        map.insert(headers::CORRELATION_ID, own.as_str());
        map.insert(headers::MESSAGE_ID, id);
        let event = json!({"event_id": own, "recording_id": Uuid::from_u128(2)});
        (map, event)
    }

    fn wrong(subject: &str, map: &HeaderMap, event: &Value) -> String {
        wrong_with(subject, map, event.to_string().as_bytes()).join("; ")
    }

    #[test]
    fn what_is_right_is_let_pass_and_each_fault_is_found() {
        let own = Uuid::from_u128(1).to_string();
        let (map, event) = message(&own);
        assert_eq!(wrong(SUBJECT, &map, &event), "");

        let (other, _) = message("other");
        assert!(wrong(SUBJECT, &other, &event).contains("stored as"));
        let unknown = "speakr.event.recording.paused";
        assert!(wrong(unknown, &map, &event).contains("no such subject"));
        let mut more = event.clone();
        more["more"] = json!(1);
        assert!(wrong(SUBJECT, &map, &more).contains("doesn't have all of it"));
        let less = json!({"event_id": own});
        assert!(wrong(SUBJECT, &map, &less).contains("recording_id"));
        assert!(!wrong_with(SUBJECT, &map, b"{").is_empty());

        for (name, value, what) in [
            (headers::CORRELATION_ID, "me", "correlation id"),
            (headers::TRACEPARENT, "00-1-2-3", "traceparent"),
            ("Speakr-New", "1", "no header Speakr-New"),
            (headers::CHUNK, "1", "no header Speakr-Chunk"),
        ] {
            let mut map = map.clone();
            map.insert(name, value);
            let told = wrong(SUBJECT, &map, &event);
            assert!(told.contains(what), "{told}");
        }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut traced = map.clone();
        traced.insert(headers::TRACEPARENT, trace);
        assert_eq!(wrong(SUBJECT, &traced, &event), "");
    }

    #[test]
    fn sound_is_named_and_numbered() {
        let id = Uuid::from_u128(2);
        let sound = |number: &str, message_id: String| {
            let (mut map, _) = message(&message_id);
            map.insert(headers::CHUNK, number);
            wrong_with(&subjects::audio(id), &map, &[0, 0]).join("; ")
        };
        assert_eq!(sound("3", format!("{id}:3")), "");
        assert!(sound("3", format!("{id}:4")).contains("Nats-Msg-Id"));
        assert!(sound("three", format!("{id}:3")).contains("no number"));
    }

    #[test]
    fn a_dead_letter_says_why_it_is_one() {
        let subject = "speakr.dead_letter.command.recording.start";
        let (mut map, _) = message("dead:1");
        assert_eq!(wrong_with(subject, &map, b"poison").len(), 3);
        map.insert(headers::DEAD_SUBJECT, "speakr.command.recording.start");
        map.insert(headers::DEAD_REASON, "it is broken");
        map.insert(headers::DEAD_ATTEMPTS, "5");
        assert_eq!(wrong_with(subject, &map, b"poison"), Vec::<String>::new());
    }
}
