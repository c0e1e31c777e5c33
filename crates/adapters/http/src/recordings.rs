//! Recordings: listed, read, exported, labelled, deleted.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use speakr_core::{
    export::{ExportFormat, export},
    ports::index::{Entry, Filter},
    usecases::library::LibraryError,
};

use tracing::Instrument;

use crate::{
    api::Api,
    problem::Problem,
    request::{JsonBody, OfRecording, Parameters, limit, tags, time},
    wire::{RecordingDetail, RecordingList, RecordingSummary, TagChange},
};

/// Most recordings in one list.
const MAX_LISTED: usize = 1_000;

/// Lists recordings, newest first.
pub(crate) async fn list(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Json<RecordingList>, Problem> {
    if let Some(prefix) = parameters.get("id_prefix") {
        return match api.library().with_prefix(prefix).await {
            // What is asked for can't be anywhere: that is another thing than nothing being there.
            Err(error @ LibraryError::NoId(_)) => Err(Problem::malformed(error.to_string())),
            found => Ok(listed(found?)),
        };
    }
    let wanted = parameters
        .get("limit")
        .map(|text| {
            text.parse()
                .map_err(|_| Problem::malformed("limit has to be a number"))
        })
        .transpose()?;
    let filter = Filter {
        tags: tags(parameters.all("tags").flat_map(|list| list.split(',')))?,
        since: time("since", parameters.get("since"))?,
        until: time("until", parameters.get("until"))?,
        states: Vec::new(),
    };
    let entries = api
        .library()
        .list(&filter, limit(wanted, 50, MAX_LISTED)?)
        .await?;
    Ok(listed(entries))
}

fn listed(entries: Vec<Entry>) -> Json<RecordingList> {
    let recordings: Vec<_> = entries.into_iter().map(RecordingSummary::from).collect();
    Json(RecordingList {
        count: recordings.len(),
        recordings,
    })
}

/// One recording with its text.
pub(crate) async fn show(
    State(api): State<Api>,
    OfRecording(id): OfRecording,
) -> Result<Json<RecordingDetail>, Problem> {
    let shown = api.library().show(id).await?;
    Ok(Json(RecordingDetail::new(
        shown.recording,
        shown.transcript,
    )))
}

/// One recording's text as a file.
pub(crate) async fn export_text(
    State(api): State<Api>,
    OfRecording(id): OfRecording,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let format: ExportFormat = parameters
        .get("format")
        .unwrap_or("txt")
        .parse()
        .map_err(|e: speakr_core::export::UnknownFormat| Problem::malformed(e.to_string()))?;
    let Some(transcript) = api.library().show(id).await?.transcript else {
        return Err(Problem::conflict(format!("recording {id} has no text yet")));
    };
    let text = export(&transcript, format)
        .map_err(|e| Problem::hidden("the text can't be exported", &e))?;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(media_type(format)),
    );
    let name = format!("attachment; filename=\"{}.{format}\"", id.short());
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The media type of `format`.
pub(crate) const fn media_type(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Txt => "text/plain; charset=utf-8",
        ExportFormat::Srt => "application/x-subrip; charset=utf-8",
        ExportFormat::Vtt => "text/vtt; charset=utf-8",
        ExportFormat::Json => "application/json",
        ExportFormat::Tsv => "text/tab-separated-values; charset=utf-8",
    }
}

/// Adds and removes tags.
pub(crate) async fn change_tags(
    State(api): State<Api>,
    OfRecording(id): OfRecording,
    JsonBody(change): JsonBody<TagChange>,
) -> Result<Json<RecordingSummary>, Problem> {
    let (add, remove) = (tags(&change.add)?, tags(&change.remove)?);
    let recording = api.library().tag(id, &add, &remove).await?;
    Ok(Json(RecordingSummary::new(recording, None)))
}

/// Deletes sound, text and vectors.
pub(crate) async fn delete(
    State(api): State<Api>,
    OfRecording(id): OfRecording,
) -> Result<StatusCode, Problem> {
    // Whoever asked may hang up; it goes on.
    let library = api.library().clone();
    let deletion = async move { library.delete(id).await };
    match tokio::spawn(deletion.in_current_span()).await {
        Ok(removed) => removed?,
        Err(error) => return Err(Problem::hidden("the deletion broke off", &error)),
    };
    tracing::info!("deleted");
    Ok(StatusCode::NO_CONTENT)
}
