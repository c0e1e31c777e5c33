//! `POST /v1/audio/transcriptions`, as OpenAI's API has it.

mod answer;
pub(crate) mod form;
mod stream;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Multipart, State, multipart::MultipartRejection},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, RecordingId,
    ports::transcription::{TranscriptionError, TranscriptionRequest},
    recording::Metadata,
};

pub(crate) use answer::{JsonAnswer, VerboseAnswer};
pub(crate) use form::FormFields;

use crate::{api::Api, problem::Problem};

/// When to ask again where there is no room for an upload, in seconds.
const ROOM_RETRY_S: u64 = 10;

/// When to ask another server, in seconds.
const ENDING_RETRY_S: u64 = 2;

/// Makes text from an uploaded file. A client that goes away stops the work, and so does the end of this
/// server.
pub(crate) async fn transcribe(
    State(api): State<Api>,
    Extension(correlation_id): Extension<CorrelationId>,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let broken_off = api.broken_off().clone();
    tokio::select! {
        answer = make(api, correlation_id, multipart) => answer,
        () = broken_off.cancelled() => Err(ending()),
    }
}

fn ending() -> Problem {
    Problem::unavailable("this server ends: send it again").retry_after(Some(ENDING_RETRY_S))
}

async fn make(
    api: Api,
    correlation_id: CorrelationId,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let multipart = multipart.map_err(|e| Problem::wrong_type(e.body_text()))?;
    let Ok(room) = Arc::clone(api.uploads()).try_acquire_owned() else {
        let full = "there are as many uploads under way as there is room for";
        return Err(Problem::unavailable(full).retry_after(Some(ROOM_RETRY_S)));
    };
    let form = form::read(multipart, api.config()).await?;
    let request = TranscriptionRequest {
        correlation_id,
        created_at: Timestamp::now(),
        file: form.file.path().to_owned(),
        file_name: form.file_name.clone(),
        options: form.options.clone(),
        tags: form.tags.clone(),
        metadata: Metadata::new(),
        keep: form.store,
    };
    let id = RecordingId::from_correlation(correlation_id);
    tracing::Span::current().record("recording_id", tracing::field::display(id));
    let cancel = api.broken_off().child_token();
    if form.stream {
        return Ok(stream::answer(api, form, request, cancel, room).into_response());
    }
    let _stop_with_the_client = cancel.clone().drop_guard();
    let transcription = Arc::clone(api.transcription());
    let transcript = transcription
        .transcribe(&request, &(), &cancel)
        .await
        .map_err(|error| problem(&api, error))?;
    drop(room);
    answer::answer(&form, &transcript)
}

/// The problem that `error` is, told once in the log.
fn problem(api: &Api, error: TranscriptionError) -> Problem {
    match error {
        TranscriptionError::Cancelled if api.broken_off().is_cancelled() => ending(),
        error => error.into(),
    }
}
