//! The library on its real parts: folder, SQLite, ffmpeg. Only the embedder is a small one whose
//! vectors can be told in advance.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Segment, Tags, Transcript,
    ports::{
        archive::{Archive, ArchiveError},
        embedding::{Embedder, EmbeddingError},
        index::{Filter, Index},
        speech::DecodeOptions,
    },
    search::{Listing, SearchMode, SearchRequest, SearchResponse},
    usecases::library::{Library, LibraryError},
};
use speakr_ffmpeg::{Ffmpeg, FfmpegDecoder, FlacEncoder};
use speakr_local::FolderArchive;
use speakr_sqlite::SqliteIndex;
use tempfile::TempDir;

const DIMENSIONS: usize = 64;

/// A bag of words: each adds to a place that its letters choose. Texts of the same words are alike.
struct WordEmbedder {
    model: &'static str,
    calls: AtomicUsize,
    broken: AtomicBool,
}

impl WordEmbedder {
    fn new(model: &'static str) -> Arc<Self> {
        Arc::new(Self {
            model,
            calls: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        })
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.001_f32; DIMENSIONS];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
            let place = word
                .bytes()
                .fold(7_usize, |h, b| h * 31 % 8_191 + usize::from(b));
            vector[place % DIMENSIONS] += if word.is_empty() { 0.0 } else { 1.0 };
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter().map(|v| v / length).collect()
    }
}

#[async_trait]
impl Embedder for WordEmbedder {
    fn model_id(&self) -> &str {
        self.model
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn max_tokens(&self) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        32
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed);
        text.split_whitespace().count()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.broken.load(Ordering::Relaxed) {
            return Err(EmbeddingError {
                model: self.model.to_owned(),
                cause: "it is broken".into(),
            });
        }
        Ok(texts.iter().map(|text| Self::vector(text)).collect())
    }
}

struct Bench {
    folder: TempDir,
    archive: Arc<FolderArchive>,
    index: Arc<SqliteIndex>,
    embedder: Arc<WordEmbedder>,
    library: Library,
}

impl Bench {
    async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), WordEmbedder::new("words-1")).await
    }

    /// As the next process opens it.
    async fn open(folder: TempDir, embedder: Arc<WordEmbedder>) -> Self {
        let ffmpeg = Ffmpeg::from_env();
        let archive = FolderArchive::open(
            folder.path().join("home"),
            Arc::new(FlacEncoder::new(ffmpeg.clone())),
            Arc::new(FfmpegDecoder::new(ffmpeg)),
        )
        .unwrap();
        let home = archive.home().clone();
        let index = SqliteIndex::open(&home.index(), &home.backups())
            .await
            .unwrap();
        let (archive, index) = (Arc::new(archive), Arc::new(index));
        let library = Library::new(archive.clone(), index.clone(), embedder.clone());
        Self {
            folder,
            archive,
            index,
            embedder,
            library,
        }
    }

    async fn reopened(self) -> Self {
        self.index.close().await;
        Self::open(self.folder, self.embedder).await
    }

    async fn record(&self, tags: &[&str]) -> Recording {
        let mut recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now(),
            Tags::new(tags),
            DecodeOptions::default(),
        );
        let mut writer = self.archive.begin(&recording).await.unwrap();
        writer.write(&vec![100; 8_000]).await.unwrap();
        recording.state = RecordingState::Captured;
        recording.duration_ms = Some(500);
        self.library.update(&recording).await.unwrap();
        recording
    }

    async fn speak(&self, text: &str, tags: &[&str]) -> RecordingId {
        let recording = self.record(tags).await;
        self.library
            .file(&transcript(&recording, text))
            .await
            .unwrap();
        recording.recording_id
    }

    async fn search(&self, query: &str, mode: SearchMode) -> SearchResponse {
        let request = SearchRequest {
            mode,
            ..SearchRequest::new(query)
        };
        self.library.search(&request).await.unwrap()
    }

    async fn listing(&self) -> Listing {
        let mut entries = self
            .library
            .list(&Filter::default(), usize::MAX)
            .await
            .unwrap();
        entries.sort_by_key(|e| e.recording.recording_id);
        entries.into()
    }
}

fn transcript(recording: &Recording, text: &str) -> Transcript {
    let segments: Vec<Segment> = text
        .split_inclusive(". ")
        .enumerate()
        .map(|(i, sentence)| Segment {
            start_ms: i as u64 * 1_000,
            end_ms: i as u64 * 1_000 + 900,
            text: sentence.trim().to_owned(),
            words: None,
        })
        .collect();
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 500,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments,
    }
}

const MODES: [SearchMode; 3] = [
    SearchMode::Hybrid,
    SearchMode::Semantic,
    SearchMode::Keyword,
];

fn ids(response: &SearchResponse) -> Vec<RecordingId> {
    response.results.iter().map(|r| r.recording_id).collect()
}

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
        bench.library.update(&recording).await.unwrap();
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
async fn another_model_finds_nothing_of_the_old_ones_until_it_has_embedded() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha beta", &[]).await;
    bench.index.close().await;
    let bench = Bench::open(bench.folder, WordEmbedder::new("words-2")).await;
    assert_eq!(bench.search("alpha", SearchMode::Semantic).await.count, 0);
    let by_words = bench.search("alpha", SearchMode::Hybrid).await;
    assert_eq!(ids(&by_words), [id]);
    assert_eq!(by_words.results[0].similarity, None);
    assert_eq!(bench.library.embed_pending(10, &|_| ()).await.unwrap(), 1);
    assert_eq!(
        ids(&bench.search("alpha", SearchMode::Semantic).await),
        [id]
    );
}

/// Somebody labels a recording while its vectors are made.
struct LabelledMeanwhile {
    words: Arc<WordEmbedder>,
    library: Library,
    id: RecordingId,
}

#[async_trait]
impl Embedder for LabelledMeanwhile {
    fn model_id(&self) -> &str {
        self.words.model_id()
    }

    fn dimensions(&self) -> usize {
        self.words.dimensions()
    }

    fn max_tokens(&self) -> usize {
        self.words.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.words.count_tokens(text)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbeddingError> {
        let (add, remove) = (Tags::new(["new"]), Tags::new(["old"]));
        self.library.tag(self.id, &add, &remove).await.unwrap();
        self.words.embed(texts).await
    }
}

#[tokio::test]
async fn a_label_that_comes_while_vectors_are_made_has_the_last_word() {
    let bench = Bench::new().await;
    let id = bench.speak("alpha beta", &["old"]).await;
    let slow = LabelledMeanwhile {
        words: bench.embedder.clone(),
        library: bench.library.clone(),
        id,
    };
    let embedder = Library::new(bench.archive.clone(), bench.index.clone(), Arc::new(slow));
    embedder.refresh(id).await.unwrap();
    let found = bench.search("alpha", SearchMode::Semantic).await;
    assert_eq!(found.results[0].tags, Tags::new(["new"]));
    let request = |tag| SearchRequest {
        filter: Filter {
            tags: Tags::new([tag]),
            ..Filter::default()
        },
        ..SearchRequest::new("alpha")
    };
    for (tag, count) in [("new", 1), ("old", 0)] {
        let found = bench.library.search(&request(tag)).await.unwrap();
        assert_eq!(found.count, count, "{tag}");
    }
}
