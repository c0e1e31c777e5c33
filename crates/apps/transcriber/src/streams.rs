//! `speakr-transcriber streams`: backups of what is under way on the bus.

use std::{io::Write, path::PathBuf};

use clap::Subcommand;
use speakr_nats::backup::{self, BackedUp};
use speakr_platform::Failure;

use crate::operator;

/// What to do with the streams.
#[derive(Debug, Subcommand)]
pub(crate) enum StreamsCommand {
    /// Write all streams and buckets into a folder, in the files of `nats stream backup`
    Backup {
        /// The folder; what is in it of an earlier backup is replaced
        folder: PathBuf,
    },
    /// Make the streams and buckets of a backup again; those that hold messages aren't touched
    Restore {
        /// The folder of the backup
        folder: PathBuf,
    },
}

/// Does it; prints a JSON object a stream.
pub(crate) async fn run(command: StreamsCommand) -> Result<(), Failure> {
    let bus = operator::connect().await?;
    let done = match command {
        StreamsCommand::Backup { folder } => backup::write(&bus, &folder).await,
        StreamsCommand::Restore { folder } => backup::restore(&bus, &folder).await,
    };
    print(&done.map_err(Failure::part)?)
}

fn print(streams: &[BackedUp]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for stream in streams {
        let line = serde_json::to_string(stream).map_err(Failure::part)?;
        writeln!(out, "{line}").map_err(Failure::part)?;
    }
    Ok(())
}
