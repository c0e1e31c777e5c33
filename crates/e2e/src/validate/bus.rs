//! The bus, as a client uses it: speech that is streamed, and the events that it causes.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use futures::StreamExt;
use serde_json::{Value, json};
use speakr_contract::{
    Message,
    commands::{RecordingCancel, RecordingStart, RecordingStop},
    headers, subjects,
};
use speakr_nats::{Bus, Request, audio::AudioSender};
use uuid::Uuid;

use super::{
    api::{Own, SPEECH},
    check::{Seen, chain, ensure, failed, not_checked},
    settings::{BusAccess, Settings},
};
use crate::wav;

/// How much sound goes in one message: 100 ms.
const PIECE: usize = wav::RATE as usize / 10;

/// How much faster than a person it speaks.
const HASTE: u32 = 4;

/// How long it listens for what must not come.
const SILENCE: Duration = Duration::from_secs(1);

/// An event that was heard.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Its subject.
    pub(super) subject: String,
    /// Its correlation id.
    pub(super) correlation_id: Option<String>,
    /// Its trace.
    pub(super) traceparent: Option<String>,
    /// What it says.
    pub(super) payload: Vec<u8>,
}

impl Event {
    /// What it says, as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// What was said over the bus, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    /// The recording.
    pub(super) id: Uuid,
    /// The request.
    pub(super) correlation_id: Uuid,
    /// The trace, 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// All events of the request, in order.
    pub(super) events: Vec<Event>,
    /// How many commands and how much sound a client could overhear.
    pub(super) overheard: usize,
    /// From the stop until the text was there.
    pub(super) waited_for_text: Duration,
}

impl Spoken {
    /// The events on this subject.
    pub(super) fn on(&self, subject: &str) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |e| e.subject == subject)
    }
}

/// Access to the bus, or why there is none.
pub(super) fn access(settings: &Settings) -> Seen<&BusAccess> {
    settings.bus.as_ref().ok_or_else(|| {
        not_checked("no bus: NATS_URL, with NATS_USER and NATS_PASSWORD or NATS_CREDS")
    })
}

/// A connection as the client.
pub(super) async fn connect(settings: &Settings) -> Seen<Bus> {
    let config = &access(settings)?.config;
    Bus::connect(config)
        .await
        .map_err(|error| failed(format!("the bus can't be reached: {}", chain(&error))))
}

/// Two random ids, sampled: trace id and `traceparent`.
fn new_trace() -> (String, String) {
    let trace = Uuid::new_v4().simple().to_string();
    let span = &Uuid::new_v4().simple().to_string()[..16];
    (trace.clone(), format!("00-{trace}-{span}-01"))
}

/// Sends a command as any client might, with a field more that nobody knows.
async fn send_raw(
    bus: &Bus,
    subject: &str,
    body: Value,
    request: &Request,
    name: &str,
) -> Seen<()> {
    let mut map = HeaderMap::new();
    map.insert(
        headers::CORRELATION_ID,
        request.correlation_id.to_string().as_str(),
    );
    if let Some(parent) = &request.traceparent {
        map.insert(headers::TRACEPARENT, parent.as_str());
    }
    map.insert(headers::MESSAGE_ID, name);
    let not_stored = |error: async_nats::jetstream::context::PublishError| {
        failed(format!("a command to {subject} wasn't stored: {error}"))
    };
    let sent =
        bus.jetstream()
            .publish_with_headers(subject.to_owned(), map, body.to_string().into());
    sent.await.map_err(not_stored)?.await.map_err(not_stored)?;
    Ok(())
}

/// Speaks the speech as a client with a microphone does, and listens until it is findable.
pub(super) async fn speak(settings: &Settings, own: &Own) -> Seen<Spoken> {
    speak_at(settings, own, HASTE).await
}

