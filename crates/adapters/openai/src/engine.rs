//! The API as a speech engine: piece by piece, while one still speaks.

use async_trait::async_trait;
use futures::FutureExt as _;
use reqwest::multipart::{Form, Part};
use speakr_core::{
    audio::{SAMPLE_RATE_HZ, samples_to_ms},
    ports::speech::{DecodeOptions, Decoded, SpeechEngine, SpeechError, SpeechModel, Task},
};
use tokio_util::sync::CancellationToken;

use crate::{client::OpenAiClient, error::OpenAiError, transcription, wire::Transcribed};

/// Decodes pieces by the API.
#[derive(Debug, Clone)]
pub struct OpenAiEngine {
    client: OpenAiClient,
    model: SpeechModel,
}

impl OpenAiEngine {
    /// The API's `model`, taken to know all languages.
    #[must_use]
    pub fn new(client: OpenAiClient, model: &str) -> Self {
        Self {
            client,
            model: SpeechModel {
                id: model.to_owned(),
                multilingual: true,
            },
        }
    }

    async fn ask(&self, pcm: &[i16], options: &DecodeOptions) -> Result<Decoded, OpenAiError> {
        let wav = wav(pcm);
        let path = match options.task {
            Task::Transcribe => "audio/transcriptions",
            Task::Translate => "audio/translations",
        };
        let prompt = options.prompt.as_deref().unwrap_or_default();
        let answer: Transcribed = self
            .client
            .post(path, &|request| {
                let form = transcription::fields(Form::new(), &self.model.id, options, prompt);
                let filled = Part::bytes(wav.clone())
                    .file_name("piece.wav")
                    .mime_str("audio/wav")
                    .map(|part| request.multipart(form.part("file", part)))
                    .map_err(|e| self.client.malformed(&e.to_string()));
                async { filled }.boxed()
            })
            .await?;
        let duration_ms = samples_to_ms(pcm.len() as u64);
        let segments = answer
            .segments(duration_ms)
            .map_err(|reason| self.client.malformed(&reason))?;
        Ok(Decoded {
            language: options.language.clone().or_else(|| answer.language()),
            language_probability: None,
            mean_log_probability: answer.mean_log_probability().unwrap_or(0.0),
            segments,
            guessed: false,
        })
    }
}

#[async_trait]
impl SpeechEngine for OpenAiEngine {
    fn model(&self) -> &SpeechModel {
        &self.model
    }

    fn accepts(&self, _: &DecodeOptions) -> Result<(), SpeechError> {
        // What it knows, the server tells when it is asked.
        Ok(())
    }

    async fn decode(
        &self,
        pcm: Vec<i16>,
        options: &DecodeOptions,
        cancel: &CancellationToken,
    ) -> Result<Decoded, SpeechError> {
        tokio::select! {
            () = cancel.cancelled() => Err(SpeechError::Cancelled),
            decoded = self.ask(&pcm, options) => {
                decoded.map_err(|error| failure(self.model.id.clone(), error))
            }
        }
    }
}

fn failure(model: String, error: OpenAiError) -> SpeechError {
    let away = error.is_the_servers();
    let retry_after = error.retry_after();
    let cause = Box::new(error);
    if away {
        return SpeechError::Away {
            model,
            retry_after,
            cause,
        };
    }
    SpeechError::Engine { model, cause }
}

/// The samples as a WAV file.
fn wav(pcm: &[i16]) -> Vec<u8> {
    let data = u32::try_from(pcm.len() * 2).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(44 + pcm.len() * 2);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&data.saturating_add(36).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&SAMPLE_RATE_HZ.to_le_bytes());
    bytes.extend_from_slice(&(SAMPLE_RATE_HZ * 2).to_le_bytes());
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for sample in pcm {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    bytes
}
