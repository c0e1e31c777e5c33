//! `speakr-transcriber dead-letters`: what nobody could work on.

use std::io::Write;

use clap::Subcommand;
use speakr_nats::dead_letters;
use speakr_platform::Failure;

use crate::operator;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum LettersCommand {
    /// List them, oldest first, one JSON object a line; what they say isn't shown
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Send one again to where it came from, with a new count of attempts
    Replay {
        /// Its sequence, as `list` shows it
        sequence: u64,
    },
    /// Remove one for good
    Discard {
        /// Its sequence, as `list` shows it
        sequence: u64,
    },
}

/// Does it, as the bus's user that the environment names.
pub(crate) async fn run(command: LettersCommand) -> Result<(), Failure> {
    let bus = operator::connect().await?;
    match command {
        LettersCommand::List { limit } => {
            let letters = dead_letters::list(&bus, limit)
                .await
                .map_err(Failure::part)?;
            let mut out = std::io::stdout().lock();
            for letter in letters {
                let line = serde_json::to_string(&letter).map_err(Failure::part)?;
                writeln!(out, "{line}").map_err(Failure::part)?;
            }
            Ok(())
        }
        LettersCommand::Replay { sequence } => {
            found(sequence, dead_letters::replay(&bus, sequence).await)
        }
        LettersCommand::Discard { sequence } => {
            found(sequence, dead_letters::discard(&bus, sequence).await)
        }
    }
}

fn found(sequence: u64, done: Result<bool, speakr_nats::BusError>) -> Result<(), Failure> {
    if done.map_err(Failure::part)? {
        return Ok(());
    }
    Err(Failure::part(format!(
        "there is no dead letter {sequence}; `dead-letters list` shows which there are"
    )))
}
