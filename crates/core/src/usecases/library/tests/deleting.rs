//! What goes: because somebody wants it, or because it has grown too old.

use std::time::Duration;

use uuid::Uuid;

use super::{
    super::*,
    world::{MODES, World, now, transcript},
};
use crate::usecases::library::Refreshed;

#[tokio::test]
async fn deletion_takes_all_there_is_and_nothing_brings_it_back() {
    let world = World::new();
    let recording = world.record(&[]).await;
    let id = recording.recording_id;
    world.say(&recording, "alpha secret").await.unwrap();
    world.speak("alpha public", &[]).await;
    world.copies.of.lock().unwrap().insert(id, 3);

    let removed = world.library.delete(id).await.unwrap();
    assert!(removed.deleted.sound && removed.deleted.text);
    assert_eq!((removed.passages, removed.copies), (1, 3));
    assert!(world.condemned.0.lock().unwrap().is_empty());

    let late = transcript(&recording, "alpha secret");
    let error = world.library.file(&late).await.unwrap_err();
    let deleted = |error: &LibraryError| matches!(error, LibraryError::Archive(ArchiveError::Deleted(gone)) if *gone == id);
    assert!(deleted(&error), "{error:?}");
    assert!(world.archive.begin(&recording).await.is_err());
    assert_eq!(world.library.refresh(id).await.unwrap(), Refreshed::Gone);
    world.library.refresh_description(id).await.unwrap();
    world.library.reconcile().await.unwrap();
    world.library.reindex(&|_| ()).await.unwrap();
    let error = world.library.show(id).await.unwrap_err();
    assert!(deleted(&error), "{error:?}");
    for mode in MODES {
        let found = world.found("alpha secret", mode).await;
        assert_eq!(found, ["alpha public"], "{mode}");
    }
}

#[tokio::test]
async fn what_never_was_is_not_deleted() {
    let world = World::new();
    let id = RecordingId::from(Uuid::from_u128(1));
    let error = world.library.delete(id).await.unwrap_err();
    let unknown = matches!(error, LibraryError::Archive(ArchiveError::NotFound(_)));
    assert!(unknown, "{error:?}");
}

#[tokio::test]
async fn a_deletion_that_broke_off_is_finished_later() {
    let world = World::new();
    let id = world.speak("alpha", &[]).await;
    world.copies.of.lock().unwrap().insert(id, 1);
    world.copies.stuck.lock().unwrap().insert(id);
    let error = world.library.delete(id).await.unwrap_err();
    assert!(matches!(error, LibraryError::Copies(_)), "{error:?}");
    assert_eq!(world.listed(&[]).await, []);

    let finish = async || world.library.finish_deletions(Duration::ZERO).await;
    finish().await.unwrap_err();
    world.copies.stuck.lock().unwrap().clear();
    assert_eq!(finish().await.unwrap(), 1);
    assert!(world.copies.of.lock().unwrap().is_empty());
    assert_eq!(finish().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_to_be_deleted_is_not_made_findable() {
    let world = World::new();
    let id = world.speak("alpha", &[]).await;
    world.condemned.0.lock().unwrap().insert(id);
    assert_eq!(world.library.refresh(id).await.unwrap(), Refreshed::Gone);
    world.library.refresh_description(id).await.unwrap();
    assert_eq!(world.listed(&[]).await, []);
}

#[tokio::test]
async fn only_what_is_old_enough_and_finished_expires() {
    let world = World::new();
    let aged = async |days, state| world.aged(days, state, &[]).await.recording_id;
    let old = aged(31, RecordingState::Captured).await;
    let older = aged(4_000, RecordingState::Failed).await;
    let mut stay = vec![
        aged(29, RecordingState::Captured).await,
        aged(31, RecordingState::Capturing).await,
        // From a clock that was wrong.
        aged(-400, RecordingState::Captured).await,
    ];
    let expired = world.library.expire(30, now()).await.unwrap();
    assert_eq!(expired, [old, older]);
    stay.sort();
    assert_eq!(world.archive.ids().await.unwrap(), stay);
    assert_eq!(world.index.ids().await.unwrap(), stay);
    let none = world.library.expire(u32::MAX, now()).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn what_can_not_be_deleted_keeps_nothing_else_from_expiring() {
    let world = World::new();
    // More than are listed at once.
    for _ in 0..120 {
        world.aged(40, RecordingState::Captured, &[]).await;
    }
    let stuck = world.listed(&[]).await[7];
    world.copies.stuck.lock().unwrap().insert(stuck);
    let error = world.library.expire(30, now()).await.unwrap_err();
    assert!(matches!(error, LibraryError::Copies(_)), "{error:?}");
    assert_eq!(world.archive.ids().await.unwrap(), []);
    assert_eq!(world.listed(&[]).await, []);
    let condemned = world.condemned.condemned(Duration::ZERO).await;
    assert_eq!(condemned.unwrap(), [stuck]);
}
