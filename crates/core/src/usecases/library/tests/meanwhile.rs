//! What others do while something takes long.

use super::{
    super::*,
    world::{MODES, World, transcript},
};

/// Somebody else deletes it.
async fn delete(world: World, id: RecordingId) {
    world.library.delete(id).await.unwrap();
}

/// Somebody else takes its label and gives it another.
async fn relabel(world: World, id: RecordingId) {
    let (add, remove) = (Tags::new(["meanwhile"]), Tags::new(["first"]));
    world.library.tag(id, &add, &remove).await.unwrap();
}

async fn is_relabelled(world: &World, id: RecordingId) {
    assert_eq!(world.listed(&["meanwhile"]).await, [id]);
    assert_eq!(world.listed(&["first"]).await, []);
}

/// A world in which something is kept and indexed while its archive is listed next.
async fn growing() -> World {
    let world = World::new();
    world.speak("alpha first", &[]).await;
    let other = world.clone();
    world.archive.while_listing.set(async move {
        other.speak("beta meanwhile", &[]).await;
    });
    world
}

async fn finds_what_came(world: &World) {
    for mode in MODES {
        let found = world.found("beta", mode).await;
        assert_eq!(found[0], "beta meanwhile", "{mode}");
    }
}

#[tokio::test]
async fn what_is_kept_while_the_archive_is_listed_stays_in_a_reconciled_index() {
    let world = growing().await;
    let mended = world.library.reconcile().await.unwrap();
    assert_eq!(mended.removed, []);
    finds_what_came(&world).await;
}

#[tokio::test]
async fn what_is_kept_while_the_archive_is_listed_stays_in_an_index_that_is_made_again() {
    let world = growing().await;
    let report = world.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(report.removed, 0);
    finds_what_came(&world).await;

    let world = growing().await;
    let report = world.library.resume_reindex(&|_| ()).await.unwrap();
    assert_eq!((report.unchanged, report.removed), (1, 0));
    finds_what_came(&world).await;
}

#[tokio::test]
async fn what_is_deleted_while_its_text_is_embedded_is_not_found_after_all() {
    for is_down in [false, true] {
        let world = World::new();
        let id = world.speak("alpha", &[]).await;
        world.embedder.meanwhile.set(delete(world.clone(), id));
        world.embedder_is_down(is_down);
        assert_eq!(world.library.refresh(id).await.is_err(), is_down);
        assert_eq!(world.listed(&[]).await, [], "down: {is_down}");
    }
}

#[tokio::test]
async fn labels_that_change_while_a_text_is_embedded_hold() {
    for is_down in [false, true] {
        for is_known in [false, true] {
            let world = World::new();
            let id = world.speak("alpha", &["first"]).await;
            if !is_known {
                world.index.remove(id).await.unwrap();
            }
            world.embedder.meanwhile.set(relabel(world.clone(), id));
            world.embedder_is_down(is_down);
            assert_eq!(world.library.refresh(id).await.is_err(), is_down);
            is_relabelled(&world, id).await;
        }
    }
}

#[tokio::test]
async fn what_changes_while_it_is_brought_in_by_reconciling_holds() {
    let world = World::new();
    let id = world.speak("alpha", &["first"]).await;
    world.index.remove(id).await.unwrap();
    world.archive.while_reading.set(relabel(world.clone(), id));
    assert_eq!(world.library.reconcile().await.unwrap().added, [id]);
    is_relabelled(&world, id).await;

    world.index.remove(id).await.unwrap();
    world.archive.while_reading.set(delete(world.clone(), id));
    world.library.reconcile().await.unwrap();
    assert_eq!(world.listed(&[]).await, []);
}

#[tokio::test]
async fn what_changes_while_reconciling_catches_up_with_it_holds() {
    for deletes in [false, true] {
        let world = World::new();
        let recording = world.record(&["first"]).await;
        let id = recording.recording_id;
        let text = transcript(&recording, "alpha");
        world.library.keep(&text).await.unwrap();
        if deletes {
            world.archive.while_reading.set(delete(world.clone(), id));
            world.library.reconcile().await.unwrap();
            assert_eq!(world.listed(&[]).await, []);
        } else {
            world.archive.while_reading.set(relabel(world.clone(), id));
            world.library.reconcile().await.unwrap();
            is_relabelled(&world, id).await;
        }
    }
}
