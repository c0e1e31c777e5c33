//! `speakr rm`.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde::Serialize;
use speakr_core::{
    RecordingId,
    ports::archive::{ArchiveError, Deleted},
    usecases::library::Removed,
};
use speakr_local::{LockError, RecordingLock, TranscriptionLock};

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    shelf::Shelf,
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
    if matches!(shelf, Shelf::Here(_)) {
        for id in &ids {
            nobody_is_at(app, *id)?;
        }
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

/// Refuses to delete what a process is at work on: it would go on, and say that all is kept.
fn nobody_is_at(app: &App, id: RecordingId) -> Result<(), Failure> {
    let failure = if RecordingLock::is_recording(app.home(), id)? {
        Failure::new(
            ExitCode::Busy,
            format!("recording {} is being captured", id.short()),
        )
    } else {
        match TranscriptionLock::acquire(app.home(), id) {
            // Its sound is gone, and the index still knows of it: `rm` takes it out.
            Ok(_) | Err(LockError::Archive(ArchiveError::NotFound(_))) => return Ok(()),
            Err(error) => error.into(),
        }
    };
    Err(failure.hint("`speakr cancel` throws away what is being recorded; nothing was deleted"))
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
