//! `speakr transcribe`: text from files.

mod inputs;
mod progress;

use std::path::{Path, PathBuf};

use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingState, Tags, Transcript,
    export::{self, ExportFormat},
    ports::{
        archive::Archive,
        sound::{SoundInput, SoundSource},
        speech::{DecodeOptions, SpeechError},
    },
    usecases::capture::{Tee, TeeError},
};
use tokio_util::sync::CancellationToken;

use self::{
    inputs::{Found, Input},
    progress::Progress,
};
use crate::{
    args::DecodeArgs,
    commands::{
        format::{FormatArg, write_whole},
        retry::note_original,
    },
    compose::App,
    failure::{ExitCode, Failure},
    platform::{SpokenBy, sound_of},
    speech::{Speech, Unmade},
};

/// The largest file that is looked at for going as it is: more than any server takes at once.
const MOST_IN_A_MESSAGE: u64 = 64 * 1024 * 1024;

/// What to transcribe, and how.
#[derive(Debug, Args)]
pub(crate) struct TranscribeArgs {
    /// Files of any format that ffmpeg reads (video too), folders with --recursive, or `-`
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Take all sound and video files in folders, and in the folders inside
    #[arg(long, short)]
    recursive: bool,
    /// How to print or write the text
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    format: Option<FormatArg>,
    /// Write NAME.FORMAT into this folder, one file an input, instead of printing
    #[arg(long, short, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Tags of the recordings
    #[arg(long, short, value_name = "A,B", value_delimiter = ',')]
    tags: Vec<String>,
    /// Keep neither sound nor text in the library
    #[arg(long)]
    no_save: bool,
    #[command(flatten)]
    decode: DecodeArgs,
}

/// Transcribes every input; one that fails doesn't keep the rest from being done.
pub(crate) async fn run(app: &App, args: &TranscribeArgs) -> Result<(), Failure> {
    let format = FormatArg::choose(args.format, app.settings.format, app.output)?;
    let options = app.decode_options(&args.decode)?;
    app.check_model(&options)?;
    if args.no_save && app.has_platform() {
        return Err(Failure::new(
            ExitCode::Usage,
            "a platform keeps what it makes text of, so there is no --no-save with it",
        )
        .hint("`--local --no-save` makes the text here and keeps nothing"));
    }
    let Found {
        inputs,
        mut failures,
        left_out,
    } = inputs::expand(&args.paths, args.recursive);
    for link in &left_out {
        app.output.warn(&format!(
            "{} is a link to a folder, and is left out; name it to have what is in it",
            link.display()
        ));
    }
    if inputs.is_empty() && failures.is_empty() {
        return Err(Failure::new(
            ExitCode::NotFound,
            "no sound or video file in there",
        ));
    }
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder).map_err(|e| {
            Failure::new(
                ExitCode::Failed,
                format!("can't make {}: {e}", folder.display()),
            )
        })?;
    }
    let cancel = CancellationToken::new();
    let on_signal = cancel.clone();
    tokio::spawn(async move {
        if crate::signals::asked_to_end().await.is_ok() {
            on_signal.cancel();
        }
    });

    let mut job = Job {
        app,
        args,
        options,
        format,
        cancel,
        speech: None,
        names: inputs::Names::default(),
    };
    let total = inputs.len();
    for (nth, input) in inputs.iter().enumerate() {
        let progress = Progress::start(app.output, input, nth + 1, total);
        let done = job.transcribe(input, &progress).await;
        progress.finish();
        match done {
            Ok(()) => {}
            Err(failure) if failure.code() == ExitCode::Cancelled => return Err(failure),
            Err(failure) if total == 1 && failures.is_empty() => return Err(failure),
            Err(failure) => failures.push((input.to_string(), failure)),
        }
    }
    summary(app, failures, total)
}

fn summary(app: &App, mut failures: Vec<(String, Failure)>, tried: usize) -> Result<(), Failure> {
    if failures.len() == 1 && tried == 0 {
        return Err(failures.remove(0).1);
    }
    if failures.is_empty() {
        return Ok(());
    }
    for (input, failure) in &failures {
        app.output.warn_of(input, failure);
    }
    let (n, s) = (failures.len(), if failures.len() == 1 { "" } else { "s" });
    Err(Failure::new(
        ExitCode::Failed,
        format!("{n} input{s} failed; the rest is done"),
    ))
}

