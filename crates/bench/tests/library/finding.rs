//! What is filed is found, listed, resolved by its id, and labelled.

use std::{collections::HashSet, sync::atomic::Ordering};

use speakr_core::{
    RecordingId, RecordingState, Tags,
    ports::index::Index,
    search::{SearchMode, SearchRequest},
    usecases::library::LibraryError,
};

use crate::world::{Bench, MODES, ids, transcript};

#[tokio::test]
async fn what_is_filed_is_kept_compacted_listed_and_found_in_every_mode() {
    let bench = Bench::new().await;
    let milk = bench.speak("Buy milk and bread.", &["home"]).await;
    bench.speak("The meeting is on Monday.", &["work"]).await;
    for mode in MODES {
        let response = bench.search("milk", mode).await;
        let first = &response.results[0];
        assert_eq!(first.recording_id, milk, "{mode}");
        assert_eq!(first.text, "Buy milk and bread.");
        assert_eq!(first.tags, Tags::new(["home"]));
        assert_eq!(first.similarity.is_some(), mode != SearchMode::Keyword);
        assert_eq!(first.passages[0].text, "Buy milk and bread.");
        assert_eq!(response.count, response.results.len());
    }
    let folder = bench.archive.home().recording(milk);
    assert!(folder.join("audio.flac").exists() && !folder.join("audio.pcm").exists());
    let shown = bench.library.show(milk).await.unwrap();
    assert_eq!(shown.recording.state, RecordingState::Transcribed);
    assert_eq!(shown.transcript.unwrap().text, "Buy milk and bread.");
    assert_eq!(bench.listing().await.count, 2);
}

#[tokio::test]
async fn a_moment_in_a_long_recording_is_named() {
    let bench = Bench::new().await;
    let sentences: Vec<String> = (0..40)
        .map(|i| format!("Sentence number{i} goes on here."))
        .collect();
    let id = bench.speak(&sentences.join(" "), &[]).await;
    let response = bench.search("number33", SearchMode::Keyword).await;
    assert_eq!(ids(&response), [id]);
    let passage = &response.results[0].passages[0];
    assert!(
        passage.start_ms <= 33_000 && passage.end_ms >= 33_900,
        "{passage:?}"
    );
    assert!(passage.end_ms - passage.start_ms < 10_000, "{passage:?}");
}

#[tokio::test]
async fn a_few_long_recordings_do_not_crowd_the_others_out() {
    let bench = Bench::new().await;
    let long = "The apple and the pear lie here on this table today so nice. ".repeat(300);
    bench.speak(&long, &[]).await;
    let mut expected = HashSet::new();
    for i in 0..9 {
        expected.insert(
            bench
                .speak(&format!("One apple more, note{i}, and other things."), &[])
                .await,
        );
    }
    for mode in MODES {
        let found: HashSet<_> = ids(&bench.search("apple pear table", mode).await)
            .into_iter()
            .collect();
        assert!(expected.is_subset(&found), "{mode}: {}", found.len());
    }
}

#[tokio::test]
async fn listing_tagging_deleting_and_keyword_search_need_no_embedder() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha beta", &["x"]).await;
    bench.embedder.broken.store(true, Ordering::Relaxed);
    let before = bench.embedder.calls.load(Ordering::Relaxed);
    bench.listing().await;
    bench.search("alpha", SearchMode::Keyword).await;
    bench.library.show(id).await.unwrap();
    bench.library.resolve(&id.short()).await.unwrap();
    bench
        .library
        .tag(id, &Tags::new(["y"]), &Tags::default())
        .await
        .unwrap();
    bench.library.reconcile().await.unwrap();
    bench.library.unfinished().await.unwrap();
    bench.library.delete(id).await.unwrap();
    assert_eq!(bench.embedder.calls.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_broken_embedder_loses_no_text_and_the_passages_come_later() {
    let bench = Bench::new().await;
    bench.embedder.broken.store(true, Ordering::Relaxed);
    let recording = bench.record(&[]).await;
    let id = recording.recording_id;
    let error = bench
        .library
        .file(&transcript(&recording, "alpha beta"))
        .await
        .unwrap_err();
    assert!(matches!(error, LibraryError::Embedding(_)), "{error:?}");
    let listing = bench.listing().await;
    assert_eq!(listing.recordings[0].text, "alpha beta");
    assert_eq!(listing.recordings[0].state, RecordingState::Transcribed);
    assert_eq!(ids(&bench.search("beta", SearchMode::Keyword).await), [id]);

    let bench = bench.reopened().await;
    bench.embedder.broken.store(false, Ordering::Relaxed);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 1);
    assert_eq!(ids(&bench.search("beta", SearchMode::Hybrid).await), [id]);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 0);
}

