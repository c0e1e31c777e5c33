//! What a server does beside its answers. Other commands do it when they open the library, which a
//! server may have done months ago.

use std::time::Duration;

use speakr_core::usecases::library::Library;
use tokio_util::sync::CancellationToken;

use crate::{compose::App, failure::chain};

/// Pause between two rounds.
pub(super) const EVERY: Duration = Duration::from_secs(60 * 60);

/// Looks after `library` now, and again after each `pause`, until `stop`.
pub(super) async fn run(app: App, library: Library, pause: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = look_after(&app, &library) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Mends the index, deletes what is too old, and makes findable by its meaning what waits for that.
async fn look_after(app: &App, library: &Library) {
    if let Err(error) = library.reconcile().await {
        tracing::warn!(
            error = chain(&error),
            "the index isn't brought into agreement with the recordings"
        );
    }
    app.expire(library).await;
    speakr_sqlite::prune_backups(&app.home().backups());
    match library.embed_pending(usize::MAX, &|_| ()).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "texts are found by their meaning now"),
        Err(error) => tracing::warn!(
            error = chain(&error),
            "texts aren't found by their meaning yet"
        ),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use speakr_core::{
        CorrelationId, Recording, RecordingId, RecordingState, Tags, ports::speech::DecodeOptions,
    };
    use speakr_models::Trust;

    use super::*;
    use crate::{args::GlobalArgs, config::Settings, output::Output, telemetry::Trace};

    /// A program that keeps recordings for thirty days.
    fn app(folder: &tempfile::TempDir) -> App {
        let config = folder.path().join("config.toml");
        std::fs::write(&config, "retention_days = 30\n").unwrap();
        let settings = Settings::load(&GlobalArgs {
            config: Some(config),
            home: Some(folder.path().join("home")),
            local: true,
            ..GlobalArgs::default()
        });
        App::new(
            settings.unwrap(),
            Output::new(false, true),
            Trust::Verified,
            Trace::default(),
        )
    }

    async fn recorded(library: &Library, days_ago: i64) -> RecordingId {
        let recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now() - SignedDuration::from_hours(24 * days_ago),
            Tags::default(),
            DecodeOptions::default(),
        );
        let id = recording.recording_id;
        drop(library.archive().begin(&recording).await.unwrap());
        let captured = |recording: &mut Recording| recording.state = RecordingState::Captured;
        library.amend(id, Box::new(captured)).await.unwrap();
        id
    }

    async fn until_deleted(library: &Library, id: RecordingId) {
        let deleted = async {
            while !library.archive().is_deleted(id).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), deleted)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_grows_too_old_while_it_serves_is_deleted_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let library = app.library().await.unwrap().clone();
        let stop = CancellationToken::new();
        let pause = Duration::from_millis(10);
        let upkeep = tokio::spawn(run(app.clone(), library.clone(), pause, stop.clone()));
        let young = recorded(&library, 29).await;
        for _ in 0..2 {
            let old = recorded(&library, 31).await;
            until_deleted(&library, old).await;
        }
        assert!(!library.archive().is_deleted(young).await.unwrap());
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(60), upkeep)
            .await
            .unwrap()
            .unwrap();
    }
}
