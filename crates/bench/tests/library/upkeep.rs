//! What keeps archive and index in agreement, and both small.

use std::{
    collections::HashSet,
    fs::{self, File},
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags,
    ports::{
        archive::{Archive, ArchiveError},
        index::Index,
        speech::DecodeOptions,
    },
    search::{SearchMode, SearchRequest},
    usecases::library::LibraryError,
};

use crate::world::{Bench, MODES, WordEmbedder, ids, transcript};

#[tokio::test]
async fn deletion_takes_sound_text_and_vectors_and_nothing_brings_them_back() {
    let bench = Bench::new().await;
    let gone = bench.speak("alpha secret", &[]).await;
    let kept = bench.speak("alpha public", &[]).await;
    let removed = bench.library.delete(gone).await.unwrap();
    assert!(removed.deleted.sound && removed.deleted.text && removed.deleted.bytes > 0);
    assert_eq!(removed.passages, 1);
    let only_kept = async |bench: &Bench| {
        assert_eq!(bench.listing().await.count, 1);
        for mode in MODES {
            assert_eq!(
                ids(&bench.search("alpha secret", mode).await),
                [kept],
                "{mode}"
            );
        }
    };
    only_kept(&bench).await;
    bench.library.reconcile().await.unwrap();
    bench.library.reindex(&|_| ()).await.unwrap();
    only_kept(&bench).await;
    let error = bench
        .library
        .delete(RecordingId::from(uuid::Uuid::from_u128(1)))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        LibraryError::Archive(ArchiveError::NotFound(_))
    ));
}

#[tokio::test]
async fn archive_and_index_are_compared_when_something_came_or_went_and_not_before() {
    let bench = Bench::new().await;
    let first = bench.speak("alpha", &[]).await;
    let home = bench.archive.home().clone();
    let settle = |hours_ago: u64| {
        for folder in [home.recordings(), home.tombstones()] {
            let then = SystemTime::now() - Duration::from_secs(hours_ago * 3_600);
            File::open(folder).unwrap().set_modified(then).unwrap();
        }
    };
    // What came a moment ago may be followed by more within the same time stamp.
    assert_eq!(bench.archive.ids_mark().await.unwrap(), None);
    settle(2);
    bench.library.reconcile().await.unwrap();

    // Nobody takes a row away but us: so that is how a comparison is seen.
    bench.index.remove(first).await.unwrap();
    let mended = bench.library.reconcile().await.unwrap();
    assert_eq!(mended.added, []);

    let second = bench.record(&[]).await.recording_id;
    bench.index.remove(second).await.unwrap();
    let mut added = bench.library.reconcile().await.unwrap().added;
    added.sort();
    let mut both = vec![first, second];
    both.sort();
    assert_eq!(added, both);

    // One that can't be read is tried again each time.
    settle(1);
    bench.index.remove(second).await.unwrap();
    let description = home.recording(second).join("recording.json");
    let kept = fs::read(&description).unwrap();
    fs::remove_file(&description).unwrap();
    fs::rename(
        home.recording(second).join("audio.pcm"),
        home.recording(second).join("sound"),
    )
    .unwrap();
    assert_eq!(bench.library.reconcile().await.unwrap().added, []);
    fs::write(&description, kept).unwrap();
    assert_eq!(bench.library.reconcile().await.unwrap().added, [second]);
}

#[tokio::test]
async fn a_rebuilt_index_gives_the_same_listings_and_results() {
    let bench = Bench::new().await;
    let words = [
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta",
    ];
    for i in 0..30_usize {
        let text: Vec<_> = (0..40)
            .map(|j| words[(i * 7 + j * j) % (3 + i % 6)])
            .collect();
        let text = text
            .chunks(8)
            .map(|c| c.join(" ") + ". ")
            .collect::<String>();
        bench.speak(text.trim(), &[words[i % 4]]).await;
    }
    bench.speak("", &[]).await;
    bench.record(&["waiting"]).await;
    let mut queries: Vec<SearchRequest> = Vec::new();
    for mode in MODES {
        for query in ["beta", "gamma delta", "theta alpha zeta", "nothing like it"] {
            let mut request = SearchRequest {
                mode,
                ..SearchRequest::new(query)
            };
            queries.push(request.clone());
            request.filter.tags = Tags::new(["beta"]);
            request.limit = 3;
            queries.push(request);
        }
    }
    let answers = async |bench: &Bench| {
        let mut answers = Vec::new();
        for request in &queries {
            answers.push(bench.library.search(request).await.unwrap());
        }
        answers
    };
    let (listing, before) = (bench.listing().await, answers(&bench).await);
    assert!(before.iter().filter(|a| a.count > 1).count() > 12);

    // Over the index that is there, and into a new one.
    let report = bench.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(
        (report.recordings, report.failed.len(), report.removed),
        (32, 0, 0)
    );
    assert_eq!(bench.listing().await, listing);
    assert_eq!(answers(&bench).await, before);
    let home = bench.archive.home().clone();
    bench.index.close().await;
    speakr_sqlite::set_aside(&home.index(), &home.backups()).unwrap();
    let bench = bench.reopened().await;
    assert_eq!(bench.listing().await.count, 0);
    let seen = std::sync::Mutex::new(Vec::new());
    bench
        .library
        .reindex(&|p| seen.lock().unwrap().push((p.done, p.total)))
        .await
        .unwrap();
    assert_eq!(bench.listing().await, listing);
    assert_eq!(answers(&bench).await, before);
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.first(), Some(&(0, 32)));
    assert_eq!(seen.last(), Some(&(32, 32)));
}

