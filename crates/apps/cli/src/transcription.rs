//! Whole files to text by the engine in this process, for `speakr serve`.

use std::sync::Arc;

use async_trait::async_trait;
use speakr_core::{
    Language, Recording, RecordingId, Transcript,
    ports::{
        archive::{Archive, ArchiveError, SoundWriter},
        sound::{SoundError, SoundInput, SoundSource},
        speech::DecodeOptions,
        transcription::{Transcription, TranscriptionError, TranscriptionRequest},
    },
    usecases::{capture::TeeError, transcribe::TranscriptionObserver},
};
use speakr_local::{LockError, TranscriptionLock};
use speakr_models::ModelError;
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::retry::{Retry, Turn},
    compose::App,
    failure::Failure,
    speech::{Speech, Unmade},
};

/// What errors call this program.
const SERVICE: &str = "this speakr";

/// Marks, among what is known of a recording, that its sound was sent with a request: whoever sent it
/// has it still.
const UPLOAD: &str = "upload";

/// When to ask again where another is at the same recording, in seconds.
const BUSY_RETRY_S: u64 = 2;

/// The engine of this process. One file at a time has it: it uses all cores as it is.
pub(crate) struct LocalTranscription {
    app: App,
    /// The model that was used last, and it loaded.
    engine: Mutex<Option<(String, Arc<Speech>)>>,
}

impl LocalTranscription {
    /// The engine of `app`; a model is loaded when a file first wants it.
    pub(crate) fn new(app: App) -> Self {
        Self {
            app,
            engine: Mutex::new(None),
        }
    }

    fn options(&self, asked: &DecodeOptions) -> DecodeOptions {
        let settings = &self.app.settings;
        let mut options = asked.clone();
        options.model.get_or_insert_with(|| settings.model.clone());
        if options.language.is_none() {
            let configured = settings.language.as_deref();
            options.language = configured
                .filter(|code| !code.eq_ignore_ascii_case("auto"))
                .map(Language::new);
        }
        options
    }

    fn check(&self, options: &DecodeOptions) -> Result<(), TranscriptionError> {
        let id = options.model.clone().unwrap_or_default();
        let models = self.app.models().map_err(failed)?;
        match models.locate(&id, self.app.trust) {
            Err(ModelError::Unknown { .. } | ModelError::NotInstalled { .. }) => {
                Err(TranscriptionError::UnknownModel { model: id })
            }
            _ => self.app.check_model(options).map_err(refused),
        }
    }

