//! The form of a transcription: its file goes to disk as it comes, its fields are checked.

use std::time::Duration;

use axum::{
    extract::{
        Multipart,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::Deserialize;
use speakr_core::{
    Tags,
    ports::speech::{DecodeOptions, Task},
    transcript::Language,
};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::{api::ApiConfig, guard::too_large, problem::Problem, request};

/// How long nothing may come of a form. Each has a place that another may wait for, and a client that
/// vanished without a word would keep it for as long as a text may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest field beside the file, in bytes.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// Most parts of a form.
const MAX_PARTS: usize = 64;

/// The model's name in OpenAI's API, which stands for the model that is configured here.
const CONFIGURED_MODEL: &str = "whisper-1";

/// The fields, as the OpenAPI document describes them.
#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "its schema is what is used")]
pub(crate) struct FormFields {
    /// The sound, in any format that ffmpeg reads.
    #[schemars(with = "String", extend("format" = "binary"))]
    file: Vec<u8>,
    /// `whisper-1` for the model that is configured here, or a model's own name.
    model: String,
    /// The language spoken, as a code such as `de`; detected where absent.
    language: Option<String>,
    /// Words and names to expect, in the style to write in.
    prompt: Option<String>,
    /// How to answer; `json` where absent.
    response_format: Option<Format>,
    /// Taken and left aside: the decoder chooses its own temperature.
    temperature: Option<f32>,
    /// What gets times in `verbose_json`; `segment` where absent.
    #[serde(rename = "timestamp_granularities[]")]
    timestamp_granularities: Option<Vec<Granularity>>,
    /// Whether the text comes as server-sent events, part by part; then `response_format` has to be `json`.
    stream: Option<bool>,
    /// Whether sound and text stay in the library; nothing of them does where absent.
    store: Option<bool>,
    /// Tags for what is stored, separated by commas.
    tags: Option<String>,
}

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Json,
    Text,
    Srt,
    VerboseJson,
    Vtt,
}

/// What gets times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Granularity {
    Word,
    Segment,
}

/// A form that was read.
#[derive(Debug)]
pub(crate) struct Form {
    /// The file; it goes with the form.
    pub(crate) file: NamedTempFile,
    pub(crate) file_name: Option<String>,
    pub(crate) options: DecodeOptions,
    pub(crate) format: Format,
    pub(crate) words: bool,
    pub(crate) segments: bool,
    pub(crate) stream: bool,
    pub(crate) store: bool,
    pub(crate) tags: Tags,
}

#[derive(Default)]
struct Parts {
    file: Option<(NamedTempFile, Option<String>)>,
    model: Option<String>,
    language: Option<String>,
    prompt: Option<String>,
    format: Option<Format>,
    granularities: Vec<Granularity>,
    stream: bool,
    store: bool,
    tags: Vec<String>,
}

/// Reads the form.
pub(crate) async fn read(mut multipart: Multipart, config: &ApiConfig) -> Result<Form, Problem> {
    let mut parts = Parts::default();
    let mut count = 0;
    while let Some(field) = coming(multipart.next_field(), config).await? {
        count += 1;
        if count > MAX_PARTS {
            return Err(Problem::malformed(format!(
                "a form has at most {MAX_PARTS} parts"
            )));
        }
        parts.take(field, config).await?;
    }
    parts.finish()
}