#[tokio::test]
async fn what_a_crash_left_between_archive_and_index_is_reconciled() {
    let bench = Bench::new().await;
    // Killed after the deletion in the archive.
    let deleted = bench.speak("alpha deleted", &[]).await;
    bench.archive.delete(deleted).await.unwrap();
    // Killed after the text was kept, before its state and the index.
    let kept = bench.record(&[]).await;
    bench
        .archive
        .put_transcript(&transcript(&kept, "alpha kept"))
        .await
        .unwrap();
    bench.index.remove(kept.recording_id).await.unwrap();
    // Killed right after it began.
    let begun = Recording::begin(
        CorrelationId::random(),
        Timestamp::now(),
        Tags::default(),
        DecodeOptions::default(),
    );
    drop(bench.archive.begin(&begun).await.unwrap());

    let bench = bench.reopened().await;
    let mended = bench.library.reconcile().await.unwrap();
    assert_eq!(mended.removed, [deleted]);
    let added: HashSet<_> = mended.added.into_iter().collect();
    assert_eq!(
        added,
        HashSet::from([kept.recording_id, begun.recording_id])
    );
    let unfinished = bench.library.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].recording, begun);
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Keyword).await),
        [kept.recording_id]
    );
    bench.library.embed_pending(10, &|_| ()).await.unwrap();
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Hybrid).await),
        [kept.recording_id]
    );
    let shown = bench.library.show(kept.recording_id).await.unwrap();
    assert_eq!(shown.recording.state, RecordingState::Transcribed);
    assert_eq!(bench.library.reconcile().await.unwrap(), Default::default());
}

#[tokio::test]
async fn what_a_killed_process_kept_is_listed_and_found_before_any_retry() {
    let bench = Bench::new().await;
    // Killed after the text was kept, before the index heard of it.
    let kept = bench.record(&[]).await;
    let text = transcript(&kept, "alpha kept");
    bench.library.keep(&text).await.unwrap();
    // Killed even before the description said so.
    let bare = bench.record(&[]).await;
    let text = transcript(&bare, "alpha bare");
    bench.archive.put_transcript(&text).await.unwrap();
    // Killed after its text had failed.
    let failed = bench.record(&[]).await;
    let fail = |recording: &mut Recording| {
        recording.state = RecordingState::Failed;
        recording.error = Some("it broke".to_owned());
    };
    let failed = bench
        .archive
        .amend(failed.recording_id, Box::new(fail))
        .await
        .unwrap();
    // Waits, and nothing is amiss.
    let waiting = bench.record(&[]).await;

    let bench = bench.reopened().await;
    let mended = bench.library.reconcile().await.unwrap();
    let caught_up: HashSet<_> = mended.caught_up.into_iter().collect();
    let [kept, bare] = [kept, bare].map(|recording| recording.recording_id);
    assert_eq!(caught_up, HashSet::from([kept, bare, failed.recording_id]));
    assert!(mended.added.is_empty() && mended.removed.is_empty());
    let found: HashSet<_> = ids(&bench.search("alpha", SearchMode::Keyword).await)
        .into_iter()
        .collect();
    assert_eq!(found, HashSet::from([kept, bare]));
    for listed in bench.listing().await.recordings {
        let text = [kept, bare].contains(&listed.recording_id);
        let done = listed.state == RecordingState::Transcribed;
        assert_eq!(text, done, "{listed:?}");
        assert_eq!(listed.duration_ms, Some(500));
    }
    let unfinished = bench.library.unfinished().await.unwrap();
    let left: HashSet<_> = unfinished
        .into_iter()
        .map(|e| e.recording)
        .map(|r| (r.recording_id, r.error))
        .collect();
    assert_eq!(
        left,
        HashSet::from([
            (waiting.recording_id, None),
            (failed.recording_id, failed.error)
        ])
    );
    // Another process may be at it: what the archive says is not for this one to change.
    let described = bench.archive.recording(bare).await.unwrap();
    assert_eq!(described.state, RecordingState::Captured);
    assert_eq!(bench.library.reconcile().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_new_text_that_a_killed_process_kept_takes_the_place_of_the_old_one() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha old", &["label"]).await;
    let recording = bench.archive.recording(id).await.unwrap();
    // Killed after the new text was kept, before the index heard of it.
    let text = transcript(&recording, "beta new");
    bench.library.replace(&text).await.unwrap();

    let bench = bench.reopened().await;
    let mended = bench.library.reconcile().await.unwrap();
    assert_eq!(mended.caught_up, [id]);
    assert_eq!(ids(&bench.search("beta", SearchMode::Keyword).await), [id]);
    assert!(
        bench
            .search("alpha", SearchMode::Keyword)
            .await
            .results
            .is_empty()
    );
    let listed = bench.listing().await.recordings;
    assert_eq!(listed[0].state, RecordingState::Transcribed);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 1);
    assert_eq!(ids(&bench.search("beta", SearchMode::Semantic).await), [id]);
    assert_eq!(bench.library.reconcile().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_text_that_is_not_replaced_after_all_is_found_as_before() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha old", &[]).await;
    // Killed before the new text was kept.
    let mut waiting = bench.archive.recording(id).await.unwrap();
    waiting.state = RecordingState::Captured;
    bench.library.announce(&waiting).await.unwrap();
    let bench = bench.reopened().await;
    let mended = bench.library.reconcile().await.unwrap();
    assert_eq!(mended.caught_up, [id]);
    assert_eq!(ids(&bench.search("alpha", SearchMode::Keyword).await), [id]);
    assert!(bench.library.unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_text_leaves_the_rest_findable_and_waits_for_a_retry() {
    let bench = Bench::new().await;
    let damaged = bench.speak("alpha damaged", &[]).await;
    let whole = bench.speak("alpha whole", &[]).await;
    let file = bench
        .archive
        .home()
        .recording(damaged)
        .join("transcript.json");
    std::fs::write(file, "").unwrap();
    let report = bench.library.reindex(&|_| ()).await.unwrap();
    assert_eq!(report.recordings, 2);
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Hybrid).await),
        [whole]
    );
    let unfinished = bench.library.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].recording.recording_id, damaged);
    assert_eq!(unfinished[0].recording.state, RecordingState::Failed);
    assert!(
        unfinished[0]
            .recording
            .error
            .as_deref()
            .unwrap()
            .contains("transcript.json")
    );
}

