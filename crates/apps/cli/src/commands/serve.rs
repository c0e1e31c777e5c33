//! `speakr serve`: the library and transcription over HTTP.

mod upkeep;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use serde::Serialize;
use speakr_core::ports::access::{Scope, TokenStore};
use speakr_http::{Api, ApiConfig, Hosts, new_token};
use speakr_local::FileTokenStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    transcription::LocalTranscription,
};

/// How long requests may go on once the server is asked to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where and to whom to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Make a new token and print it; those before it work no longer
    #[arg(long)]
    new_token: bool,
    /// Let web pages of this origin ask, such as `https://notes.example`; can come again
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    allow_origin: Vec<String>,
    /// The largest file to transcribe, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 2_048, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_upload_mb: u64,
}

fn parse_origin(text: &str) -> Result<String, String> {
    let wrong = || format!("\"{text}\" is no origin; write it like https://notes.example");
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(wrong)?;
    if rest.is_empty() || rest.contains(['/', '?', '#', ' ', '*']) {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

#[derive(Serialize)]
struct ServeJson<'a> {
    url: &'a str,
    /// Null where the token was shown before.
    token: Option<&'a str>,
}

/// Serves until it is asked to end.
pub(crate) async fn run(app: &App, args: &ServeArgs) -> Result<(), Failure> {
    let library = app.library().await?.clone();
    app.check_model(&app.decode_options(&crate::args::DecodeArgs::default())?)?;
    let scratch = scratch(app)?;
    let tokens = Arc::new(FileTokenStore::new(app.home().tokens()));
    let listener = TcpListener::bind(args.listen).await.map_err(|e| {
        let failure = Failure::new(
            ExitCode::Failed,
            format!("can't listen on {}: {e}", args.listen),
        );
        failure.hint("`--listen 127.0.0.1:0` takes a free port")
    })?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::new(ExitCode::Failed, format!("can't listen: {e}")))?;
    let token = token(tokens.as_ref(), args.new_token).await?;

    let loopback = address.ip().is_loopback();
    let config = ApiConfig {
        hosts: if loopback {
            Hosts::loopback()
        } else {
            Hosts::Any
        },
        allowed_origins: args.allow_origin.clone(),
        max_upload_bytes: args.max_upload_mb * 1_000_000,
        scratch: scratch.path().to_owned(),
        ..ApiConfig::default()
    };
    let transcription = Arc::new(LocalTranscription::new(app.clone()));
    let api = Api::new(library.clone(), transcription, tokens, config);
    tell(app, address, token.as_deref())?;

    let stop = CancellationToken::new();
    let _upkeep_ends_too = stop.clone().drop_guard();
    tokio::spawn(upkeep::run(
        app.clone(),
        library,
        upkeep::EVERY,
        stop.clone(),
    ));
    let serving = speakr_http::serve(&api, listener, stop.clone());
    let ending = async {
        let asked = crate::signals::asked_to_end().await;
        stop.cancel();
        if asked.is_ok() {
            app.output.say("Ending…");
        }
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        done = serving => done.map_err(|e| Failure::new(ExitCode::Failed, format!("can't go on serving: {e}"))),
        () = ending => {
            app.output.warn("requests that were still under way are broken off");
            Ok(())
        }
    }
}

/// A folder for uploads, which goes when the server ends. One that a killed server left goes when
/// it is a day old.
fn scratch(app: &App) -> Result<tempfile::TempDir, Failure> {
    const PREFIX: &str = "serve-";
    let run = app.home().run();
    let failed = |e: std::io::Error| {
        Failure::new(
            ExitCode::Failed,
            format!("can't use {}: {e}", run.display()),
        )
    };
    for entry in std::fs::read_dir(&run).map_err(failed)?.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let old = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 86_400));
        if ours && old {
            std::fs::remove_dir_all(entry.path()).map_err(failed)?;
        }
    }
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&run)
        .map_err(failed)
}

/// A new token where there is none yet, or a new one is wanted.
async fn token(tokens: &dyn TokenStore, renew: bool) -> Result<Option<String>, Failure> {
    let failed = |e: &dyn std::error::Error| Failure::from_error(ExitCode::Failed, e);
    let known = tokens.list().await.map_err(|e| failed(&e))?;
    if !renew && !known.is_empty() {
        return Ok(None);
    }
    let new = new_token(tokens, "serve", Scope::ALL.into(), None)
        .await
        .map_err(|e| failed(&e))?;
    for grant in known {
        tokens
            .revoke(grant.token_id)
            .await
            .map_err(|e| failed(&e))?;
    }
    Ok(Some(new.token))
}

fn tell(app: &App, address: SocketAddr, token: Option<&str>) -> Result<(), Failure> {
    let url = format!("http://{address}");
    if app.output.is_json() {
        app.output.print_json(&ServeJson { url: &url, token })?;
    } else {
        app.output.print(&format!("url: {url}"))?;
        match token {
            Some(token) => app.output.print(&format!("token: {token}"))?,
            None => app
                .output
                .say("The token is the one that was shown before; --new-token makes another."),
        }
        if token.is_some() {
            app.output.say("The token is shown this once: keep it.");
        }
    }
    if !address.ip().is_loopback() {
        app.output.warn(
            "others on the network reach this, and what goes over it isn't encrypted: put a proxy \
             with TLS in front of it",
        );
    }
    app.output.say(&format!(
        "Serving; {url}/docs describes it. Ctrl-C ends it."
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host_alone() {
        for good in ["https://notes.example", "http://localhost:3000"] {
            assert!(parse_origin(good).is_ok(), "{good}");
        }
        for wrong in [
            "*",
            "notes.example",
            "https://",
            "https://a/b",
            "ftp://a",
            "https://*.a",
        ] {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
