//! `speakr-embedder rebuild`: the index, made anew from the store of record.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use speakr_core::usecases::{
    library::{Library, Progress},
    recordings::chain,
};
use speakr_platform::{Failure, database, embedder, openai, store};
use speakr_postgres::Database;
use speakr_s3::S3Archive;
use speakr_service::{ServiceError, config::Config, say};

use crate::NAME;

/// Rebuilds. What an earlier run has done is left alone, unless it is to begin `from_start`.
pub(crate) async fn run(from_start: bool) -> Result<(), Failure> {
    let config = Config::from_env(&[
        store::SETTINGS,
        database::SETTINGS,
        openai::SETTINGS,
        embedder::SETTINGS,
    ])
    .map_err(ServiceError::from)?;
    let archive = S3Archive::open(&store::config(&config)?).await;
    archive.check().await.map_err(Failure::part)?;
    let database = Database::connect(&database::config(&config, NAME)?)
        .await
        .map_err(Failure::part)?;
    let model = embedder::load(&config).await?;
    let unfinished = archive.finish_deletions().await.map_err(Failure::part)?;
    if unfinished > 0 {
        say(&format!(
            "{unfinished} deletions that had been broken off are finished."
        ));
    }
    let archive = Arc::new(archive);
    let library =
        Library::new(archive.clone(), Arc::new(database.index()), model).with_condemned(archive);
    let told = AtomicUsize::new(0);
    let progress = |at: Progress| {
        let percent = at.done * 100 / at.total.max(1);
        if at.total > 0 && told.swap(percent, Ordering::Relaxed) != percent {
            say(&format!(
                "{} of {} recordings ({percent} %)",
                at.done, at.total
            ));
        }
    };
    let rebuilding = async {
        if from_start {
            library.reindex(&progress).await
        } else {
            library.resume_reindex(&progress).await
        }
    };
    let report = tokio::select! {
        report = rebuilding => report.map_err(Failure::part)?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::part("broken off; the same command goes on from here"));
        }
    };
    say(&format!(
        "{} recordings are in the index, {} of them as they were; {} passages are new; {} recordings \
         left it.",
        report.recordings, report.unchanged, report.passages, report.removed
    ));
    for (id, error) in &report.failed {
        say(&format!("{id}: {}", chain(error)));
    }
    if report.failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::part(format!(
            "{} recordings can't be read",
            report.failed.len()
        )))
    }
}