#[tokio::test]
async fn only_what_is_old_enough_expires() {
    let bench = Bench::new().await;
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    let aged = async |days: i64, state| {
        let mut recording = Recording::begin(
            CorrelationId::random(),
            now - SignedDuration::from_hours(24 * days),
            Tags::default(),
            DecodeOptions::default(),
        );
        drop(bench.archive.begin(&recording).await.unwrap());
        recording.state = state;
        bench.amended(&recording).await;
        recording.recording_id
    };
    let old = aged(31, RecordingState::Captured).await;
    let older = aged(4_000, RecordingState::Failed).await;
    let young = aged(29, RecordingState::Captured).await;
    let running = aged(31, RecordingState::Capturing).await;
    let from_a_wrong_clock = aged(-400, RecordingState::Captured).await;
    let expired = bench.library.expire(30, now).await.unwrap();
    assert_eq!(expired, [old, older]);
    let left: HashSet<_> = bench.archive.ids().await.unwrap().into_iter().collect();
    assert_eq!(left, HashSet::from([young, running, from_a_wrong_clock]));
    assert!(
        bench
            .library
            .expire(u32::MAX, now)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn another_model_is_told_that_it_finds_nothing_of_the_old_ones_until_it_has_embedded() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha beta", &[]).await;
    bench.index.close().await;
    let bench = Bench::open(bench.folder, WordEmbedder::new("words-2")).await;
    for mode in [SearchMode::Semantic, SearchMode::Hybrid] {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new("alpha")
        };
        let error = bench.library.search(&request).await.unwrap_err();
        assert!(
            matches!(&error, LibraryError::OtherModel { mine, theirs }
                if mine == "words-2" && *theirs == ["words-1"]),
            "{error:?}"
        );
    }
    let by_words = bench.search("alpha", SearchMode::Keyword).await;
    assert_eq!(ids(&by_words), [id]);
    assert_eq!(by_words.results[0].similarity, None);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 1);
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Semantic).await),
        [id]
    );
}

#[tokio::test]
async fn a_text_that_the_embedder_can_not_read_does_not_keep_the_rest_from_being_found() {
    let bench = Bench::new().await;
    let unread = bench.speak("alpha unreadable", &[]).await;
    let read = bench.speak("alpha plain", &[]).await;
    bench.index.close().await;
    let bench = Bench::open(bench.folder, WordEmbedder::new("words-2")).await;
    *bench.embedder.unreadable.lock().unwrap() = Some("unreadable");
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 1);
    let report = bench.library.reindex(&|_| ()).await.unwrap();
    assert_eq!((report.recordings, report.failed.len()), (2, 1));
    let (failed, error) = &report.failed[0];
    assert_eq!(*failed, unread);
    assert!(matches!(error, LibraryError::Embedding(_)), "{error:?}");
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Semantic).await),
        [read]
    );
    assert_eq!(
        ids(&bench.search("unreadable", SearchMode::Keyword).await),
        [unread]
    );
    // One that reads nothing at all is another thing.
    bench.embedder.broken.store(true, Ordering::Relaxed);
    bench.library.reindex(&|_| ()).await.unwrap_err();
}
