//! `speakr record`: from the microphone to text on the clipboard.

mod director;
mod ending;
mod listener;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use clap::Args;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    ports::{
        archive::Archive,
        sound::{Device, Microphone, SoundError},
        speech::DecodeOptions,
    },
    usecases::{
        capture::{self, CaptureObserver, Captured, Control},
        silence::SilenceWatcher,
        transcribe::{Pace, TranscriptionObserver},
    },
};
use speakr_local::RecordingLock;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};
use tokio_util::sync::CancellationToken;

use self::{director::Director, listener::Listener};
use crate::{
    args::{DecodeArgs, limit, parse_limit},
    compose::App,
    control::{Board, ControlServer, Phase, Request},
    failure::{ExitCode, Failure, chain},
    platform,
    speech::Made,
    terminal::{Keys, LiveView},
};

/// A check of the model that takes longer is done while somebody speaks.
const CHECKED_AT_ONCE: Duration = Duration::from_millis(100);

/// How to record.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(crate) struct RecordArgs {
    /// The microphone, by a name of `speakr devices`; `file:PATH` plays a file as the microphone
    #[arg(long, short, value_name = "NAME")]
    device: Option<String>,
    /// Tags of the recording
    #[arg(long, short, value_name = "A,B", value_delimiter = ',')]
    tags: Vec<String>,
    /// Leave the clipboard alone
    #[arg(long)]
    no_clipboard: bool,
    /// Stop after this long, such as `90s` or `1h`; 0 or `off` sets no limit
    #[arg(long, value_name = "TIME", value_parser = parse_limit)]
    max_duration: Option<Duration>,
    /// Stop when nobody has spoken for this long, such as `2s` (counted after the first word); 0 or
    /// `off` doesn't
    #[arg(long, value_name = "TIME", value_parser = parse_limit)]
    stop_on_silence: Option<Duration>,
    /// Print what is heard as it comes, one JSON object a line: partial, segment, transcript
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    decode: DecodeArgs,
}

/// Records, transcribes, copies, prints and keeps.
pub(crate) async fn run(app: &App, args: &RecordArgs) -> Result<(), Failure> {
    let options = app.decode_options(&args.decode)?;
    // What can't work is told before anybody speaks; but nobody waits for a large file to be read.
    let mut check = check_model(app, &options);
    let checking = match tokio::time::timeout(CHECKED_AT_ONCE, &mut check).await {
        Ok(checked) => {
            joined(checked)?;
            None
        }
        Err(_) => Some(check),
    };
    if let Some(config) = platform::bus_config(&app.settings) {
        platform::api(&app.settings, &app.trace)?;
        app.output.say(&format!(
            "The platform at {} makes the text.",
            config.servers_shown()
        ));
    }
    let device = device(args.device.as_deref().or(app.settings.device.as_deref()));
    let tags = if args.tags.is_empty() {
        app.settings.tags.clone()
    } else {
        Tags::new(&args.tags)
    };
    let recording = Recording::begin(CorrelationId::random(), Timestamp::now(), tags, options);

    let archive = app.archive()?;
    let lock = RecordingLock::acquire(app.home(), recording.recording_id)?;
    let mut session = Session::begin(app, archive, recording, &device, lock).await?;
    let captured = session.capture(args, checking).await;
    session.finish(args, captured).await
}

/// Whether the model can do what is asked of it, off the async threads: a file that wasn't read
/// before is read whole.
fn check_model(app: &App, options: &DecodeOptions) -> Check {
    let (app, options) = (app.clone(), options.clone());
    tokio::task::spawn_blocking(move || app.check_model(&options))
}

type Check = JoinHandle<Result<(), Failure>>;

fn joined(checked: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    checked.unwrap_or_else(|e| {
        Err(Failure::new(
            ExitCode::Failed,
            format!("the model's check broke: {e}"),
        ))
    })
}

/// The microphone that `name` means.
pub(crate) fn device(name: Option<&str>) -> Device {
    match name {
        None | Some("" | "default") => Device::Default,
        Some(name) => name.strip_prefix("file:").map_or_else(
            || Device::Named(name.to_owned()),
            |path| Device::File(PathBuf::from(path)),
        ),
    }
}

