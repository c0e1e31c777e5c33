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
    /// From the stop of a recording to its text, as a speaker waits for it.
    Latency(commands::latency::Args),
    /// Hours of speech in one file: memory must not grow with length.
    Length(commands::length::Args),
    /// A program that has just been called, against the decode alone.
    FirstText(commands::first_text::Args),
    /// Processor time and memory, side by side with a peer.
    Speed(commands::speed::Args),
    /// Searches and listings of a large library by processes that have just started.
    Index(commands::index_speed::Args),
    /// Paraphrase queries among distractors, in every mode.
    Recall(commands::recall::Args),
    /// On a real platform: from a command to its event.
    Bus(commands::bus::Args),
    /// On a real platform: a full queue, worked on by one transcriber and by two.
    Throughput(commands::throughput::Args),
    /// On a real platform: the query API over a large index of real text.
    Query(commands::query::Args),
}

fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Accuracy(args) => commands::accuracy::run(&args),
        Command::Latency(args) => commands::latency::run(&args),
        Command::Length(args) => commands::length::run(&args),
        Command::FirstText(args) => commands::first_text::run(&args),
        Command::Speed(args) => commands::speed::run(&args),
        Command::Index(args) => commands::index_speed::run(&args),
        Command::Recall(args) => commands::recall::run(&args),
        Command::Bus(args) => commands::bus::run(&args),
        Command::Throughput(args) => commands::throughput::run(&args),
        Command::Query(args) => commands::query::run(&args),
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
