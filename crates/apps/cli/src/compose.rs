//! The composition root: the only place where adapters meet the core.

use std::{ops::Deref, sync::Arc};

use speakr_clipboard::SystemClipboard;
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::{
        BoxedCause,
        archive::{Archive, SoundWriter},
        clipboard::Clipboard,
        index::IndexError,
        sound::SoundDecoder,
        speech::{DecodeOptions, SpeechEngine},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
    usecases::{
        library::{self, Library, LibraryError, Reconciled},
        transcribe::{Transcriber, TranscriptionObserver},
    },
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FfmpegMicrophone, FlacEncoder};
use speakr_local::{Beginning, FolderArchive, Home, LockError, TranscriptionLock};
use speakr_models::{LocatedModel, ModelStore, Trust};
use speakr_sqlite::SqliteIndex;
use speakr_whisper::{SileroModel, WhisperEngine};
use tokio_util::sync::CancellationToken;

use crate::{
    args::DecodeArgs,
    config::Settings,
    embedder::LazyEmbedder,
    failure::{ExitCode, Failure, chain},
    output::Output,
    platform::{self, SpokenBy},
    speech::Speech,
    telemetry::Trace,
    weights::{self, EmbeddingModel},
};

/// The composed program. Cheap to clone; everything is opened when it is first needed.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    pub(crate) trust: Trust,
    pub(crate) trace: Trace,
    home: Home,
    library: tokio::sync::OnceCell<Library>,
    archive: std::sync::OnceLock<Arc<FolderArchive>>,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// A program that is set to `settings`, talks through `output`, takes models that it trusts, and
    /// works as a part of `trace`.
    pub(crate) fn new(settings: Settings, output: Output, trust: Trust, trace: Trace) -> Self {
        let home = Home::new(&settings.home);
        Self(Arc::new(Inner {
            settings,
            output,
            trust,
            trace,
            home,
            library: tokio::sync::OnceCell::new(),
            archive: std::sync::OnceLock::new(),
        }))
    }

    /// The same program with nothing opened yet.
    pub(crate) fn afresh(&self) -> Self {
        Self::new(
            self.settings.clone(),
            self.output,
            self.trust,
            self.trace.clone(),
        )
    }

    /// The library, with an index that agrees with the archive.
    pub(crate) async fn library(&self) -> Result<&Library, Failure> {
        self.library.get_or_try_init(|| self.open_library()).await
    }

    async fn open_library(&self) -> Result<Library, Failure> {
        let (library, mended) = match self.open_agreeing_index().await {
            Err(OpenError::Damaged { place, cause }) => {
                self.output.warn(&format!(
                    "the index {place} is damaged ({cause}); it is set aside and made anew from \
                     the recordings"
                ));
                self.set_index_aside()?;
                self.open_agreeing_index()
                    .await
                    .map_err(OpenError::into_failure)?
            }
            Err(OpenError::Other(failure)) => return Err(failure),
            Ok(opened) => opened,
        };
        if mended != Reconciled::default() {
            tracing::info!(
                added = mended.added.len(),
                removed = mended.removed.len(),
                caught_up = mended.caught_up.len(),
                "the index was brought into agreement with the recordings"
            );
        }
        self.expire(&library).await;
        Ok(library)
    }

    /// Deletes what is older than `retention_days`. What can't be deleted is warned of, and keeps
    /// nobody from the rest of the library.
    pub(crate) async fn expire(&self, library: &Library) {
        let Some(days) = self.settings.retention_days.filter(|&days| days > 0) else {
            return;
        };
        match library.expire(days, jiff::Timestamp::now()).await {
            Ok(expired) if expired.is_empty() => {}
            Ok(expired) => self.output.say(&format!(
                "Deleted {} recordings older than {days} days (retention_days).",
                expired.len()
            )),
            Err(error) => self.output.warn(&format!(
                "not all that is older than {days} days (retention_days) is deleted: {}",
                chain(&error)
            )),
        }
    }

    async fn open_agreeing_index(&self) -> Result<(Library, Reconciled), OpenError> {
        let archive = self.archive()?;
        let index = SqliteIndex::open(&self.home.index(), &self.home.backups()).await?;
        let embedder = LazyEmbedder::new(self.embedding_model()?);
        let library = Library::new(archive, Arc::new(index), Arc::new(embedder));
        let mended = library.reconcile().await?;
        Ok((library, mended))
    }

    /// Moves the index away, so that the next opening makes one from the recordings.
    pub(crate) fn set_index_aside(&self) -> Result<(), Failure> {
        let aside = speakr_sqlite::set_aside(&self.home.index(), &self.home.backups())
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
        tracing::info!(?aside, "the damaged index is kept");
        Ok(())
    }

    /// Begins to keep the sound of `recording`, whose text this process makes at the same time: no
    /// other takes it for one that was interrupted, as long as the lock is held.
    pub(crate) async fn begin(
        &self,
        archive: &dyn Archive,
        recording: &Recording,
    ) -> Result<(Box<dyn SoundWriter>, TranscriptionLock), LockError> {
        let _beginning = Beginning::hold(&self.home)?;
        let writer = archive.begin(recording).await?;
        let lock = TranscriptionLock::acquire(&self.home, recording.recording_id)?;
        Ok((writer, lock))
    }

    /// Keeps `transcript` on disk, where nothing but the disk can fail.
    pub(crate) async fn keep(
        &self,
        recording: &mut Recording,
        transcript: &Transcript,
    ) -> Result<(), Failure> {
        *recording = library::keep(self.archive()?.as_ref(), transcript).await?;
        Ok(())
    }

    /// Deletes a recording: sound, text and vectors.
    pub(crate) async fn delete(&self, id: RecordingId) -> Result<(), Failure> {
        match self.library().await {
            Ok(library) => library.delete(id).await.map(drop)?,
            // The index will follow when it can be opened again.
            Err(failure) => {
                tracing::warn!(%failure, "deleting from the archive alone");
                self.archive()?.delete(id).await.map(drop)?;
            }
        }
        Ok(())
    }

    /// Takes away what is kept of a recording without a text, as if it had never been begun. Whoever
    /// sent its sound still has it, and may send it again.
    pub(crate) async fn forget(&self, id: RecordingId) -> Result<(), Failure> {
        self.archive()?.forget(id).await?;
        self.library().await?.refresh_description(id).await?;
        Ok(())
    }

    /// Makes `transcript` findable once its text is kept, and compresses its sound.
    pub(crate) async fn settle(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> Result<(), Failure> {
        let filed = self.library().await?.settle(recording, transcript).await?;
        if let Some(error) = filed.kept_raw {
            self.output
                .warn(&format!("the sound stays uncompressed: {}", chain(&error)));
        }
        Ok(())
    }

    /// Whether a platform makes the text.
    pub(crate) fn has_platform(&self) -> bool {
        self.settings.nats_url.reveal().is_some()
    }

    /// What speaks to the platform; nothing where this program works alone.
    pub(crate) fn spoken_by(
        &self,
        observer: Arc<dyn TranscriptionObserver>,
        interrupt: CancellationToken,
        discard: CancellationToken,
    ) -> Result<Option<SpokenBy>, Failure> {
        let Some(config) = platform::bus_config(&self.settings) else {
            return Ok(None);
        };
        Ok(Some(SpokenBy {
            config,
            api: platform::api(&self.settings, &self.trace)?,
            trace: self.trace.clone(),
            interrupt,
            discard,
            observer,
        }))
    }

    /// Deletes from the platform what was to be thrown away after its text was made: a cancel comes
    /// too late then.
    pub(crate) async fn delete_there(&self, id: RecordingId) {
        let deleted = match platform::api(&self.settings, &self.trace) {
            Ok(Some(api)) => api.delete(id).await.map_err(Failure::from),
            Ok(None) => Err(Failure::new(
                ExitCode::Usage,
                "no query API is set up that could delete it",
            )),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = deleted {
            self.output.warn(&format!(
                "the text was made before it could be thrown away, and recording {} stays on the \
                 platform: {failure}",
                id.short()
            ));
        }
    }

    /// Removes what this machine kept of a recording that the platform has now, sound and text.
    pub(crate) async fn hand_over(&self, id: RecordingId) {
        if let Err(failure) = self.delete(id).await {
            self.output.warn(&format!(
                "the platform has it; the copy of this machine stays: {failure}"
            ));
        }
    }

    /// A new detector of speech.
    pub(crate) fn detector(&self) -> Result<Box<dyn VoiceActivityDetector>, Failure> {
        Ok(Box::new(self.silero()?.detector()))
    }

    fn silero(&self) -> Result<SileroModel, Failure> {
        let model = self
            .models()?
            .locate(weights::VOICE_ACTIVITY, Trust::Verified)?;
        SileroModel::load(&weights::bytes(&model)?)
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))
    }

    /// The speech model that `options` name, loaded.
    pub(crate) async fn speech(&self, options: &DecodeOptions) -> Result<Speech, Failure> {
        let app = self.clone();
        let options = options.clone();
        tokio::task::spawn_blocking(move || app.load_speech(&options))
            .await
            .map_err(|e| {
                Failure::new(ExitCode::Failed, format!("the model's loading broke: {e}"))
            })?
    }

    fn load_speech(&self, options: &DecodeOptions) -> Result<Speech, Failure> {
        let model = self.speech_model(options)?;
        let threads = self
            .settings
            .threads
            .filter(|&n| n > 0)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let engine = WhisperEngine::load(
            &model.id,
            model.multilingual,
            &weights::bytes(&model)?,
            threads,
        )
        .map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
        self.tell_capped_prompt(&engine, options)?;
        engine.accepts(options)?;
        let model = engine.model().clone();
        let silero = self.silero()?;
        let transcriber = Transcriber::new(
            Arc::new(engine),
            Box::new(move || {
                let detector: Box<dyn VoiceActivityDetector> = Box::new(silero.detector());
                Ok::<_, VoiceActivityError>(detector)
            }),
        );
        Ok(Speech::new(transcriber, model))
    }

    fn tell_capped_prompt(
        &self,
        engine: &WhisperEngine,
        options: &DecodeOptions,
    ) -> Result<(), Failure> {
        let Some(prompt) = &options.prompt else {
            return Ok(());
        };
        let capped = engine
            .cap_prompt(prompt)
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
        if capped.dropped_tokens > 0 {
            self.output.warn(&format!(
                "the prompt is longer than the model takes: of its {} tokens only the last {} count",
                capped.kept_tokens + capped.dropped_tokens,
                capped.kept_tokens
            ));
        }
        Ok(())
    }
}