impl Parts {
    async fn take(&mut self, field: Field<'_>, config: &ApiConfig) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if self.file.is_some() {
                return Err(Problem::malformed("there are two parts \"file\""));
            }
            let file_name = field.file_name().map(str::to_owned);
            self.file = Some((to_disk(field, config).await?, file_name));
            return Ok(());
        }
        let text = text_of(field, config).await?;
        match name.as_str() {
            "model" => self.model = Some(text),
            "language" => self.language = Some(text).filter(|t| !t.is_empty()),
            "prompt" => self.prompt = Some(text).filter(|t| !t.trim().is_empty()),
            "response_format" => self.format = Some(word(&name, &text)?),
            "timestamp_granularities[]" | "timestamp_granularities" => {
                self.granularities.push(word(&name, &text)?);
            }
            "stream" => self.stream = flag(&name, &text)?,
            "store" => self.store = flag(&name, &text)?,
            "tags" | "tags[]" => self.tags.extend(text.split(',').map(str::to_owned)),
            // What newer clients send beside these changes nothing that was asked for.
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Form, Problem> {
        let missing = |name| Problem::malformed(format!("the part \"{name}\" is missing"));
        let (file, file_name) = self.file.ok_or_else(|| missing("file"))?;
        let model = self
            .model
            .filter(|m| !m.is_empty())
            .ok_or_else(|| missing("model"))?;
        let format = self.format.unwrap_or(Format::Json);
        if self.stream && format != Format::Json {
            return Err(Problem::malformed(
                "with stream=true, response_format has to be json",
            ));
        }
        let words = self.granularities.contains(&Granularity::Word);
        if !self.granularities.is_empty() && format != Format::VerboseJson {
            return Err(Problem::malformed(
                "timestamp_granularities[] wants response_format=verbose_json",
            ));
        }
        Ok(Form {
            file,
            file_name,
            options: DecodeOptions {
                model: Some(model).filter(|m| m != CONFIGURED_MODEL),
                language: self.language.as_deref().map(Language::new),
                task: Task::Transcribe,
                prompt: self.prompt,
                word_timestamps: words,
            },
            format,
            words,
            segments: self.granularities.is_empty()
                || self.granularities.contains(&Granularity::Segment),
            stream: self.stream,
            store: self.store,
            tags: request::tags(&self.tags)?,
        })
    }
}

/// Writes the part to a file that only this process's user can read.
async fn to_disk(mut field: Field<'_>, config: &ApiConfig) -> Result<NamedTempFile, Problem> {
    let failed = |e: std::io::Error| {
        if e.kind() == std::io::ErrorKind::StorageFull {
            tracing::error!(error = %e, "no space for an upload");
            return Problem::unavailable("there is no space for the file here");
        }
        Problem::hidden("the file can't be kept while it is worked on", &e)
    };
    let file = tempfile::Builder::new()
        .prefix("speakr-upload-")
        .tempfile_in(&config.scratch)
        .map_err(failed)?;
    let mut writer = tokio::fs::File::from_std(file.reopen().map_err(failed)?);
    let mut len = 0;
    while let Some(chunk) = coming(field.chunk(), config).await? {
        len += chunk.len();
        writer.write_all(&chunk).await.map_err(failed)?;
    }
    writer.flush().await.map_err(failed)?;
    if len == 0 {
        return Err(Problem::malformed("the part \"file\" is empty"));
    }
    Ok(file)
}

async fn text_of(mut field: Field<'_>, config: &ApiConfig) -> Result<String, Problem> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = Vec::new();
    while let Some(chunk) = coming(field.chunk(), config).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD_BYTES {
            return Err(Problem::malformed(format!(
                "the part \"{name}\" has more than {MAX_FIELD_BYTES} bytes"
            )));
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Problem::malformed(format!("the part \"{name}\" isn't UTF-8")))
}

/// What comes next of a form.
async fn coming<T>(
    next: impl Future<Output = Result<T, MultipartError>>,
    config: &ApiConfig,
) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, next).await {
        Ok(came) => came.map_err(|e| multipart_problem(&e, config)),
        Err(_) => Err(Problem::too_slow(format!(
            "nothing more of the form came for {} s",
            PATIENCE.as_secs()
        ))),
    }
}

fn multipart_problem(error: &MultipartError, config: &ApiConfig) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(config.max_upload_bytes);
    }
    Problem::malformed(error.body_text())
}

fn flag(name: &str, text: &str) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(Problem::malformed(format!(
            "{name} has to be true or false"
        ))),
    }
}

fn word<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T, Problem> {
    serde_json::from_value(text.into()).map_err(|e| Problem::malformed(format!("{name}: {e}")))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        extract::{FromRequest, Request},
        http::header,
    };
    use futures::{StreamExt, stream};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_form_of_which_nothing_more_comes_is_given_up() {
        let begun =
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nso";
        for sent in ["", begun] {
            let body = stream::iter([Ok::<_, std::io::Error>(sent)]).chain(stream::pending());
            let request = Request::builder()
                .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
                .body(Body::from_stream(body))
                .unwrap();
            let multipart = Multipart::from_request(request, &()).await.unwrap();
            let began = Instant::now();
            let given_up = read(multipart, &ApiConfig::default()).await.unwrap_err();
            assert_eq!(given_up.status, StatusCode::REQUEST_TIMEOUT, "{sent:?}");
            assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
        }
    }
}
