//! `speakr token`: the token of the query API, in the system's keychain.

use std::io::{IsTerminal, Read};

use clap::{Args, Subcommand};
use serde::Serialize;
use speakr_keychain as keychain;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    platform,
};

/// What to do with the token.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Keep a token for the server that api_url names; it is read from standard input
    Set,
    /// Forget the token of that server
    Rm,
}

#[derive(Serialize)]
struct Done<'a> {
    api_url: &'a str,
    kept: bool,
}

/// Runs `speakr token`.
pub(crate) fn run(app: &App, args: &TokenArgs) -> Result<(), Failure> {
    let url = platform::api_url(&app.settings)?.ok_or_else(|| {
        Failure::new(
            ExitCode::Usage,
            "no api_url is set, so there is no server to keep a token for",
        )
        .hint("set SPEAKR_API_URL, or api_url in the configuration file")
    })?;
    let kept = match args.action {
        Action::Set => {
            keychain::keep(&url, &read(app)?)?;
            app.output.say("The token is in the keychain.");
            true
        }
        Action::Rm => {
            if !keychain::forget(&url)? {
                return Err(Failure::new(
                    ExitCode::NotFound,
                    format!("the keychain has no token for {url}"),
                ));
            }
            app.output.say("The token is gone from the keychain.");
            false
        }
    };
    if app.output.is_json() {
        app.output.print_json(&Done {
            api_url: url.as_str(),
            kept,
        })?;
    }
    Ok(())
}

/// The first line of standard input.
fn read(app: &App) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        app.output
            .say("Paste the token and press Enter, then Ctrl-D:");
    }
    let mut text = String::new();
    // A token is some dozens of letters: what is longer is something else.
    std::io::stdin()
        .take(10_000)
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(ExitCode::Usage, format!("the token can't be read: {e}")))?;
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [token] => Ok((*token).to_owned()),
        [] => Err(Failure::new(
            ExitCode::Usage,
            "there is no token on standard input",
        )),
        _ => Err(Failure::new(
            ExitCode::Usage,
            "what is on standard input is more than one word, and no token",
        )),
    }
}