/// Why the library can't be opened.
enum OpenError {
    /// The index has to be made anew.
    Damaged { place: String, cause: BoxedCause },
    /// Anything else.
    Other(Failure),
}

impl OpenError {
    fn into_failure(self) -> Failure {
        match self {
            Self::Damaged { place, cause } => IndexError::Damaged { place, cause }.into(),
            Self::Other(failure) => failure,
        }
    }
}

impl From<IndexError> for OpenError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged { place, cause } => Self::Damaged { place, cause },
            other => Self::Other(other.into()),
        }
    }
}

impl From<LibraryError> for OpenError {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::Index(error) => error.into(),
            other => Self::Other(other.into()),
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl Inner {
    /// The data folder.
    pub(crate) const fn home(&self) -> &Home {
        &self.home
    }

    /// The store of record.
    pub(crate) fn archive(&self) -> Result<Arc<FolderArchive>, Failure> {
        if let Some(archive) = self.archive.get() {
            return Ok(Arc::clone(archive));
        }
        let ffmpeg = self.ffmpeg();
        let archive = Arc::new(FolderArchive::open(
            self.home.path(),
            Arc::new(FlacEncoder::new(ffmpeg.clone())),
            Arc::new(FfmpegDecoder::new(ffmpeg)),
        )?);
        Ok(Arc::clone(self.archive.get_or_init(|| archive)))
    }

    /// The models of this machine.
    pub(crate) fn models(&self) -> Result<ModelStore, Failure> {
        weights::store(&self.home, &self.settings)
    }

    /// The model that finds meaning.
    pub(crate) fn embedding_model(&self) -> Result<EmbeddingModel, Failure> {
        Ok(EmbeddingModel::of(
            self.models()?,
            &self.settings,
            self.trust,
        ))
    }

    /// The ffmpeg program.
    pub(crate) fn ffmpeg(&self) -> Ffmpeg {
        Ffmpeg::new(self.settings.ffmpeg.clone())
    }

    /// The microphones.
    pub(crate) fn microphone(&self) -> FfmpegMicrophone {
        FfmpegMicrophone::new(self.ffmpeg())
    }

    /// What reads files.
    pub(crate) fn decoder(&self) -> Arc<dyn SoundDecoder> {
        Arc::new(FfmpegDecoder::new(self.ffmpeg()))
    }

    /// The clipboard.
    pub(crate) fn clipboard(&self) -> impl Clipboard {
        SystemClipboard::new()
    }

    /// What to ask of the decoder, as the command line and the settings say.
    pub(crate) fn decode_options(&self, args: &DecodeArgs) -> Result<DecodeOptions, Failure> {
        let vocabulary = match &args.vocabulary {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    Failure::new(
                        ExitCode::Failed,
                        format!("can't read the vocabulary {}: {e}", path.display()),
                    )
                })?;
                // One word or name a line, whatever ends the lines; a byte-order mark is none.
                let words: Vec<_> = text
                    .trim_start_matches('\u{feff}')
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .collect();
                Some(words.join(", "))
            }
        };
        // A platform has a model of its own, unless somebody asks for one.
        let model = Some(self.settings.model.as_str())
            .filter(|_| self.settings.nats_url.reveal().is_none());
        Ok(args.options(
            model,
            self.settings.language.as_deref(),
            vocabulary.as_deref(),
        ))
    }

    /// Checks that the model is here and knows the language, without loading it. What a platform
    /// has, it says itself.
    pub(crate) fn check_model(&self, options: &DecodeOptions) -> Result<(), Failure> {
        if self.settings.nats_url.reveal().is_some() {
            return Ok(());
        }
        weights::check_language(&self.speech_model(options)?, options)
    }

    fn speech_model(&self, options: &DecodeOptions) -> Result<LocatedModel, Failure> {
        let id = options.model.as_deref().unwrap_or(&self.settings.model);
        weights::speech_model(&self.models()?, id, self.trust)
    }
}
