//! `speakr reindex`.

use serde::Serialize;
use speakr_core::{
    ports::index::IndexError,
    usecases::library::{LibraryError, Progress},
};

use crate::{
    compose::App,
    failure::{ExitCode, Failure, chain},
    terminal::screen,
};

#[derive(Serialize)]
struct ReindexJson {
    recordings: usize,
    passages: usize,
    removed: usize,
    failed: usize,
}

/// Makes the index anew from the folder of recordings.
pub(crate) async fn run(app: &App) -> Result<(), Failure> {
    let output = app.output;
    let bar = screen::bar(output, "{bar:24} {pos}/{len} recordings, {eta} left");
    if bar.is_hidden() {
        output.say("Reading the recordings…");
    }
    let progress = |progress: Progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    };
    let mut report = app.library().await?.reindex(&progress).await;
    if let Err(LibraryError::Index(error @ IndexError::Damaged { .. })) = &report {
        output.warn(&format!("{}; it is set aside", chain(error)));
        app.set_index_aside()?;
        report = app.afresh().library().await?.reindex(&progress).await;
    }
    bar.finish_and_clear();
    let report = report?;
    for (id, error) in &report.failed {
        output.warn(&format!(
            "recording {} can't be read: {}",
            id.short(),
            chain(error)
        ));
    }
    if output.is_json() {
        output.print_json(&ReindexJson {
            recordings: report.recordings,
            passages: report.passages,
            removed: report.removed,
            failed: report.failed.len(),
        })?;
    } else {
        output.say(&format!(
            "{} recordings with {} passages are in the index.",
            report.recordings, report.passages
        ));
    }
    if report.failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::Failed,
        format!("{} recordings can't be read", report.failed.len()),
    ))
}