struct Job<'a> {
    app: &'a App,
    args: &'a TranscribeArgs,
    options: DecodeOptions,
    format: ExportFormat,
    cancel: CancellationToken,
    /// Loaded once, for all inputs.
    speech: Option<Speech>,
    names: inputs::Names,
}

impl Job<'_> {
    /// The models, where they aren't loaded yet.
    async fn load(&self) -> Result<Option<Speech>, Failure> {
        if self.speech.is_some() {
            return Ok(None);
        }
        self.app.speech(&self.options).await.map(Some)
    }

    async fn transcribe(&mut self, input: &Input, progress: &Progress) -> Result<(), Failure> {
        if self.app.has_platform() {
            return self.by_platform(input).await;
        }
        let decoder = self.app.decoder();
        let sound_input = input.sound();
        // Side by side: each takes a good part of a second. What comes through standard input may
        // take for ever to begin.
        let opened = async {
            tokio::join!(
                decoder.duration_ms(&sound_input),
                decoder.open(&sound_input),
                self.load(),
            )
        };
        let (length, source, loaded) = self.unless_cancelled(opened).await?;
        progress.set_length(length?);
        let mut source = source?;
        if let Some(speech) = loaded? {
            self.speech = Some(speech);
        }
        let Some(speech) = &self.speech else {
            return Ok(());
        };

        let mut recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now(),
            Tags::new(&self.args.tags),
            self.options.clone(),
        );
        if let Some(path) = input.path() {
            note_original(&mut recording.metadata, path);
        }
        if self.args.no_save {
            let decoding = speech
                .decode_from(source.as_mut(), None, &self.options, progress, &self.cancel)
                .await?;
            return self.deliver(input, decoding.doubt(), &decoding.transcript(&recording));
        }

        let archive = self.app.archive()?;
        let (mut writer, lock) = self.app.begin(archive.as_ref(), &recording).await?;
        let decoded = speech
            .decode_from(
                source.as_mut(),
                Some(writer.as_mut()),
                &self.options,
                progress,
                &self.cancel,
            )
            .await;
        let samples = writer.samples();
        drop(writer);
        let decoding = match decoded {
            Ok(decoding) => decoding,
            Err(unmade) => {
                let spoken = matches!(sound_input, SoundInput::Stdin) && samples > 0;
                drop(lock);
                return Err(self.give_up(recording, samples, spoken, unmade).await);
            }
        };
        recording.duration_ms = Some(speakr_core::audio::samples_to_ms(samples));
        let transcript = decoding.transcript(&recording);
        // A text that can't be kept is told all the same.
        let kept = self.app.keep(&mut recording, &transcript).await;
        let delivered = self.deliver(input, decoding.doubt(), &transcript);
        let id = recording.recording_id.short();
        kept.map_err(|failure| {
            failure.hint(format!(
                "The sound is kept: with room on the disk, `speakr retry {id}` makes its text again."
            ))
        })?;
        let settled = self.app.settle(&recording, &transcript).await;
        drop(lock);
        if let Err(failure) = settled {
            self.app.output.warn(&format!(
                "{input}: the text is kept, but can't be found yet: {failure}"
            ));
        }
        delivered
    }

    /// What `work` gives, unless somebody asks for the end before.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel.cancelled() => Err(SpeechError::Cancelled.into()),
        }
    }

    /// The platform makes the text. A file goes as it is where it fits into one message, else as
    /// the sound in it.
    async fn by_platform(&mut self, input: &Input) -> Result<(), Failure> {
        let observer = std::sync::Arc::new(());
        let interrupt = self.cancel.clone();
        // A file is still here when it is thrown away there. What came through standard input is
        // kept for `retry`, under the same id.
        let discard = match input {
            Input::File(_) => self.cancel.clone(),
            Input::Stdin => CancellationToken::new(),
        };
        let Some(platform) = self.app.spoken_by(observer, interrupt, discard)? else {
            return Err(Failure::new(ExitCode::Usage, "no platform is set up"));
        };
        let mut recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now(),
            Tags::new(&self.args.tags),
            self.options.clone(),
        );
        // The path is this machine's own affair.
        if let Some(name) = input.path().and_then(Path::file_name) {
            let name = name.to_string_lossy().into_owned();
            recording
                .metadata
                .insert("file_name".to_owned(), name.into());
        }
        let sound_input = input.sound();
        let mut spoken = None;
        if let SoundInput::File(path) = &sound_input
            && let Ok(about) = tokio::fs::metadata(path).await
            && (1..=MOST_IN_A_MESSAGE).contains(&about.len())
        {
            let file = tokio::fs::read(path).await.map_err(|e| {
                Failure::new(
                    ExitCode::Failed,
                    format!("can't read {}: {e}", path.display()),
                )
            })?;
            spoken = platform.file(&recording, file).await?;
        }
        let spoken = match spoken {
            Some(spoken) => spoken,
            None => {
                let decoder = self.app.decoder();
                let mut source = self.unless_cancelled(decoder.open(&sound_input)).await??;
                if matches!(sound_input, SoundInput::Stdin) {
                    return self
                        .keep_and_send(input, &platform, recording, source.as_mut())
                        .await;
                }
                platform.live(&recording, sound_of(source)).await?
            }
        };
        self.deliver(input, None, &spoken.transcript)
    }

    /// What comes through standard input can't be had again: it is kept here until the platform has
    /// it.
    async fn keep_and_send(
        &mut self,
        input: &Input,
        platform: &SpokenBy,
        recording: Recording,
        source: &mut (dyn SoundSource + 'static),
    ) -> Result<(), Failure> {
        let archive = self.app.archive()?;
        let id = recording.recording_id;
        let (mut writer, lock) = self.app.begin(archive.as_ref(), &recording).await?;
        let mut tee = Tee::new(source, Some(writer.as_mut()));
        {
            let mut sound = tee.stream();
            while let Ok(Some(_)) = self.unless_cancelled(sound.next()).await {}
        }
        let passed = tee.finish().await;
        let samples = writer.samples();
        drop(writer);
        let duration_ms = Some(speakr_core::audio::samples_to_ms(samples));
        let captured = move |recording: &mut Recording| {
            recording.duration_ms = duration_ms;
            recording.state = RecordingState::Captured;
        };
        let recording = archive.amend(id, Box::new(captured)).await?;
        let sent = match passed {
            Ok(_) => {
                let open = async || Ok(sound_of(archive.open_sound(id).await?));
                platform.again(&recording, open).await
            }
            Err(TeeError::Source(error)) => Err(error.into()),
            Err(TeeError::Archive(error)) => Err(error.into()),
        };
        match sent {
            Ok(spoken) => {
                let delivered = self.deliver(input, None, &spoken.transcript);
                self.app.hand_over(id).await;
                drop(lock);
                delivered
            }
            Err(failure) => {
                drop(lock);
                let unmade = Unmade::Text(failure);
                Err(self.give_up(recording, samples, samples > 0, unmade).await)
            }
        }
    }

    /// A file's copy isn't kept when its text failed: the file itself is still there. What came
    /// through standard input can't be had again, so that is kept for `retry`.
    async fn give_up(
        &self,
        recording: Recording,
        samples: u64,
        spoken: bool,
        unmade: Unmade,
    ) -> Failure {
        let id = recording.recording_id;
        let of_sound = matches!(unmade, Unmade::Cut(TeeError::Source(_)));
        let failure = Failure::from(unmade);
        if !spoken {
            if let Err(error) = self.app.delete(id).await {
                self.app.output.warn(error.message());
            }
            return failure;
        }
        let duration_ms = Some(speakr_core::audio::samples_to_ms(samples));
        let reason = failure.message().to_owned();
        let left = move |recording: &mut Recording| {
            recording.duration_ms = duration_ms;
            recording.state = if of_sound {
                RecordingState::Captured
            } else {
                RecordingState::Failed
            };
            recording.error = Some(reason.clone());
        };
        if let Ok(archive) = self.app.archive()
            && let Err(error) = archive.amend(id, Box::new(left)).await
        {
            self.app.output.warn(&error.to_string());
        }
        failure.hint(format!(
            "The sound is kept: `speakr retry {}` makes its text.",
            id.short()
        ))
    }

    fn deliver(
        &mut self,
        input: &Input,
        doubt: Option<String>,
        transcript: &Transcript,
    ) -> Result<(), Failure> {
        let output = self.app.output;
        if transcript.text.is_empty() {
            output.say(&format!("{input}: no speech was heard."));
        } else if let Some(doubt) = doubt {
            output.warn(&format!("{input}: {doubt}"));
        }
        let format = self.format;
        let text = export::export(transcript, format)
            .map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
        match &self.args.output_dir {
            None if format == ExportFormat::Json => output.print_json(transcript),
            None => output.print_raw(&text),
            Some(folder) => {
                let path = folder.join(self.names.unique(input, format.as_str()));
                write_whole(&path, &text)?;
                output.say(&format!("Wrote {}", path.display()));
                Ok(())
            }
        }
    }
}
