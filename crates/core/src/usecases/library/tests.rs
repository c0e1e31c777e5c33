//! The library with substitutes for all its ports: what is filed is found, listed and labelled.

mod archive;
mod deleting;
mod index;
mod meanwhile;
mod upkeep;
mod world;

use self::world::{MODES, World};
use super::*;
use crate::search::{SearchMode, SearchRequest};

#[tokio::test]
async fn what_is_filed_is_found_by_meaning_and_by_words() {
    let world = World::new();
    let id = world.speak("Buy milk and bread.", &["home"]).await;
    world.speak("The meeting is on Monday.", &["work"]).await;
    for mode in MODES {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new("milk")
        };
        let response = world.library.search(&request).await.unwrap();
        let first = &response.results[0];
        assert_eq!(first.recording_id, id, "{mode}");
        assert_eq!(first.text, "Buy milk and bread.");
        assert_eq!(first.tags, Tags::new(["home"]));
        assert_eq!(first.passages[0].text, "Buy milk and bread.");
        assert_eq!(first.similarity.is_some(), mode != SearchMode::Keyword);
        assert_eq!(response.count, response.results.len());
    }
    assert!(world.archive.is_compacted(id));
    let shown = world.library.show(id).await.unwrap();
    assert_eq!(shown.recording.state, RecordingState::Transcribed);
    assert_eq!(shown.transcript.unwrap().text, "Buy milk and bread.");
    assert_eq!(world.listed(&[]).await.len(), 2);
}

#[tokio::test]
async fn a_moment_in_a_long_recording_is_named() {
    let world = World::new();
    let sentences: Vec<String> = (0..40)
        .map(|i| format!("Sentence number{i} goes on here."))
        .collect();
    world.speak(&sentences.join(" "), &[]).await;
    let request = SearchRequest {
        mode: SearchMode::Keyword,
        ..SearchRequest::new("number33")
    };
    let response = world.library.search(&request).await.unwrap();
    let passage = &response.results[0].passages[0];
    let moment = passage.start_ms..=passage.end_ms;
    assert!(moment.contains(&33_000) && moment.contains(&33_900));
    assert!(passage.end_ms - passage.start_ms < 10_000, "{passage:?}");
}

#[tokio::test]
async fn a_few_long_recordings_do_not_crowd_the_others_out() {
    let world = World::new();
    let long = "The apple and the pear lie here on this table today so nice. ".repeat(300);
    world.speak(&long, &[]).await;
    for i in 0..9 {
        let short = format!("One apple more, note{i}, and other things.");
        world.speak(&short, &[]).await;
    }
    for mode in MODES {
        let found = world.found("apple pear table", mode).await;
        assert_eq!(found.len(), 10, "{mode}");
    }
}

#[tokio::test]
async fn a_search_within_tags_finds_what_bears_all_of_them() {
    let world = World::new();
    world.speak("alpha of both", &["work", "idea"]).await;
    world.speak("alpha of work", &["work"]).await;
    world.speak("alpha of none", &[]).await;
    for mode in MODES {
        let mut request = SearchRequest {
            mode,
            ..SearchRequest::new("alpha")
        };
        for (tags, count) in [(vec!["work"], 2), (vec!["work", "idea"], 1), (vec!["x"], 0)] {
            request.filter.tags = Tags::new(&tags);
            let response = world.library.search(&request).await.unwrap();
            assert_eq!(response.count, count, "{mode} in {tags:?}");
        }
    }
}

#[tokio::test]
async fn changed_tags_reach_description_text_and_index() {
    let world = World::new();
    let id = world.speak("alpha", &["old", "kept"]).await;
    let (add, remove) = (Tags::new(["new"]), Tags::new(["old", "never"]));
    let changed = world.library.tag(id, &add, &remove).await.unwrap();
    let expected = Tags::new(["kept", "new"]);
    assert_eq!(changed.tags, expected);
    let shown = world.library.show(id).await.unwrap();
    assert_eq!(shown.recording.tags, expected);
    assert_eq!(shown.transcript.unwrap().tags, expected);
    assert_eq!(world.listed(&["kept", "new"]).await, [id]);
    assert_eq!(world.listed(&["old"]).await, []);
    for mode in MODES {
        assert_eq!(world.found("alpha", mode).await, ["alpha"], "{mode}");
    }
}

