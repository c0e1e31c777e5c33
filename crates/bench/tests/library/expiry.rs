//! What has grown too old goes, however much it is.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    ports::{
        archive::{Archive, ArchiveError},
        condemned::Condemned,
        speech::DecodeOptions,
    },
};

use crate::world::Bench;

/// A list that doesn't take some.
struct Refusing(Vec<RecordingId>);

#[async_trait]
impl Condemned for Refusing {
    async fn condemn(&self, id: RecordingId) -> Result<(), ArchiveError> {
        if !self.0.contains(&id) {
            return Ok(());
        }
        Err(ArchiveError::Io {
            action: "write",
            place: format!("condemned/{id}"),
            cause: "it stays".into(),
        })
    }

    async fn is_condemned(&self, _: RecordingId) -> Result<bool, ArchiveError> {
        Ok(false)
    }

    async fn condemned(&self, _: Duration) -> Result<Vec<RecordingId>, ArchiveError> {
        Ok(Vec::new())
    }

    async fn release(&self, _: RecordingId) -> Result<(), ArchiveError> {
        Ok(())
    }
}

/// Recordings of the same moment, `days` before `now`.
async fn aged(bench: &Bench, now: Timestamp, days: i64, count: usize) -> Vec<RecordingId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let mut recording = Recording::begin(
            CorrelationId::random(),
            now - SignedDuration::from_hours(24 * days),
            Tags::default(),
            DecodeOptions::default(),
        );
        drop(bench.archive.begin(&recording).await.unwrap());
        recording.state = RecordingState::Captured;
        bench.amended(&recording).await;
        ids.push(recording.recording_id);
    }
    ids
}

#[tokio::test]
async fn more_than_is_listed_at_once_expires_and_what_can_not_be_deleted_keeps_nothing_else() {
    let bench = Bench::new().await;
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    let stays = aged(&bench, now, 31, 1).await;
    aged(&bench, now, 40, 120).await;
    let library = bench
        .library
        .clone()
        .with_condemned(Arc::new(Refusing(stays.clone())));
    let error = library.expire(30, now).await.unwrap_err();
    assert!(error.to_string().contains("condemned/"), "{error}");
    assert_eq!(bench.archive.ids().await.unwrap(), stays);
    assert_eq!(bench.library.expire(30, now).await.unwrap(), stays);
}

#[tokio::test]
async fn a_store_that_is_away_is_not_asked_about_all_that_is_too_old() {
    let bench = Bench::new().await;
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    let old = aged(&bench, now, 40, 1).await;
    let stays = aged(&bench, now, 31, 12).await;
    let library = bench
        .library
        .clone()
        .with_condemned(Arc::new(Refusing(stays.clone())));
    library.expire(30, now).await.unwrap_err();
    let left = bench.archive.ids().await.unwrap();
    assert!(old.iter().chain(&stays).all(|id| left.contains(id)));
}
