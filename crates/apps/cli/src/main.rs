//! Speak, and have text: on your clipboard, saved, and findable by meaning.

mod args;
mod commands;
mod compose;
mod config;
mod control;
mod embedder;
mod failure;
mod output;
mod platform;
mod shelf;
mod signals;
mod speech;
mod telemetry;
mod terminal;
mod transcription;
mod weights;

use std::process;

use clap::{CommandFactory, FromArgMatches};
use speakr_models::Trust;

use crate::{
    args::{Cli, Command},
    compose::App,
    config::Settings,
    control::Request,
    failure::{ExitCode, Failure},
    output::Output,
    telemetry::Telemetry,
};

fn main() -> process::ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    match run(cli, output) {
        Ok(()) => process::ExitCode::SUCCESS,
        Err(failure) => {
            output.fail(&failure);
            process::ExitCode::from(failure.code() as u8)
        }
    }
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let Cli {
        global,
        record,
        command,
    } = cli;
    if command.is_some() && record != commands::record::RecordArgs::default() {
        return Err(Failure::new(
            ExitCode::Usage,
            "options of a recording stand after `record`, or alone",
        )
        .hint("for example: speakr record --tags a,b"));
    }
    // What needs neither settings nor a data folder comes first: it must work everywhere.
    match &command {
        Some(Command::Completions(args)) => return commands::completions::run(output, args),
        Some(Command::Man(args)) => return commands::man::run(output, args),
        _ => {}
    }
    if let Some(Command::Config(args)) = &command {
        return commands::config::run(output, &global, args);
    }
    let settings = Settings::load(&global)?;
    let trust = if global.allow_unverified {
        Trust::AllowUnverified
    } else {
        Trust::Verified
    };
    let command = command.unwrap_or(Command::Record(record));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(ExitCode::Failed, format!("can't start: {e}")))?;
    let done = runtime.block_on(async {
        let telemetry = Telemetry::start(&settings, command.asks_a_platform())?;
        let app = App::new(settings, output, trust, telemetry.trace());
        let done = dispatch(&app, command).await;
        telemetry.end(&done).await;
        done
    });
    // What still runs (a read of standard input, a decode that was cancelled) must not hold the
    // process back: all that has to be kept is kept.
    runtime.shutdown_background();
    done
}

async fn dispatch(app: &App, command: Command) -> Result<(), Failure> {
    match command {
        Command::Record(args) => commands::record::run(app, &args).await,
        Command::Stop => commands::control::run(app, Request::Stop).await,
        Command::Cancel => commands::control::run(app, Request::Cancel).await,
        Command::Pause => commands::control::run(app, Request::Pause).await,
        Command::Transcribe(args) => commands::transcribe::run(app, &args).await,
        Command::Search(args) => commands::search::run(app, &args).await,
        Command::List(args) => commands::list::run(app, &args).await,
        Command::Show(args) => commands::show::run(app, &args).await,
        Command::Export(args) => commands::export::run(app, &args).await,
        Command::Tag(args) => commands::tag::run(app, &args).await,
        Command::Rm(args) => commands::rm::run(app, &args).await,
        Command::Retry(args) => commands::retry::run(app, &args).await,
        Command::Reindex => commands::reindex::run(app).await,
        Command::Play(args) => commands::play::run(app, &args).await,
        Command::Serve(args) => commands::serve::run(app, &args).await,
        Command::Devices => commands::devices::run(app).await,
        Command::Doctor => commands::doctor::run(app).await,
        Command::Models(args) => commands::models::run(app, &args).await,
        Command::Token(args) => commands::token::run(app, &args),
        // Served before there was an app.
        Command::Config(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
    }
}
