//! `speakr completions`.

use clap::{Args, CommandFactory};

use crate::{args::Cli, failure::Failure, output::Output};

/// Which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the shell's completion script.
pub(crate) fn run(output: Output, args: &CompletionsArgs) -> Result<(), Failure> {
    output.refuse_json("a script of the shell")?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "speakr", &mut script);
    output.print_raw(&String::from_utf8_lossy(&script))
}