/// The same, so much faster than a person.
pub(super) async fn speak_at(settings: &Settings, own: &Own, haste: u32) -> Seen<Spoken> {
    let bus = connect(settings).await?;
    let (trace_id, parent) = new_trace();
    let correlation_id = Uuid::new_v4();
    let request = Request::traced(correlation_id, Some(&parent));
    let id = own.expect(correlation_id);
    let mut heard = bus.client().subscribe(subjects::EVENTS).await?;
    // The server says on another way that it doesn't allow these; then nothing comes.
    let mut commands = bus.client().subscribe(subjects::COMMANDS).await?;
    let mut sound = bus.client().subscribe(subjects::AUDIO).await?;
    bus.client()
        .flush()
        .await
        .map_err(|error| failed(chain(&error)))?;

    let start = json!({"output_format": "wav", "tags": own.tags(),
        "metadata": {"from": "speakr-validate"}, "not_in_the_contract": [1, 2]});
    let name = format!("validate-start-{correlation_id}");
    send_raw(
        &bus,
        RecordingStart::SUBJECT,
        start.clone(),
        &request,
        &name,
    )
    .await?;
    // The same start, as a client sends it that didn't hear that it was stored.
    let again = format!("validate-start-again-{correlation_id}");
    send_raw(&bus, RecordingStart::SUBJECT, start, &request, &again).await?;

    let samples = wav::samples(SPEECH).ok_or_else(|| failed("the speech has no samples"))?;
    let mut sender = AudioSender::new(&bus, id, request.clone());
    for piece in samples.chunks(PIECE) {
        sender.send(piece).await?;
        tokio::time::sleep(Duration::from_millis(100) / haste).await;
    }
    sender.finish().await?;
    let stop = RecordingStop {
        recording_id: id,
        transcribe_on_stop: true,
        metadata: serde_json::Map::new(),
    };
    bus.publish(&stop, &request, &format!("validate-stop-{correlation_id}"))
        .await?;
    let stopped = Instant::now();
    let mut waited = None;
    let mut events = Vec::new();
    let deadline = tokio::time::Instant::now() + settings.patience();
    loop {
        let next = tokio::time::timeout_at(deadline, heard.next()).await;
        let message = next
            .map_err(|_| failed(never_came(&events, settings.patience())))?
            .ok_or_else(|| failed("the bus ended the subscription"))?;
        let Some(event) = event_of(&message, correlation_id, id) else {
            continue;
        };
        let subject = event.subject.clone();
        events.push(event);
        match subject.as_str() {
            "speakr.event.transcription.succeeded" => {
                waited.get_or_insert_with(|| stopped.elapsed());
            }
            "speakr.event.transcription.failed" => {
                let reason = events.last().map(Event::json).unwrap_or_default();
                return Err(failed(format!(
                    "the transcription failed: {}",
                    reason["error"]
                )));
            }
            "speakr.event.embedding.succeeded" => break,
            _ => {}
        }
    }
    own.is_there(id);
    let mut overheard = 0;
    while tokio::time::timeout(SILENCE, commands.next())
        .await
        .is_ok_and(|message| message.is_some())
    {
        overheard += 1;
    }
    while tokio::time::timeout(SILENCE, sound.next())
        .await
        .is_ok_and(|message| message.is_some())
    {
        overheard += 1;
    }
    let _ = bus.close().await;
    Ok(Spoken {
        id,
        correlation_id,
        trace_id,
        events,
        overheard,
        waited_for_text: waited.unwrap_or_default(),
    })
}

fn never_came(events: &[Event], patience: Duration) -> String {
    let heard: Vec<&str> = events.iter().map(|e| e.subject.as_str()).collect();
    format!("speech over the bus wasn't findable after {patience:?}; events: {heard:?}")
}

fn event_of(message: &async_nats::Message, correlation_id: Uuid, id: Uuid) -> Option<Event> {
    let header = |name: &str| {
        let headers = message.headers.as_ref()?;
        headers.get(name).map(|value| value.as_str().to_owned())
    };
    let event = Event {
        subject: message.subject.to_string(),
        correlation_id: header(headers::CORRELATION_ID),
        traceparent: header(headers::TRACEPARENT),
        payload: message.payload.to_vec(),
    };
    let ours = event.correlation_id.as_deref() == Some(correlation_id.to_string().as_str())
        || event.json()["recording_id"] == id.to_string();
    ours.then_some(event)
}

/// Begins a recording, cancels it, and waits until that is told.
pub(super) async fn cancel(settings: &Settings, own: &Own) -> Seen<Uuid> {
    let bus = connect(settings).await?;
    let correlation_id = Uuid::new_v4();
    let request = Request::traced(correlation_id, None);
    let id = own.expect(correlation_id);
    let mut heard = bus.client().subscribe(subjects::EVENTS).await?;
    let start = RecordingStart {
        tags: own.tags(),
        ..RecordingStart::default()
    };
    bus.publish(&start, &request, &format!("validate-{correlation_id}"))
        .await?;
    let mut sender = AudioSender::new(&bus, id, request.clone());
    sender.send(&vec![0; PIECE]).await?;
    let cancel = RecordingCancel { recording_id: id };
    bus.publish(
        &cancel,
        &request,
        &format!("validate-cancel-{correlation_id}"),
    )
    .await?;
    let deadline = tokio::time::Instant::now() + settings.patience();
    loop {
        let message = tokio::time::timeout_at(deadline, heard.next())
            .await
            .map_err(|_| failed("nothing told that a recording was cancelled"))?
            .ok_or_else(|| failed("the bus ended the subscription"))?;
        let ours = event_of(&message, correlation_id, id);
        if ours.is_some_and(|e| e.subject == "speakr.event.recording.cancelled") {
            own.is_gone(id);
            return Ok(id);
        }
    }
}

/// Takes back what may still be under way when this program is broken off.
pub(super) async fn take_back(settings: &Settings, ids: &[Uuid]) -> Seen<()> {
    let bus = connect(settings).await?;
    for id in ids {
        let request = Request::new(Uuid::new_v4());
        let name = format!("validate-take-back-{id}");
        let cancel = RecordingCancel { recording_id: *id };
        bus.publish(&cancel, &request, &name).await?;
    }
    let closed = bus.close().await;
    ensure(closed.is_ok(), || {
        "the bus doesn't take the last messages".to_owned()
    })
}
