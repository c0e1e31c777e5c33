//! `speakr-bench`: measures speakr.

mod commands;

use clap::{Parser, Subcommand};

/// Measures speakr, side by side with a peer.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Word error rate over a folder of speech, as files and live.
    Accuracy(commands::accuracy::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Accuracy(args) => commands::accuracy::run(&args),
    };
    match result {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => {
            commands::print_error(error.as_ref());
            std::process::ExitCode::from(2)
        }
    }
}
