//! The text as server-sent events, part by part.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use serde_json::{Value, json};
use speakr_core::{
    Transcript,
    ports::transcription::{TranscriptionError, TranscriptionRequest},
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::{answer::JsonAnswer, form::Form, problem};
use crate::api::Api;

enum Told {
    Segment(String),
    Done(Box<Result<Transcript, TranscriptionError>>),
}

struct Teller(mpsc::UnboundedSender<Told>);

impl TranscriptionObserver for Teller {
    fn on_event(&self, event: TranscriptionEvent) {
        if let TranscriptionEvent::Segment(segment) = event {
            // Nobody listening means that the work is being cancelled.
            self.0.send(Told::Segment(segment.text)).ok();
        }
    }
}

struct State {
    told: mpsc::UnboundedReceiver<Told>,
    store: bool,
    api: Api,
    /// Text that was sent so far.
    sent: String,
    /// Events that are ready.
    ready: std::collections::VecDeque<Value>,
    /// The client that goes away takes the work with it.
    _stop: DropGuard,
}

/// Does the work and tells it as it comes.
pub(super) fn answer(
    api: Api,
    form: Form,
    request: TranscriptionRequest,
    cancel: CancellationToken,
    room: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (tell, told) = mpsc::unbounded_channel();
    let state = State {
        told,
        store: form.store,
        api: api.clone(),
        sent: String::new(),
        ready: std::collections::VecDeque::new(),
        _stop: cancel.clone().drop_guard(),
    };
    let patience = api.config().transcription_timeout;
    let work = async move {
        let transcription = Arc::clone(api.transcription());
        let teller = Teller(tell.clone());
        let work = transcription.transcribe(&request, &teller, &cancel);
        let done = match tokio::time::timeout(patience, work).await {
            Ok(done) => done,
            Err(_) => Err(TranscriptionError::TimedOut {
                service: "transcribing".to_owned(),
                waited_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            }),
        };
        // The file goes here: not before the work is done with it.
        drop(form);
        drop(room);
        tell.send(Told::Done(Box::new(done))).ok();
    };
    tokio::spawn(work.instrument(tracing::Span::current()));
    Sse::new(stream::unfold(state, next))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

async fn next(mut state: State) -> Option<(Result<Event, Infallible>, State)> {
    loop {
        if let Some(value) = state.ready.pop_front() {
            return Some((Ok(Event::default().data(value.to_string())), state));
        }
        match state.told.recv().await? {
            Told::Segment(text) => state.add(text.trim()),
            Told::Done(done) => state.finish(*done),
        }
    }
}

impl State {
    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let delta = if self.sent.is_empty() {
            text.to_owned()
        } else {
            format!(" {text}")
        };
        self.sent.push_str(&delta);
        self.ready
            .push_back(json!({"type": "transcript.text.delta", "delta": delta}));
    }

    fn finish(&mut self, done: Result<Transcript, TranscriptionError>) {
        let transcript = match done {
            Ok(transcript) => transcript,
            Err(error) => {
                self.ready.push_back(problem(&self.api, error).body());
                return;
            }
        };
        // Where nothing came before the end, or not all: what is missing comes now.
        if let Some(rest) = transcript.text.strip_prefix(self.sent.as_str())
            && !rest.is_empty()
        {
            self.ready
                .push_back(json!({"type": "transcript.text.delta", "delta": rest}));
        }
        let answer = JsonAnswer::new(&transcript, self.store);
        let mut event =
            json!({"type": "transcript.text.done", "text": answer.text, "usage": answer.usage});
        if let Some(id) = answer.recording_id {
            event["recording_id"] = id.to_string().into();
        }
        self.ready.push_back(event);
    }
}