    async fn text(
        &self,
        request: &TranscriptionRequest,
        options: &DecodeOptions,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError> {
        let unreadable = |error| sound_error(request, error);
        let input = SoundInput::File(request.file.clone());
        let mut source = self.app.decoder().open(&input).await.map_err(unreadable)?;
        let mut recording = Recording::begin(
            request.correlation_id,
            request.created_at,
            request.tags.clone(),
            options.clone(),
        );
        recording.metadata = request.metadata.clone();
        if let Some(name) = &request.file_name {
            recording
                .metadata
                .insert("file_name".to_owned(), name.clone().into());
        }
        let mut turn = tokio::select! {
            turn = self.engine.lock() => turn,
            () = cancel.cancelled() => return Err(TranscriptionError::Cancelled),
        };
        let wanted = options.model.clone().unwrap_or_default();
        let speech = match &*turn {
            Some((id, speech)) if *id == wanted => Arc::clone(speech),
            _ => {
                let speech = Arc::new(self.app.speech(options).await.map_err(failed)?);
                *turn = Some((wanted, Arc::clone(&speech)));
                speech
            }
        };
        let decoder = Decoder {
            request,
            speech: &speech,
            options,
            observer,
            cancel,
        };
        recording.metadata.insert(UPLOAD.to_owned(), true.into());
        if !request.keep {
            return decoder.decode(source.as_mut(), None, &recording).await;
        }

        let id = recording.recording_id;
        if let Some(transcript) = self.make_way(id, cancel).await? {
            return Ok(transcript);
        }
        let archive = self.app.archive().map_err(failed)?;
        let begun = self.app.begin(archive.as_ref(), &recording).await;
        let (mut writer, lock) = begun.map_err(locked)?;
        let mut unfinished = Unfinished::begun(&self.app, id, lock);
        let decoded = decoder
            .decode(source.as_mut(), Some(writer.as_mut()), &recording)
            .await;
        drop(writer);
        let kept = match decoded {
            Ok(transcript) => {
                let kept = self.app.keep(&mut recording, &transcript).await;
                kept.map(|()| transcript).map_err(failed)
            }
            Err(error) => Err(error),
        };
        let transcript = match kept {
            Ok(transcript) => transcript,
            Err(error) => {
                // Before the answer, after which it may come again.
                if let Some(forgetting) = unfinished.forget() {
                    forgetting.await.ok();
                }
                return Err(error);
            }
        };
        drop(turn);
        let _lock = unfinished.keep();
        if let Err(failure) = self.app.settle(&recording, &transcript).await {
            tracing::warn!(
                recording_id = %id,
                %failure,
                "the text is kept, but can't be found yet"
            );
        }
        Ok(transcript)
    }

    /// The text of `id`, where it is kept already.
    async fn kept(&self, id: RecordingId) -> Result<Option<Transcript>, TranscriptionError> {
        let archive = self.app.archive().map_err(failed)?;
        match archive.transcript(id).await {
            Ok(transcript) => Ok(transcript),
            Err(ArchiveError::NotFound(_)) => Ok(None),
            Err(error) => Err(archive_error(error)),
        }
    }

    /// Takes away what an earlier try of the same request left without a text: all of its sound comes
    /// again. Gives the text where there is one by now.
    async fn make_way(
        &self,
        id: RecordingId,
        cancel: &CancellationToken,
    ) -> Result<Option<Transcript>, TranscriptionError> {
        // Who keeps it may still be at it.
        if let Some(transcript) = self.kept(id).await? {
            return Ok(Some(transcript));
        }
        let retry = Retry::new(&self.app, None, cancel.clone());
        match retry.take(id, false).await.map_err(failed)? {
            Turn::Gone => Ok(None),
            Turn::Busy(error) => Err(locked(error)),
            Turn::Kept(_held) => self.kept(id).await,
            Turn::Mine(held) if !held.recording().metadata.contains_key(UPLOAD) => {
                Err(TranscriptionError::Refused {
                    reason: format!(
                        "recording {} of this id wasn't sent with a request, and has no text yet: \
                         `speakr retry` makes it",
                        id.short()
                    ),
                })
            }
            Turn::Mine(_held) => {
                self.app.forget(id).await.map_err(failed)?;
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl Transcription for LocalTranscription {
    async fn transcribe(
        &self,
        request: &TranscriptionRequest,
        observer: &dyn TranscriptionObserver,
        cancel: &CancellationToken,
    ) -> Result<Transcript, TranscriptionError> {
        let options = self.options(&request.options);
        self.check(&options)?;
        if request.keep {
            // The same request again makes no second recording.
            let id = RecordingId::from_correlation(request.correlation_id);
            if let Some(transcript) = self.kept(id).await? {
                return Ok(transcript);
            }
        }
        self.text(request, &options, observer, cancel).await
    }
}

/// What one decode takes.
struct Decoder<'a> {
    request: &'a TranscriptionRequest,
    speech: &'a Speech,
    options: &'a DecodeOptions,
    observer: &'a dyn TranscriptionObserver,
    cancel: &'a CancellationToken,
}

impl Decoder<'_> {
    async fn decode(
        &self,
        source: &mut (dyn SoundSource + 'static),
        writer: Option<&mut (dyn SoundWriter + 'static)>,
        recording: &Recording,
    ) -> Result<Transcript, TranscriptionError> {
        let decoded = self
            .speech
            .decode_from(source, writer, self.options, self.observer, self.cancel)
            .await;
        if self.cancel.is_cancelled() {
            return Err(TranscriptionError::Cancelled);
        }
        let decoding = decoded.map_err(|unmade| match unmade {
            Unmade::Cut(TeeError::Source(error)) => sound_error(self.request, error),
            Unmade::Cut(TeeError::Archive(error)) => archive_error(error),
            Unmade::Text(failure) => failed(failure),
        })?;
        Ok(decoding.transcript(recording))
    }
}

/// A recording whose text isn't kept yet. It is forgotten when the work ends before that, also
/// when it is dropped half-way because its client went away: the client still has the file.
struct Unfinished {
    app: App,
    id: RecordingId,
    /// Held until it is kept, or all of it is gone.
    lock: Option<TranscriptionLock>,
}

impl Unfinished {
    fn begun(app: &App, id: RecordingId, lock: TranscriptionLock) -> Self {
        Self {
            app: app.clone(),
            id,
            lock: Some(lock),
        }
    }

    fn keep(mut self) -> Option<TranscriptionLock> {
        self.lock.take()
    }

    /// Begins to take it away, which goes on whether somebody waits for it or not.
    fn forget(&mut self) -> Option<JoinHandle<()>> {
        let lock = self.lock.take()?;
        let (app, id) = (self.app.clone(), self.id);
        Some(tokio::spawn(async move {
            if let Err(failure) = app.forget(id).await {
                tracing::warn!(recording_id = %id, %failure, "an unfinished upload stays");
            }
            drop(lock);
        }))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.forget());
    }
}

fn failed(failure: Failure) -> TranscriptionError {
    TranscriptionError::Failed {
        service: SERVICE.to_owned(),
        cause: failure.to_string().into(),
    }
}

fn refused(failure: Failure) -> TranscriptionError {
    TranscriptionError::Refused {
        reason: failure.message().to_owned(),
    }
}

fn locked(error: LockError) -> TranscriptionError {
    match error {
        LockError::Archive(error) => archive_error(error),
        error @ (LockError::Transcribing(_) | LockError::Recording { .. }) => {
            tracing::info!(%error, "whoever asks is told to ask again");
            TranscriptionError::Busy {
                service: SERVICE.to_owned(),
                retry_after_s: Some(BUSY_RETRY_S),
            }
        }
    }
}

fn archive_error(error: ArchiveError) -> TranscriptionError {
    match error {
        error @ ArchiveError::Deleted(_) => TranscriptionError::Refused {
            reason: error.to_string(),
        },
        error => failed(error.into()),
    }
}

/// Why the file can't be read, in the words of who sent it: where it lies here is nobody's
/// business.
fn sound_error(request: &TranscriptionRequest, error: SoundError) -> TranscriptionError {
    match error {
        error @ (SoundError::Unreadable { .. }
        | SoundError::NotSound { .. }
        | SoundError::Refused { .. }) => {
            let place = request.file.display().to_string();
            let name = request.file_name.as_deref().unwrap_or("the file");
            TranscriptionError::Refused {
                reason: error.to_string().replace(&place, name),
            }
        }
        error => failed(error.into()),
    }
}
