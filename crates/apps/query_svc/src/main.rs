//! `speakr-query-svc`: the API of the platform.

mod bus_transcription;
mod cleaner;
mod settings;
mod sweeping;
mod tokens;
mod told_parts;

use std::{num::NonZeroUsize, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use speakr_core::usecases::{library::Library, remembered::RememberingEmbedder};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder};
use speakr_http::{Api, HeaderMap, TraceHook};
use speakr_nats::{Bus, StreamCopies};
use speakr_platform::{
    Failure,
    bus::{self, BusCheck},
    database::{self, DatabaseCheck},
    embedder, openai,
    scratch::Scratch,
    store::{self, Needs, StoreCheck},
};
use speakr_postgres::Database;
use speakr_s3::S3Archive;
use speakr_service::{Service, ServiceError, config::Config, health::Ready, traces};
use tokio::net::TcpListener;

use crate::{bus_transcription::BusTranscription, tokens::TokenCommand};

/// What logs and connections call this service, and …
const NAME: &str = "speakr-query-svc";
/// … its user in the shipped config of the bus.
const BUS_USER: &str = "query_svc";

/// How many queries' vectors are remembered: some 4 MB of them.
const REMEMBERED_QUERIES: NonZeroUsize = NonZeroUsize::new(2_048).unwrap();

/// How much of the time there is for ending may go by until texts that aren't made yet are broken off.
const PATIENCE_WITH_REQUESTS: f64 = 0.7;

/// The API of the platform: finds, lists, exports, deletes, and transcribes over the bus. Settings
/// come from the environment alone.
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Who may ask what
    #[command(subcommand)]
    Token(TokenCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    speakr_platform::exit_code(match arguments.command {
        None => serve().await,
        Some(Command::Token(command)) => token(command).await,
    })
}

async fn serve() -> Result<(), Failure> {
    let service = Service::start(
        NAME,
        env!("CARGO_PKG_VERSION"),
        &[
            bus::SETTINGS,
            store::SETTINGS,
            database::SETTINGS,
            openai::SETTINGS,
            embedder::SETTINGS,
            settings::TABLE,
        ],
    )
    .await?;
    // First of all, so that it is never taken for ready before it is.
    let serving = Ready::new("api", "the parts aren't all there yet");
    service.needs(Arc::new(serving.clone()));
    let config = service.config();
    let stop = service.shutdown().token();
    let (bus_config, database_config) = (
        bus::config(config, NAME, BUS_USER)?,
        database::config(config, NAME)?,
    );
    let scratch =
        Scratch::make(&settings::scratch(config), "speakr-query-svc-").map_err(Failure::part)?;
    let mut api_config = settings::api(config, scratch.path().to_owned())?;
    api_config.trace = Some(TraceHook(join_trace));
    let decoder = Arc::new(FfmpegDecoder::with_limits(
        Ffmpeg::new(settings::ffmpeg(config)),
        settings::decode_limits(config)?,
    ));
    let address = config.address(&settings::API_ADDR)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServiceError::Listen { address, source })?;
    let archive = Arc::new(S3Archive::open(&store::config(config)?).await);
    service.needs(Arc::new(StoreCheck::new(
        Arc::clone(&archive),
        Needs::WriteOnce,
    )));

    let model = embedder::until_loaded(&stop, config).await?;
    let bus = Bus::connect(&bus_config).await.map_err(Failure::part)?;
    service.needs(Arc::new(BusCheck(bus.clone())));
    let database = database::until_connected(&stop, &database_config).await;
    if let Some((model, database)) = model.zip(database) {
        service.needs(Arc::new(DatabaseCheck(database.clone())));
        service.tasks().spawn(database::follow_settings(
            database.clone(),
            config.clone(),
            NAME,
            stop.clone(),
        ));
        let queries = Arc::new(RememberingEmbedder::new(model, REMEMBERED_QUERIES));
        let library = Library::new(archive.clone(), Arc::new(database.index()), queries)
            .with_copies(Arc::new(StreamCopies::new(bus.clone())))
            .with_condemned(archive.clone());
        let sweep_after = settings::sweep_after(config)?;
        let transcription = BusTranscription::new(
            bus.clone(),
            library.clone(),
            archive.clone(),
            archive.clone(),
            sweep_after,
            decoder,
            service.tasks().clone(),
        );
        service.tasks().spawn(sweeping::run(
            library.clone(),
            archive,
            sweep_after,
            settings::retention_days(config)?,
            stop.clone(),
        ));
        let api = Api::new(
            library,
            Arc::new(transcription),
            Arc::new(database.tokens()),
            api_config,
        );
        match listener.local_addr() {
            Ok(address) => tracing::info!(%address, "the API is served"),
            Err(error) => tracing::warn!(%error, "the API is served somewhere"),
        }
        serving.set();
        // A text may take longer than there is time: who waits for one is told before the end.
        let patience = service
            .shutdown()
            .deadline()
            .mul_f64(PATIENCE_WITH_REQUESTS);
        tokio::spawn({
            let (api, stop) = (api.clone(), stop.clone());
            async move {
                stop.cancelled().await;
                tokio::time::sleep(patience).await;
                api.break_off();
            }
        });
        let end = service.shutdown().token();
        service.tasks().spawn(async move {
            if let Err(error) = speakr_http::serve(&api, listener, end).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the API isn't served any more"
                );
            }
        });
    }
    let ended = bus::end(service, &bus).await;
    drop(scratch);
    ended
}

/// Makes `span` the next part of the trace that a client's headers tell of.
fn join_trace(span: &tracing::Span, headers: &HeaderMap) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(traceparent) = header("traceparent") {
        traces::continue_in(span, traceparent, header("tracestate"));
    }
}

async fn token(command: TokenCommand) -> Result<(), Failure> {
    let config = Config::from_env(&[database::SETTINGS]).map_err(ServiceError::from)?;
    let database = Database::connect(&database::config(&config, NAME)?)
        .await
        .map_err(Failure::part)?;
    tokens::run(&database.tokens(), command).await
}
