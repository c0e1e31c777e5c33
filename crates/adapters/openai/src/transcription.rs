//! The API for whole files.

use async_trait::async_trait;
use futures::FutureExt as _;
use reqwest::multipart::{Form, Part};
use speakr_core::{
    RecordingId, Transcript,
    ports::{
        speech::{DecodeOptions, Task},
        transcription::{Transcription, TranscriptionError, TranscriptionRequest},
    },
    transcript::join_texts,
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::OpenAiClient,
    error::OpenAiError,
    wire::{Transcribed, ms},
};

/// Makes text from files by the API. It keeps nothing itself: what is kept on the other side is
/// the other side's affair.
#[derive(Debug, Clone)]
pub struct OpenAiTranscription {
    client: OpenAiClient,
    model: String,
}

impl OpenAiTranscription {
    /// The API's `model`, where a request names none.
    #[must_use]
    pub fn new(client: OpenAiClient, model: &str) -> Self {
        Self {
            client,
            model: model.to_owned(),
        }
    }

    async fn ask(&self, request: &TranscriptionRequest) -> Result<Transcript, OpenAiError> {
        let model = request.options.model.as_deref().unwrap_or(&self.model);
        let path = match request.options.task {
            Task::Transcribe => "audio/transcriptions",
            Task::Translate => "audio/translations",
        };
        let prompt = request.options.prompt.as_deref().unwrap_or_default();
        let name = request.file_name.as_deref().unwrap_or("sound");
        let answer: Transcribed = self
            .client
            .post(path, &|builder| {
                async move {
                    // Streamed from disk, anew at each attempt.
                    let part =
                        Part::file(&request.file)
                            .await
                            .map_err(|e| OpenAiError::Refused {
                                server: "this machine".to_owned(),
                                status: 0,
                                reason: format!("can't read {}: {e}", request.file.display()),
                            })?;
                    let form = fields(Form::new(), model, &request.options, prompt);
                    Ok(builder.multipart(form.part("file", part.file_name(name.to_owned()))))
                }
                .boxed()
            })
            .await?;
        let malformed = |reason: String| self.client.malformed(&reason);
        let told_ms = answer.duration.map(ms).transpose().map_err(malformed)?;
        let segments = answer
            .segments(told_ms.unwrap_or(u64::MAX))
            .map_err(malformed)?;
        Ok(Transcript {
            recording_id: RecordingId::from_correlation(request.correlation_id),
            text: join_texts(&segments),
            language: request
                .options
                .language
                .clone()
                .or_else(|| answer.language()),
            duration_ms: told_ms
                .or_else(|| segments.last().map(|s| s.end_ms))
                .unwrap_or_default(),
            model: model.to_owned(),
            created_at: request.created_at,
            tags: request.tags.clone(),
            metadata: request.metadata.clone(),
            segments,
        })
    }
}

#[async_trait]
impl Transcription for OpenAiTranscription {
    async fn transcribe(
        &self,
        request: &TranscriptionRequest,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError> {
        let transcript = tokio::select! {
            () = cancel.cancelled() => return Err(TranscriptionError::Cancelled),
            answer = self.ask(request) => answer.map_err(port_error)?,
        };
        for segment in &transcript.segments {
            observer.on_event(TranscriptionEvent::Segment(segment.clone()));
        }
        Ok(transcript)
    }
}

/// The fields of a form beside its file.
pub(crate) fn fields(form: Form, model: &str, options: &DecodeOptions, prompt: &str) -> Form {
    // OpenAI's newer models answer in plain JSON alone, without times.
    let verbose = !model.starts_with("gpt-");
    let mut form = form.text("model", model.to_owned()).text(
        "response_format",
        if verbose { "verbose_json" } else { "json" },
    );
    if verbose && options.word_timestamps && options.task == Task::Transcribe {
        form = form
            .text("timestamp_granularities[]", "segment")
            .text("timestamp_granularities[]", "word");
    }
    if let Some(language) = options
        .language
        .as_ref()
        .filter(|_| options.task == Task::Transcribe)
    {
        form = form.text("language", language.to_string());
    }
    if !prompt.is_empty() {
        form = form.text("prompt", prompt.to_owned());
    }
    form
}

fn port_error(error: OpenAiError) -> TranscriptionError {
    match error {
        OpenAiError::Unauthorised { server, reason, .. }
        | OpenAiError::NoKey { server, reason } => TranscriptionError::Unauthorised {
            service: server,
            reason,
        },
        OpenAiError::TooMany {
            server,
            retry_after,
            ..
        } => TranscriptionError::Busy {
            service: server,
            retry_after_s: retry_after.map(|d| d.as_secs()),
        },
        OpenAiError::TimedOut { server, after } => TranscriptionError::TimedOut {
            service: server,
            waited_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        },
        error @ OpenAiError::Refused { .. } => TranscriptionError::Refused {
            reason: error.to_string(),
        },
        error @ (OpenAiError::Server { .. }
        | OpenAiError::Unreachable { .. }
        | OpenAiError::Setup { .. }
        | OpenAiError::Malformed { .. }) => TranscriptionError::Failed {
            service: "the transcription API".to_owned(),
            cause: Box::new(error),
        },
    }
}