#[tokio::test]
async fn silence_is_filed_without_the_embedder_and_never_waits_for_it() {
    let bench = Bench::new().await;
    let before = bench.embedder.calls.load(Ordering::Relaxed);
    bench.speak("", &[]).await;
    assert_eq!(bench.embedder.calls.load(Ordering::Relaxed), before);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 0);
    assert_eq!(bench.listing().await.count, 1);
}

#[tokio::test]
async fn an_empty_query_is_told() {
    let bench = Bench::new().await;
    for query in ["", " \n\t"] {
        let error = bench
            .library
            .search(&SearchRequest::new(query))
            .await
            .unwrap_err();
        assert!(matches!(error, LibraryError::EmptyQuery));
    }
    assert_eq!(bench.search("🎉 ?!", SearchMode::Keyword).await.count, 0);
}

#[tokio::test]
async fn ids_are_resolved_by_their_beginning_like_gits() {
    let bench = Bench::new().await;
    let mut known = Vec::new();
    for i in 0..17 {
        known.push(bench.speak(&format!("note {i}"), &[]).await);
    }
    for id in &known {
        assert_eq!(bench.library.resolve(&id.to_string()).await.unwrap(), *id);
        assert_eq!(
            bench
                .library
                .resolve(&id.short().to_uppercase())
                .await
                .unwrap(),
            *id
        );
    }
    // Seventeen ids, sixteen first digits: two begin alike.
    let digit = |id: &RecordingId| id.to_string()[..1].to_owned();
    let twice = known
        .iter()
        .find(|id| {
            known
                .iter()
                .filter(|other| digit(other) == digit(id))
                .count()
                > 1
        })
        .unwrap();
    let error = bench.library.resolve(&digit(twice)).await.unwrap_err();
    assert!(
        matches!(&error, LibraryError::Ambiguous { candidates, .. } if candidates.contains(twice)),
        "{error:?}"
    );
    for (prefix, none) in [
        ("xyz", false),
        ("", false),
        ("-", false),
        ("0123456789abcdef", true),
    ] {
        let error = bench.library.resolve(prefix).await.unwrap_err();
        assert_eq!(
            matches!(error, LibraryError::NoMatch(_)),
            none,
            "{prefix}: {error:?}"
        );
        assert_eq!(
            matches!(error, LibraryError::NoId(_)),
            !none,
            "{prefix}: {error:?}"
        );
    }
    // One that only the archive knows is found too.
    bench.index.remove(known[3]).await.unwrap();
    assert_eq!(
        bench.library.resolve(&known[3].to_string()).await.unwrap(),
        known[3]
    );
}

#[tokio::test]
async fn a_tag_reaches_text_description_and_index() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha", &["old", "kept"]).await;
    let changed = bench
        .library
        .tag(id, &Tags::new(["new"]), &Tags::new(["old", "never"]))
        .await
        .unwrap();
    let expected = Tags::new(["kept", "new"]);
    assert_eq!(changed.tags, expected);
    let shown = bench.library.show(id).await.unwrap();
    assert_eq!(shown.recording.tags, expected);
    assert_eq!(shown.transcript.unwrap().tags, expected);
    for mode in MODES {
        let mut request = SearchRequest {
            mode,
            ..SearchRequest::new("alpha")
        };
        request.filter.tags = Tags::new(["new", "kept"]);
        assert_eq!(
            ids(&bench.library.search(&request).await.unwrap()),
            [id],
            "{mode}"
        );
        request.filter.tags = Tags::new(["old"]);
        assert_eq!(
            bench.library.search(&request).await.unwrap().count,
            0,
            "{mode}"
        );
    }
}
