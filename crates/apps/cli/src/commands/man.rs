//! `speakr man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::{
    args::Cli,
    failure::{ExitCode, Failure},
    output::Output,
};

/// Where to put the pages.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write speakr.1 and a page a command into this folder
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
}

/// Prints the manual page, or writes all pages into a folder.
pub(crate) fn run(output: Output, args: &ManArgs) -> Result<(), Failure> {
    output.refuse_json("a manual page")?;
    let failed = |e: std::io::Error| Failure::new(ExitCode::Failed, format!("no manual page: {e}"));
    let Some(folder) = &args.output_dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(failed)?;
        return output.print_raw(&String::from_utf8_lossy(&page));
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|e| {
            Failure::new(
                ExitCode::Failed,
                format!("can't write to {}: {e}", folder.display()),
            )
        })?;
    output.say(&format!("Wrote the manual pages into {}", folder.display()));
    Ok(())
}
