//! `speakr export`.

use std::path::PathBuf;

use clap::Args;
use speakr_core::export;

use super::format::{FormatArg, write_whole};
use crate::{
    compose::App,
    failure::{ExitCode, Failure},
};

/// What to export, and how.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The recording; the first digits of its id do
    #[arg(value_name = "ID")]
    id: String,
    /// The format; where absent, that of the file's ending, else txt
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    format: Option<FormatArg>,
    /// Write into this file instead of printing
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes one recording's text.
pub(crate) async fn run(app: &App, args: &ExportArgs) -> Result<(), Failure> {
    let by_ending = || {
        use clap::ValueEnum;
        let ending = args.output.as_ref()?.extension()?.to_str()?;
        FormatArg::from_str(ending, true).ok()
    };
    let format = FormatArg::choose(args.format.or_else(by_ending), None, app.output)?;
    let shelf = app.shelf().await?;
    let id = shelf.resolve(&args.id).await?;
    let transcript = shelf
        .transcript(id)
        .await?
        .ok_or_else(|| super::show::no_text(id))?;
    let text = export::export(&transcript, format)
        .map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
    match &args.output {
        None => app.output.print_raw(&text),
        Some(path) => {
            write_whole(path, &text)?;
            app.output.say(&format!("Wrote {}", path.display()));
            Ok(())
        }
    }
}
