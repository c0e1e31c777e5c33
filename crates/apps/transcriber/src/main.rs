//! `speakr-transcriber`: makes text of speech that comes over the bus.

mod letters;
mod operator;
mod streams;

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use speakr_core::{
    ports::sound::SoundDecoder,
    usecases::recordings::{Host, Parts, Recordings},
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FfmpegMicrophone};
use speakr_nats::{Bus, Sent, control::Holders, intents::Intents};
use speakr_platform::{
    Failure,
    bus::{self, BusCheck, QueueCheck},
    openai,
    scratch::Scratch,
    store::{self, Needs, StoreCheck},
};
use speakr_s3::S3Archive;
use speakr_service::{Service, health::Ready};
use speakr_transcriber::{Measures, SystemClock, Worker, engine, settings};
use tokio_util::sync::CancellationToken;

use crate::{letters::LettersCommand, streams::StreamsCommand};

/// Name of the file that a recording's sound has in the store of record.
const SOUND_NAME: &str = "audio.wav";

/// What logs and connections call this service, and …
const NAME: &str = "speakr-transcriber";
/// … its user in the shipped config of the bus.
const BUS_USER: &str = "transcriber";

/// Makes text of speech that comes over the bus. Settings come from the environment alone.
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What nobody could work on; takes the bus's user "operator", or one with its rights
    #[command(subcommand)]
    DeadLetters(LettersCommand),
    /// Backups of what is under way; takes the bus's user "operator", or one with its rights
    #[command(subcommand)]
    Streams(StreamsCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    speakr_platform::exit_code(match arguments.command {
        None => run().await,
        Some(Command::DeadLetters(command)) => letters::run(command).await,
        Some(Command::Streams(command)) => streams::run(command).await,
    })
}

async fn run() -> Result<(), Failure> {
    let service = Service::start(
        NAME,
        env!("CARGO_PKG_VERSION"),
        &[
            bus::SETTINGS,
            store::SETTINGS,
            openai::SETTINGS,
            settings::TABLE,
        ],
    )
    .await?;
    // First of all, so that it is never taken for ready before it is.
    let started = Ready::new(
        "commands",
        "the model is being loaded, or the streams aren't there yet",
    );
    service.needs(Arc::new(started.clone()));
    let config = service.config();
    let stop = service.shutdown().token();
    let (bus_config, stream_settings) = (
        bus::config(config, NAME, BUS_USER)?,
        settings::streams(config)?,
    );
    let engine_config = settings::engine(config)?;
    let limits = settings::limits(config, service.shutdown().deadline())?;
    let ffmpeg = Ffmpeg::new(settings::ffmpeg(config));
    let host = settings::host_device(config)?.map(|device| Host {
        microphone: Arc::new(FfmpegMicrophone::new(ffmpeg.clone())),
        device,
    });
    let scratch =
        Scratch::make(&settings::scratch(config), "speakr-transcriber-").map_err(Failure::part)?;
    let client_patience = settings::client_patience(config)?;
    let decoder: Arc<dyn SoundDecoder> = Arc::new(FfmpegDecoder::with_limits(
        ffmpeg,
        settings::decode_limits(config)?,
    ));
    let archive = Arc::new(S3Archive::open(&store::config(config)?).await);
    service.needs(Arc::new(StoreCheck::new(
        Arc::clone(&archive),
        Needs::Write,
    )));

    let engine = tokio::task::spawn_blocking(move || engine::load(&engine_config))
        .await
        .map_err(Failure::part)?
        .map_err(Failure::part)?;
    let bus = Bus::connect(&bus_config).await.map_err(Failure::part)?;
    service.needs(Arc::new(BusCheck(bus.clone())));
    // Runs may go on for a while after the replica was asked to end.
    let stop_now = CancellationToken::new();
    tokio::spawn({
        let (stop, stop_now, grace) = (stop.clone(), stop_now.clone(), limits.run_grace);
        async move {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
            stop_now.cancel();
        }
    });
    // A mismatch is told again and again: somebody has to change the stream, and then it works.
    let open = async || {
        speakr_nats::streams::ensure(&bus, &stream_settings).await?;
        Intents::open(&bus).await
    };
    if let Some(intents) = bus::until_open(&stop, open).await {
        let recordings = Recordings::new(Parts {
            archive,
            transcriber: engine.transcriber,
            model: engine.model.id,
            sent: Arc::new(Sent::new(&bus)),
            intents: Arc::new(intents),
            holders: Arc::new(Holders::new(&bus)),
            decoder,
            host,
            clock: Arc::new(SystemClock::default()),
            meter: Arc::new(Measures::describe()),
            client_patience,
            stop: stop.clone(),
            stop_now,
        });
        let worker = Worker::new(
            bus.clone(),
            recordings,
            SOUND_NAME,
            scratch,
            stream_settings,
            limits,
            stop,
        );
        let queues = worker.start(service.tasks()).await.map_err(Failure::part)?;
        service.needs(Arc::new(QueueCheck(queues)));
        started.set();
    }
    bus::end(service, &bus).await
}