struct Session<'a> {
    app: &'a App,
    archive: Arc<dyn Archive>,
    recording: Recording,
    source: Box<dyn speakr_core::ports::sound::SoundSource>,
    writer: Box<dyn speakr_core::ports::archive::SoundWriter>,
    view: Arc<LiveView>,
    board: Arc<Board>,
    controls: mpsc::UnboundedSender<Control>,
    controls_out: mpsc::UnboundedReceiver<Control>,
    discard: CancellationToken,
    interrupt: CancellationToken,
    stopped_at: Arc<OnceLock<Instant>>,
    director: JoinHandle<()>,
    text: Option<JoinHandle<Result<Made, Failure>>>,
    interrupted: Option<JoinHandle<Result<Vec<RecordingId>, Failure>>>,
    _keys: Keys,
    server: Option<ControlServer>,
    lock: Option<RecordingLock>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.director.abort();
        self.view.close();
    }
}

impl<'a> Session<'a> {
    async fn begin(
        app: &'a App,
        archive: Arc<dyn Archive>,
        recording: Recording,
        device: &Device,
        lock: RecordingLock,
    ) -> Result<Self, Failure> {
        let view = LiveView::new(app.output, device);
        let (signals_in, signals) = mpsc::unbounded_channel();
        director::listen(signals_in).map_err(|e| {
            Failure::new(ExitCode::Failed, format!("can't listen for signals: {e}"))
        })?;
        let opened = app.microphone().open(device).await;
        let source = match opened {
            Ok(source) => source,
            Err(error) => {
                view.close();
                return Err(no_microphone(error));
            }
        };
        let writer = match archive.begin(&recording).await {
            Ok(writer) => writer,
            Err(error) => {
                view.close();
                return Err(error.into());
            }
        };
        let id = recording.recording_id;
        let board = Arc::new(Board::new(id, Phase::Recording));
        let discard = CancellationToken::new();
        let interrupt = CancellationToken::new();
        let (requests_in, requests) = mpsc::unbounded_channel();
        let discarded = discard.clone();
        let act = move |request| {
            // Known before it is answered: a recording that is just done must not be kept after
            // somebody was told that it is discarded.
            if request == Request::Cancel {
                discarded.cancel();
            }
            requests_in.send(request).ok();
        };
        let server = match ControlServer::start(app.home(), id, Arc::clone(&board), act).await {
            Ok(server) => Some(server),
            Err(error) => {
                app.output.warn(&format!(
                    "`speakr stop` can't reach this recording: {error}"
                ));
                None
            }
        };
        let (keys_in, keys) = mpsc::unbounded_channel();
        let keys_reader = Keys::read(keys_in);
        let (controls, controls_out) = mpsc::unbounded_channel();
        let stopped_at = Arc::new(OnceLock::new());
        let director = Director {
            board: Arc::clone(&board),
            controls: controls.clone(),
            discard: discard.clone(),
            interrupt: interrupt.clone(),
            stopped_at: Arc::clone(&stopped_at),
            interrupted_at: None,
        };
        let director = tokio::spawn(director.run(keys, requests, signals));
        let interrupted = Some(tokio::spawn(look_around(app.clone(), recording.clone())));
        Ok(Self {
            app,
            archive,
            recording,
            source,
            writer,
            view,
            board,
            controls,
            controls_out,
            discard,
            interrupt,
            stopped_at,
            director,
            text: None,
            interrupted,
            _keys: keys_reader,
            server,
            lock: Some(lock),
        })
    }

    /// Captures until told to stop, with the text being made meanwhile.
    async fn capture(&mut self, args: &RecordArgs, checking: Option<Check>) -> Captured {
        let (sound_in, sound) = mpsc::unbounded_channel();
        self.text = Some(self.start_text(args, sound, checking));
        let meter = Meter {
            view: Arc::clone(&self.view),
            board: Arc::clone(&self.board),
        };
        let max = limit(args.max_duration, self.app.settings.max_duration);
        let captured = capture::capture(
            self.source.as_mut(),
            self.writer.as_mut(),
            &mut self.controls_out,
            max,
            sound_in,
            &meter,
        )
        .await;
        self.stopped_at.get_or_init(Instant::now);
        captured
    }