#[tokio::test]
async fn without_the_embedder_words_are_found_and_meaning_is_refused() {
    let world = World::new();
    let id = world.speak("alpha beta", &[]).await;
    world.embedder_is_down(true);
    for mode in [SearchMode::Hybrid, SearchMode::Semantic] {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new("alpha")
        };
        let error = world.library.search(&request).await.unwrap_err();
        assert!(matches!(error, LibraryError::Embedding(_)), "{error:?}");
    }
    let found = world.found("alpha", SearchMode::Keyword).await;
    assert_eq!(found, ["alpha beta"]);
    // Nor does anything else need it.
    let tags = Tags::new(["label"]);
    world
        .library
        .tag(id, &tags, &Tags::default())
        .await
        .unwrap();
    assert_eq!(world.listed(&["label"]).await, [id]);
    world.library.reconcile().await.unwrap();
    world.library.delete(id).await.unwrap();
}

#[tokio::test]
async fn what_is_filed_without_the_embedder_is_found_by_its_meaning_later() {
    let world = World::new();
    world.embedder_is_down(true);
    let recording = world.record(&[]).await;
    let error = world.say(&recording, "alpha beta").await.unwrap_err();
    assert!(matches!(error, LibraryError::Embedding(_)), "{error:?}");
    let found = world.found("beta", SearchMode::Keyword).await;
    assert_eq!(found, ["alpha beta"]);

    world.embedder_is_down(false);
    assert!(world.found("beta", SearchMode::Semantic).await.is_empty());
    let pending = async || world.library.embed_pending(10, &|_| ()).await.unwrap();
    assert_eq!(pending().await, 1);
    let found = world.found("beta", SearchMode::Semantic).await;
    assert_eq!(found, ["alpha beta"]);
    assert_eq!(pending().await, 0);
}

#[tokio::test]
async fn a_text_keeps_its_vectors_when_the_embedder_fails_while_it_is_indexed_again() {
    let world = World::new();
    let id = world.speak("alpha beta", &[]).await;
    // The description may have changed since: that much is told.
    let label = |recording: &mut Recording| recording.tags = Tags::new(["label"]);
    world.archive.amend(id, Box::new(label)).await.unwrap();
    world.embedder_is_down(true);
    let error = world.library.refresh(id).await.unwrap_err();
    assert!(matches!(error, LibraryError::Embedding(_)), "{error:?}");
    assert_eq!(world.listed(&["label"]).await, [id]);
    assert_eq!(world.waiting().await, []);

    world.embedder_is_down(false);
    for mode in MODES {
        assert_eq!(world.found("alpha", mode).await, ["alpha beta"], "{mode}");
    }
}

#[tokio::test]
async fn a_changed_text_is_found_by_its_new_words_when_the_embedder_fails() {
    let world = World::new();
    let recording = world.record(&[]).await;
    world.say(&recording, "alpha old").await.unwrap();
    world.embedder_is_down(true);
    world.say(&recording, "beta new").await.unwrap_err();
    let found = async |query| world.found(query, SearchMode::Keyword).await;
    assert_eq!(found("beta").await, ["beta new"]);
    assert!(found("alpha").await.is_empty());
    // The old vectors say nothing of it.
    assert_eq!(world.waiting().await, [recording.recording_id]);
}

#[tokio::test]
async fn silence_needs_no_embedder_and_waits_for_none() {
    let world = World::new();
    world.embedder_is_down(true);
    let id = world.speak(" ", &[]).await;
    assert_eq!(world.listed(&[]).await, [id]);
    assert_eq!(world.waiting().await, []);
}

#[tokio::test]
async fn an_empty_query_is_told() {
    let world = World::new();
    for query in ["", " \n\t"] {
        let request = SearchRequest::new(query);
        let error = world.library.search(&request).await.unwrap_err();
        assert!(matches!(error, LibraryError::EmptyQuery), "{error:?}");
    }
}

#[tokio::test]
async fn a_recording_is_named_by_the_beginning_of_its_id() {
    let world = World::new();
    let mut ids = Vec::new();
    // Seventeen ids, sixteen first digits: two begin alike.
    for i in 0..17 {
        ids.push(world.speak(&format!("note {i}"), &[]).await);
    }
    let resolve = async |prefix: &str| world.library.resolve(prefix).await;
    for id in &ids {
        assert_eq!(resolve(&id.to_string().to_uppercase()).await.unwrap(), *id);
    }
    ids.sort();
    let digit = |id: &RecordingId| id.to_string()[..1].to_owned();
    let twice = ids.windows(2).find(|two| digit(&two[0]) == digit(&two[1]));
    let error = resolve(&digit(&twice.unwrap()[0])).await.unwrap_err();
    assert!(matches!(error, LibraryError::Ambiguous { .. }), "{error:?}");
    for no_id in ["", "-", "xyz"] {
        let error = resolve(no_id).await.unwrap_err();
        assert!(matches!(error, LibraryError::NoId(_)), "{error:?}");
    }
    // One that only the archive knows is named too.
    let id = ids[0];
    world.index.remove(id).await.unwrap();
    assert_eq!(resolve(&id.to_string()).await.unwrap(), id);
}
