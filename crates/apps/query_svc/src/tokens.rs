//! `speakr-query-svc token`: who may ask what.

use std::io::Write;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use speakr_core::ports::access::{Scope, TokenStore};
use speakr_http::new_token;
use uuid::Uuid;

use speakr_platform::Failure;
use speakr_service::say;

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this once
    Create {
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it allows: read, write, transcribe
        #[arg(long, value_delimiter = ',', required = true, value_parser = parse_scope)]
        scopes: Vec<Scope>,
        /// When it runs out, in days from now; never, where absent
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in_days: Option<u32>,
    },
    /// List all tokens, without the tokens themselves
    List,
    /// Forget a token: within seconds it allows nothing
    Revoke {
        /// Its id, as `token list` shows it
        id: Uuid,
    },
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    text.trim()
        .parse()
        .map_err(|e: speakr_core::ports::access::UnknownScope| e.to_string())
}

/// Does it.
pub(crate) async fn run(store: &dyn TokenStore, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create {
            name,
            scopes,
            expires_in_days,
        } => {
            let expires_at = expires_in_days
                .map(|days| {
                    Timestamp::now().checked_add(SignedDuration::from_hours(i64::from(days) * 24))
                })
                .transpose()
                .map_err(Failure::part)?;
            let new = new_token(store, &name, scopes.into_iter().collect(), expires_at)
                .await
                .map_err(Failure::part)?;
            print(&format!("{}\n", new.token))?;
            say(&format!(
                "Token {} ({name}). It is shown this once: keep it.",
                new.grant.token_id
            ));
            Ok(())
        }
        TokenCommand::List => {
            for grant in store.list().await.map_err(Failure::part)? {
                let line = serde_json::to_string(&grant).map_err(Failure::part)?;
                print(&format!("{line}\n"))?;
            }
            Ok(())
        }
        TokenCommand::Revoke { id } => {
            if store.revoke(id).await.map_err(Failure::part)? {
                Ok(())
            } else {
                Err(Failure::part(format!("there is no token {id}")))
            }
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::part)
}
