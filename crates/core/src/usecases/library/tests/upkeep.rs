//! What keeps archive and index in agreement.

use std::sync::Mutex;

use super::{
    super::*,
    world::{MODES, World, transcript},
};
use crate::search::{SearchMode, SearchRequest};

#[tokio::test]
async fn reconciling_brings_in_what_the_archive_has_and_takes_out_what_it_has_not() {
    let world = World::new();
    let gone = world.speak("alpha gone", &[]).await;
    world.archive.delete(gone).await.unwrap();
    let kept = world.speak("alpha kept", &[]).await;
    world.index.remove(kept).await.unwrap();

    let mended = world.library.reconcile().await.unwrap();
    assert_eq!((mended.added, mended.removed), (vec![kept], vec![gone]));
    let found = world.found("alpha", SearchMode::Keyword).await;
    assert_eq!(found, ["alpha kept"]);
    let embedded = world.library.embed_pending(10, &|_| ()).await.unwrap();
    assert_eq!(embedded, 1);
    let found = world.found("alpha", SearchMode::Semantic).await;
    assert_eq!(found, ["alpha kept"]);
    let again = world.library.reconcile().await.unwrap();
    assert_eq!(again, Reconciled::default());
}

#[tokio::test]
async fn what_has_the_same_mark_is_not_compared_again() {
    let world = World::new();
    let id = world.speak("alpha", &[]).await;
    let mark = |mark: &str| *world.archive.mark.lock().unwrap() = Some(mark.to_owned());
    mark("first");
    world.library.reconcile().await.unwrap();
    world.index.remove(id).await.unwrap();
    assert_eq!(world.library.reconcile().await.unwrap().added, []);
    mark("second");
    assert_eq!(world.library.reconcile().await.unwrap().added, [id]);
}

#[tokio::test]
async fn a_text_that_was_kept_and_not_indexed_is_caught_up_with() {
    let world = World::new();
    let recording = world.record(&[]).await;
    let id = recording.recording_id;
    world.say(&recording, "alpha old").await.unwrap();
    let text = transcript(&recording, "beta new");
    world.library.replace(&text).await.unwrap();
    let waiting = world.record(&[]).await;

    let mended = world.library.reconcile().await.unwrap();
    assert_eq!(mended.caught_up, [id]);
    let found = async |query| world.found(query, SearchMode::Keyword).await;
    assert_eq!(found("beta").await, ["beta new"]);
    assert!(found("alpha").await.is_empty());
    let unfinished = world.library.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].recording, waiting);
}

#[tokio::test]
async fn an_index_that_is_made_again_gives_the_same_listing_and_results() {
    let world = World::new();
    for text in ["alpha beta", "beta. gamma. delta", "gamma alpha", ""] {
        world.speak(text, &["label"]).await;
    }
    world.record(&[]).await;
    let answers = async || {
        let mut answers = Vec::new();
        for mode in MODES {
            for query in ["alpha", "beta gamma", "nothing like it"] {
                let request = SearchRequest {
                    mode,
                    ..SearchRequest::new(query)
                };
                answers.push(world.library.search(&request).await.unwrap());
            }
        }
        let all = world.library.list(&Filter::default(), usize::MAX).await;
        (all.unwrap(), answers)
    };
    let before = answers().await;
    for id in world.index.ids().await.unwrap() {
        world.index.remove(id).await.unwrap();
    }
    let seen = Mutex::new(Vec::new());
    let progress = |p: Progress| seen.lock().unwrap().push((p.done, p.total));
    let report = world.library.reindex(&progress).await.unwrap();
    assert_eq!((report.recordings, report.passages), (5, 3));
    assert_eq!(answers().await, before);
    let expected: Vec<_> = (0..=5).map(|done| (done, 5)).collect();
    assert_eq!(seen.into_inner().unwrap(), expected);
}

#[tokio::test]
async fn another_model_finds_nothing_until_it_has_embedded_and_the_old_one_nothing_then() {
    let old = World::new();
    old.speak("alpha beta", &[]).await;
    let new = old.with_model("words-2");
    let refused = async |world: &World| {
        let error = world.library.search(&SearchRequest::new("alpha")).await;
        let error = error.unwrap_err();
        let other = matches!(&error, LibraryError::OtherModel { mine, theirs }
            if mine == world.embedder.model_id() && theirs.len() == 1);
        assert!(other, "{error:?}");
    };
    refused(&new).await;
    let report = new.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(report.recordings, 1);
    for mode in MODES {
        assert_eq!(new.found("alpha", mode).await, ["alpha beta"], "{mode}");
    }
    refused(&old).await;
}

#[tokio::test]
async fn making_an_index_again_goes_on_where_it_was_broken_off() {
    let world = World::new();
    world.speak("alpha done", &[]).await;
    let changed = world.speak("alpha changed", &[]).await;
    let label = |recording: &mut Recording| recording.tags = Tags::new(["label"]);
    world.archive.amend(changed, Box::new(label)).await.unwrap();
    let missing = world.speak("alpha missing", &[]).await;
    world.index.remove(missing).await.unwrap();
    let gone = world.speak("alpha gone", &[]).await;
    world.archive.delete(gone).await.unwrap();

    let report = world.library.resume_reindex(&|_| ()).await.unwrap();
    let counts = (report.recordings, report.unchanged, report.removed);
    assert_eq!(counts, (3, 1, 1));
    assert_eq!(world.listed(&["label"]).await, [changed]);
    let found = world.found("alpha", SearchMode::Semantic).await;
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn a_damaged_text_leaves_the_rest_findable_and_waits_for_another() {
    let world = World::new();
    let damaged = world.speak("alpha damaged", &[]).await;
    world.speak("alpha whole", &[]).await;
    world.archive.damage_text(damaged);
    let report = world.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(report.recordings, 2);
    let found = world.found("alpha", SearchMode::Hybrid).await;
    assert_eq!(found, ["alpha whole"]);
    let unfinished = world.library.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 1);
    let recording = &unfinished[0].recording;
    assert_eq!(recording.recording_id, damaged);
    assert_eq!(recording.state, RecordingState::Failed);
    assert!(recording.error.as_deref().unwrap().contains("damaged"));
}

#[tokio::test]
async fn a_text_that_the_embedder_can_not_read_keeps_no_other_from_being_found() {
    let world = World::new();
    let unread = world.speak("alpha unreadable", &[]).await;
    world.speak("alpha plain", &[]).await;
    let world = world.with_model("words-2");
    *world.embedder.unreadable.lock().unwrap() = Some("unreadable");
    let embedded = world.library.embed_pending(10, &|_| ()).await.unwrap();
    assert_eq!(embedded, 1);
    let report = world.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(report.recordings, 2);
    assert_eq!(report.failed[0].0, unread);
    let found = world.found("alpha", SearchMode::Semantic).await;
    assert_eq!(found, ["alpha plain"]);
    let found = world.found("unreadable", SearchMode::Keyword).await;
    assert_eq!(found, ["alpha unreadable"]);
    // One that reads nothing at all is another thing.
    world.embedder_is_down(true);
    world.library.reindex(&|_| ()).await.unwrap_err();
}