    /// Loads the models, once one of them is checked, and makes the text, in tasks of their own:
    /// sound never waits for them.
    fn start_text(
        &self,
        args: &RecordArgs,
        mut sound: mpsc::UnboundedReceiver<Vec<i16>>,
        checking: Option<Check>,
    ) -> JoinHandle<Result<Made, Failure>> {
        let (text_in, mut text_sound) = mpsc::unbounded_channel::<Vec<i16>>();
        let silence = limit(args.stop_on_silence, self.app.settings.stop_on_silence);
        let detector = silence.map(|limit| (limit, self.app.detector()));
        let controls = self.controls.clone();
        let output = self.app.output;
        tokio::spawn(async move {
            let mut watcher = match detector {
                Some((limit, Ok(detector))) => Some(SilenceWatcher::new(detector, limit)),
                Some((_, Err(failure))) => {
                    output.warn(&format!("silence won't end this recording: {failure}"));
                    None
                }
                None => None,
            };
            while let Some(pcm) = sound.recv().await {
                match watcher.as_mut().map(|w| w.push(&pcm)) {
                    Some(Ok(true)) => {
                        controls.send(Control::StopForSilence).ok();
                        watcher = None;
                    }
                    Some(Err(error)) => {
                        tracing::warn!(error = %chain(&error), "the silence watcher failed");
                        watcher = None;
                    }
                    Some(Ok(false)) | None => {}
                }
                text_in.send(pcm).ok();
            }
        });
        let app = self.app.clone();
        let recording = self.recording.clone();
        let listener = Arc::new(Listener::new(
            Arc::clone(&self.view),
            args.stream.then_some(output),
        ));
        let (interrupt, discard) = (self.interrupt.clone(), self.discard.clone());
        tokio::spawn(async move {
            if let Some(check) = checking
                && let Err(failure) = joined(check.await)
            {
                output.warn(&format!("there will be no text: {failure}"));
                return Err(failure);
            }
            let sound = stream::poll_fn(move |cx| text_sound.poll_recv(cx));
            let listens: Arc<dyn TranscriptionObserver> = listener.clone();
            if let Some(platform) = app.spoken_by(listens, interrupt.clone(), discard)? {
                return platform
                    .live(&recording, sound.map(Ok))
                    .await
                    .map(Made::There);
            }
            let options = &recording.options;
            let speech = app.speech(options).await?;
            speech
                .decode(sound, Pace::Live, options, listener.as_ref(), &interrupt)
                .await
                .map(Made::Here)
        })
    }
}

/// Lists this recording, so that it is seen while it runs and after a crash, and finds those that
/// were interrupted before it. Sound is being captured meanwhile.
async fn look_around(app: App, recording: Recording) -> Result<Vec<RecordingId>, Failure> {
    let library = app.library().await?;
    library.announce(&recording).await?;
    // What another process is at this moment is among them; that is asked when it is their turn.
    let interrupted = library.unfinished().await?.into_iter();
    let interrupted = interrupted.map(|entry| entry.recording).filter(|other| {
        // Why a text failed is for a person to see.
        other.state != RecordingState::Failed && other.recording_id != recording.recording_id
    });
    Ok(interrupted.map(|other| other.recording_id).collect())
}

fn no_microphone(error: SoundError) -> Failure {
    let hinted = matches!(
        error,
        SoundError::NoDevice { .. } | SoundError::Broken { .. }
    );
    let failure = Failure::from(error);
    if hinted {
        failure.hint("`speakr devices` lists the microphones, `speakr doctor` looks for the cause")
    } else {
        failure
    }
}

/// Shows the level and keeps the status that other shells ask for.
struct Meter {
    view: Arc<LiveView>,
    board: Arc<Board>,
}

impl CaptureObserver for Meter {
    fn on_sound(&self, level_dbfs: f32, captured_ms: u64, paused: bool) {
        self.board.set_captured(captured_ms, paused);
        self.view.on_sound(level_dbfs, captured_ms, paused);
    }
}
