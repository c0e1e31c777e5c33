//! `speakr retry`: the text of recordings that were interrupted or failed.

mod original;
mod work;

use clap::Args;
use speakr_core::{RecordingId, ports::speech::DecodeOptions, search::Listing};
use speakr_local::LockError;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    original::note as note_original,
    work::{Retry, Turn},
};
use crate::{
    compose::App,
    failure::{ExitCode, Failure},
};

/// Which recordings.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// These; all that have no text where absent. One that has a text gets a new one
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// The speech model, instead of the one that was asked for
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Makes the missing texts; one that fails doesn't keep the rest from being done.
pub(crate) async fn run(app: &App, args: &RetryArgs) -> Result<(), Failure> {
    if args.model.is_some() {
        // A typo is told before it can spoil anything.
        app.check_model(&DecodeOptions {
            model: args.model.clone(),
            ..DecodeOptions::default()
        })?;
    }
    let library = app.library().await?;
    let named = !args.ids.is_empty();
    let mut ids = Vec::new();
    if named {
        for id in &args.ids {
            ids.push(library.resolve(id).await?);
        }
    } else {
        let unfinished = library.unfinished().await?;
        ids.extend(unfinished.iter().map(|entry| entry.recording.recording_id));
    }
    let cancel = CancellationToken::new();
    let on_signal = cancel.clone();
    tokio::spawn(async move {
        if crate::signals::asked_to_end().await.is_ok() {
            on_signal.cancel();
        }
    });
    let mut retry = Retry::new(app, args.model.clone(), cancel);
    let mut done = Vec::new();
    let mut failures = Vec::new();
    let mut busy = 0_usize;
    for id in ids {
        match one(&mut retry, id, named).await {
            Ok(Some(entry)) => {
                if !app.output.is_json() {
                    app.output
                        .print(&super::list::line(&entry.clone().into(), None))?;
                }
                done.push(entry);
            }
            Ok(None) => {}
            Err(failure) if failure.code() == ExitCode::Cancelled => return Err(failure),
            Err(failure) if failure.code() == ExitCode::Busy && !named => {
                busy += 1;
                app.output.say(&failure.to_string());
            }
            Err(failure) => {
                app.output.warn_of(&id.short(), &failure);
                failures.push(failure.code());
            }
        }
    }
    if !named && let Err(failure) = retry.tidy_up().await {
        app.output.warn_of("tidying up", &failure);
    }
    if app.output.is_json() {
        app.output.print_json(&Listing::from(done))?;
    } else if done.is_empty() && failures.is_empty() && busy == 0 {
        app.output.say("Every recording has its text.");
    }
    match failures.as_slice() {
        [] => Ok(()),
        codes => {
            let all_busy = codes.iter().all(|code| *code == ExitCode::Busy);
            let code = if all_busy {
                ExitCode::Busy
            } else {
                ExitCode::Failed
            };
            Err(Failure::new(
                code,
                format!("{} of the recordings got no new text", codes.len()),
            ))
        }
    }
}

/// The text of `id`; nothing where it has one that isn't to be made anew.
async fn one(
    retry: &mut Retry<'_>,
    id: RecordingId,
    anew: bool,
) -> Result<Option<speakr_core::ports::index::Entry>, Failure> {
    match retry.take(id, anew).await? {
        Turn::Mine(held) => retry.make(held).await.map(Some),
        Turn::Busy(LockError::Recording { .. }) => Err(Failure::new(
            ExitCode::Busy,
            format!("recording {} is being captured", id.short()),
        )
        .hint("`speakr stop` ends it and makes its text")),
        Turn::Busy(error) => Err(error.into()),
        Turn::Kept(held) => retry.complete(held).await.map(|()| None),
        Turn::Gone => Ok(None),
    }
}
