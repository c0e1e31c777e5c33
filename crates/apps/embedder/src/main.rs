//! `speakr-embedder`: makes what was said findable.

mod measures;
mod rebuild;
mod settings;
mod worker;

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use speakr_core::usecases::library::Library;
use speakr_nats::{Bus, Queue, QueueConfig, streams};
use speakr_platform::{
    Failure,
    bus::{self, BusCheck, QueueCheck},
    database::{self, DatabaseCheck},
    embedder, openai,
    store::{self, Needs, StoreCheck},
};
use speakr_s3::S3Archive;
use speakr_service::{Service, config::Config, health::Ready, say};

use crate::worker::Worker;

/// What logs and connections call this service, and …
const NAME: &str = "speakr-embedder";
/// … its user in the shipped config of the bus.
const BUS_USER: &str = "embedder";

/// Makes what was said findable: consumes transcripts from the bus, cuts them into passages,
/// embeds these and stores them in the index. Settings come from the environment alone.
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the schema of the index, or bring it up to date, and end
    Migrate,
    /// Make the index anew from the store of record, and end; broken off, it goes on where it was
    Rebuild {
        /// Begin with the first recording, whatever an earlier run has done
        #[arg(long)]
        from_start: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    speakr_platform::exit_code(match arguments.command {
        None => serve().await,
        Some(Command::Migrate) => migrate().await,
        Some(Command::Rebuild { from_start }) => rebuild::run(from_start).await,
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
    let working = Ready::new("events", "the parts aren't all there yet");
    service.needs(Arc::new(working.clone()));
    let config = service.config();
    let stop = service.shutdown().token();
    let max_attempts = config.number(&settings::MAX_ATTEMPTS)?;
    let queue = QueueConfig {
        stream: streams::EVENTS,
        durable: streams::EMBEDDER_DURABLE,
        filter: "speakr.event.>".to_owned(),
        ack_wait: config.duration(&settings::ACK_WAIT)?,
        max_attempts,
        max_ack_pending: 1_000,
    };
    let at_once = usize::try_from(config.number(&settings::AT_ONCE)?).unwrap_or(usize::MAX);
    let (bus_config, database_config) = (
        bus::config(config, NAME, BUS_USER)?,
        database::config(config, NAME)?,
    );
    let archive = Arc::new(S3Archive::open(&store::config(config)?).await);
    service.needs(Arc::new(StoreCheck::new(Arc::clone(&archive), Needs::Read)));

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
        let id = model.model_id().to_owned();
        let library = Library::new(archive.clone(), Arc::new(database.index()), model)
            .with_condemned(archive);
        let open = || Queue::open(&bus, queue.clone());
        if let Some(queue) = bus::until_open(&stop, open).await {
            service.needs(Arc::new(QueueCheck(vec![queue.clone()])));
            working.set();
            let queue = Arc::new(queue);
            let tasks = service.tasks().clone();
            tasks.spawn(measures::measure(Arc::clone(&queue), stop.clone()));
            let worker = Worker::new(bus.clone(), library, id, max_attempts, stop);
            service
                .tasks()
                .spawn(async move { worker.run(queue, at_once, &tasks).await });
        }
    }
    bus::end(service, &bus).await
}

async fn migrate() -> Result<(), Failure> {
    let config =
        Config::from_env(&[database::SETTINGS]).map_err(speakr_service::ServiceError::from)?;
    let migrated = speakr_postgres::migrate(&database::config(&config, NAME)?)
        .await
        .map_err(Failure::part)?;
    say(&match (migrated.from, migrated.to) {
        (from, to) if from == to => format!("The schema is up to date: number {to}."),
        (from, to) => format!("The schema is number {to} now; it was {from}."),
    });
    Ok(())
}
