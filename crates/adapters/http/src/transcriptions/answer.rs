//! The text in the form that was asked for.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use speakr_core::{
    Transcript,
    export::{ExportFormat, export},
    languages,
    recording::RecordingId,
};

use super::form::{Form, Format};
use crate::{problem::Problem, recordings::media_type};

/// The answer to `json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JsonAnswer {
    /// The text.
    pub(crate) text: String,
    /// What it took.
    pub(crate) usage: Usage,
    /// The recording that was stored, with `store=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<uuid::Uuid>")]
    pub(crate) recording_id: Option<RecordingId>,
}

/// What the text took.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Usage {
    /// "duration".
    pub(crate) r#type: &'static str,
    /// Seconds of sound, begun ones counted.
    pub(crate) seconds: u64,
}

impl Usage {
    fn of(transcript: &Transcript) -> Self {
        Self {
            r#type: "duration",
            seconds: transcript.duration_ms.div_ceil(1_000),
        }
    }
}

impl JsonAnswer {
    pub(crate) fn new(transcript: &Transcript, stored: bool) -> Self {
        Self {
            text: transcript.text.clone(),
            usage: Usage::of(transcript),
            recording_id: stored.then_some(transcript.recording_id),
        }
    }
}

/// The answer to `verbose_json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerboseAnswer {
    /// "transcribe".
    task: &'static str,
    /// The language spoken, by its English name, as in `german`.
    language: String,
    /// Length of the sound in seconds.
    duration: f64,
    /// The text.
    text: String,
    /// Its parts, unless only words were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<VerboseSegment>>,
    /// Its words, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<VerboseWord>>,
    /// What it took.
    usage: Usage,
    /// The recording that was stored, with `store=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<uuid::Uuid>")]
    recording_id: Option<RecordingId>,
}

/// A part of the text. Clients of OpenAI's API want all of these fields; those that this server
/// doesn't know of a single segment are null or empty.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerboseSegment {
    /// Its number, from 0.
    id: usize,
    /// Where it begins, in hundredths of a second.
    seek: u64,
    /// Where it begins, in seconds.
    start: f64,
    /// Where it ends, in seconds.
    end: f64,
    /// Its text.
    text: String,
    /// Not told: empty.
    tokens: Vec<u32>,
    /// Not told: null.
    temperature: Option<f64>,
    /// Not told: null.
    avg_logprob: Option<f64>,
    /// Not told: null.
    compression_ratio: Option<f64>,
    /// Not told: null. What wasn't speech has been left out.
    no_speech_prob: Option<f64>,
}

/// A word and when it was said.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VerboseWord {
    /// The word.
    word: String,
    /// Where it begins, in seconds.
    start: f64,
    /// Where it ends, in seconds.
    end: f64,
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

impl VerboseAnswer {
    fn new(form: &Form, transcript: &Transcript) -> Self {
        let segments = form.segments.then(|| {
            let numbered = transcript.segments.iter().enumerate();
            numbered
                .map(|(id, segment)| VerboseSegment {
                    id,
                    seek: segment.start_ms / 10,
                    start: seconds(segment.start_ms),
                    end: seconds(segment.end_ms),
                    text: segment.text.clone(),
                    tokens: Vec::new(),
                    temperature: None,
                    avg_logprob: None,
                    compression_ratio: None,
                    no_speech_prob: None,
                })
                .collect()
        });
        let words = form.words.then(|| {
            let words = transcript
                .segments
                .iter()
                .flat_map(|s| s.words.iter().flatten());
            words
                .map(|word| VerboseWord {
                    word: word.text.clone(),
                    start: seconds(word.start_ms),
                    end: seconds(word.end_ms),
                })
                .collect()
        });
        Self {
            task: "transcribe",
            language: transcript
                .language
                .as_ref()
                .map_or_else(String::new, |language| {
                    languages::english_name(language)
                        .map_or_else(|| language.to_string(), str::to_owned)
                }),
            duration: seconds(transcript.duration_ms),
            text: transcript.text.clone(),
            segments,
            words,
            usage: Usage::of(transcript),
            recording_id: form.store.then_some(transcript.recording_id),
        }
    }
}

/// The answer that `form` asks for.
pub(super) fn answer(form: &Form, transcript: &Transcript) -> Result<Response, Problem> {
    let file = |format: ExportFormat| {
        let text = export(transcript, format)
            .map_err(|e| Problem::hidden("the text can't be exported", &e))?;
        Ok(plain(text, media_type(format)))
    };
    match form.format {
        Format::Json => Ok(Json(JsonAnswer::new(transcript, form.store)).into_response()),
        Format::VerboseJson => Ok(Json(VerboseAnswer::new(form, transcript)).into_response()),
        Format::Text => Ok(plain(
            transcript.text.clone() + "\n",
            media_type(ExportFormat::Txt),
        )),
        Format::Srt => file(ExportFormat::Srt),
        Format::Vtt => file(ExportFormat::Vtt),
    }
}

fn plain(text: String, kind: &'static str) -> Response {
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
