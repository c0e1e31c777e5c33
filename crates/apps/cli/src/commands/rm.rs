//! `speakr rm`.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde::Serialize;
use speakr_core::{RecordingId, ports::archive::Deleted, usecases::library::Removed};

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
};

/// Which recordings to delete.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The recordings; the first digits of an id do
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Don't ask
    #[arg(long, short = 'y', visible_alias = "force")]
    yes: bool,
}

#[derive(Serialize)]
struct RmJson {
    deleted: Vec<DeletedJson>,
    count: usize,
}

#[derive(Serialize)]
struct DeletedJson {
    recording_id: RecordingId,
    /// What of it there was, where that is told: a platform doesn't.
    #[serde(flatten)]
    deleted: Option<Deleted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passages: Option<u64>,
}

/// Deletes sound, text and vectors for good.
pub(crate) async fn run(app: &App, args: &RmArgs) -> Result<(), Failure> {
    let shelf = app.shelf().await?;
    // All are found before the first is deleted: a typo deletes nothing.
    let mut ids = Vec::new();
    for id in &args.ids {
        let id = shelf.resolve(id).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if !args.yes && io::stdin().is_terminal() && !confirmed(app, &ids)? {
        return Err(Failure::new(ExitCode::Cancelled, "nothing was deleted"));
    }
    let mut done = Vec::new();
    for id in ids {
        let Some(Removed {
            deleted, passages, ..
        }) = shelf.delete(id).await?
        else {
            app.output
                .say(&format!("Deleted {}: sound, text and vectors", id.short()));
            done.push(DeletedJson {
                recording_id: id,
                deleted: None,
                passages: None,
            });
            continue;
        };
        let parts: Vec<_> = [
            deleted.sound.then(|| "its sound".to_owned()),
            deleted.text.then(|| "its text".to_owned()),
            (passages > 0).then(|| format!("{passages} passages with their vectors")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let what = if parts.is_empty() {
            "nothing was left of it".to_owned()
        } else {
            parts.join(", ")
        };
        app.output.say(&format!(
            "Deleted {}: {what} ({} KB)",
            id.short(),
            deleted.bytes.div_ceil(1_000)
        ));
        done.push(DeletedJson {
            recording_id: id,
            deleted: Some(deleted),
            passages: Some(passages),
        });
    }
    if app.output.is_json() {
        app.output.print_json(&RmJson {
            count: done.len(),
            deleted: done,
        })?;
    }
    Ok(())
}

fn confirmed(app: &App, ids: &[RecordingId]) -> Result<bool, Failure> {
    let what = match ids {
        [one] => format!("recording {}", one.short()),
        many => format!("{} recordings", many.len()),
    };
    app.output
        .ask(&format!("Delete {what} for good, sound and text? [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Failure::new(ExitCode::Failed, format!("no answer can be read: {e}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
