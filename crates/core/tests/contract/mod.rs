//! What every index must do. The tests of each adapter include this file and run all of it on the
//! real thing.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test binary uses a part"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

mod common_words;
mod repeats;
pub mod support;
mod vectors;

use std::collections::HashSet;

pub use common_words::*;
use jiff::Timestamp;
pub use repeats::*;
use speakr_core::{
    RecordingId, RecordingState, Tags,
    ports::index::{Filter, Index},
};
use support::{MODEL, Numbers, found_by, put, recording_at, tagged};
pub use vectors::*;

/// Hands the names of all cases to the macro `$with`.
macro_rules! index_cases {
    ($with:ident) => {
        $with! {
            a_recording_comes_back_as_it_was_put_in
            listings_are_newest_first_and_filters_are_exact
            ids_are_found_by_their_beginning_with_or_without_dashes
            words_are_found_in_other_forms_and_without_their_accents
            no_query_is_a_syntax_error
            passages_with_more_of_the_words_come_first_and_say_how_much
            vector_search_gives_exactly_what_comparing_all_gives
            two_models_vectors_are_never_compared
            a_model_that_embedded_none_of_the_texts_is_told_which_did
            what_has_no_words_waits_for_no_vector
            a_new_tag_holds_for_words_and_vectors_and_leaves_the_text
            keyword_hits_within_times_are_not_lost_behind_better_ones_outside
            keyword_hits_are_the_best_of_what_passes_whether_few_or_many_do
            common_words_find_what_the_rare_ones_beside_them_do_not
            common_words_that_no_passage_holds_together_find_what_holds_one
            a_vector_of_the_wrong_length_is_refused_and_changes_nothing
            what_ranks_the_same_as_the_last_is_found_too
            putting_the_same_in_again_changes_nothing
        }
    };
}
pub(crate) use index_cases;

pub async fn a_recording_comes_back_as_it_was_put_in(index: &dyn Index) {
    let mut recording = recording_at(1_000, &["b", "a"]);
    recording.created_at = "1969-07-20T20:17:40.123456789Z".parse().unwrap();
    recording
        .metadata
        .insert("k".into(), serde_json::json!({"n": [1, null]}));
    recording.options.prompt = Some("Zarathustra".into());
    recording.state = RecordingState::Failed;
    recording.error = Some("no model".into());
    put(index, &recording, &["one", "two"], &mut Numbers(1)).await;
    let listed = index.list(&Filter::default(), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].recording, recording);
    assert_eq!(listed[0].text, "one two");
    let id = recording.recording_id;
    assert_eq!(index.entries(&[id]).await.unwrap(), listed);
    assert_eq!(index.ids().await.unwrap(), [id]);

    // Again, changed: it takes the old one's place.
    recording.state = RecordingState::Transcribed;
    recording.error = None;
    put(index, &recording, &["three"], &mut Numbers(2)).await;
    let listed = index.list(&Filter::default(), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].recording, recording);
    assert_eq!(listed[0].text, "three");
    assert!(found_by(index, "one", &Filter::default()).await.is_empty());
    assert_eq!(found_by(index, "three", &Filter::default()).await, [id]);
}

pub async fn listings_are_newest_first_and_filters_are_exact(index: &dyn Index) {
    let recordings = [
        recording_at(100, &["work"]),
        recording_at(200, &["work", "idea"]),
        recording_at(300, &["idea"]),
        recording_at(-5, &[]),
    ];
    for recording in &recordings {
        index.update(recording).await.unwrap();
    }
    let list = async |filter: Filter, limit| -> Vec<i64> {
        let entries = index.list(&filter, limit).await.unwrap();
        entries
            .iter()
            .map(|e| e.recording.created_at.as_second())
            .collect()
    };
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    assert_eq!(
        list(Filter::default(), usize::MAX).await,
        [300, 200, 100, -5]
    );
    assert_eq!(list(Filter::default(), 2).await, [300, 200]);
    assert_eq!(list(tagged(&["work"]), 10).await, [200, 100]);
    assert_eq!(list(tagged(&["work", "idea"]), 10).await, [200]);
    assert!(list(tagged(&["wor"]), 10).await.is_empty());
    let window = Filter {
        since: at(100),
        until: at(300),
        ..Filter::default()
    };
    assert_eq!(list(window, 10).await, [200, 100]);
    let failed = Filter {
        states: vec![RecordingState::Failed],
        ..Filter::default()
    };
    assert!(list(failed.clone(), 10).await.is_empty());
    let mut failing = recordings[1].clone();
    failing.state = RecordingState::Failed;
    index.update(&failing).await.unwrap();
    assert_eq!(list(failed, 10).await, [200]);
}

pub async fn ids_are_found_by_their_beginning_with_or_without_dashes(index: &dyn Index) {
    let recordings: Vec<_> = (0..40).map(|i| recording_at(i, &[])).collect();
    for recording in &recordings {
        index.update(recording).await.unwrap();
    }
    for recording in &recordings {
        let full = recording.recording_id.to_string();
        for prefix in [&full, &full[..20], &full[..12].to_uppercase()] {
            let found = index.ids_with_prefix(prefix).await.unwrap();
            assert_eq!(found, [recording.recording_id], "{prefix}");
        }
    }
    assert_eq!(index.ids_with_prefix("").await.unwrap().len(), 10);
    assert!(index.ids_with_prefix("zz").await.unwrap().is_empty());
}

pub async fn words_are_found_in_other_forms_and_without_their_accents(index: &dyn Index) {
    let mut numbers = Numbers(3);
    let recordings: Vec<_> = [
        "We were running towards the café",
        "Nothing of the kind",
        "שלום עולם וברכה",
        "the party 🎉 begins",
    ]
    .iter()
    .enumerate()
    .map(|(i, text)| (recording_at(i as i64, &[]), *text))
    .collect();
    for (recording, text) in &recordings {
        put(index, recording, &[text], &mut numbers).await;
    }
    let id = |i: usize| recordings[i].0.recording_id;
    for (query, expected) in [
        ("run", vec![id(0)]),
        ("CAFE", vec![id(0)]),
        ("Cafés", vec![id(0)]),
        ("שלום", vec![id(2)]),
        ("party 🎉", vec![id(3)]),
        ("🎉", vec![]),
        ("kind café", vec![id(1), id(0)]),
    ] {
        let found: HashSet<_> = found_by(index, query, &Filter::default())
            .await
            .into_iter()
            .collect();
        assert_eq!(found, expected.into_iter().collect(), "{query}");
    }
}

pub async fn no_query_is_a_syntax_error(index: &dyn Index) {
    put(
        index,
        &recording_at(1, &["t"]),
        &["some text here"],
        &mut Numbers(4),
    )
    .await;
    for query in [
        "",
        " ",
        "\"",
        "\"\"\"",
        "*",
        "a*",
        "^a",
        "text:",
        "text : here",
        "nope:x",
        "NEAR(a b, 2)",
        "a AND",
        "OR",
        "NOT",
        "(",
        ")",
        "{a b}: c",
        "- x",
        "+",
        "'; DROP TABLE recordings; --",
        "\0",
        "a\0b",
        "🎉",
        "שלום",
        "\u{202e}rtl\u{202c}",
        "ß ﬁ Ǆ",
        "𞤀",
        "٣",
        "½",
    ] {
        index
            .keyword_hits(query, None, &tagged(&["t"]), 10)
            .await
            .unwrap_or_else(|e| panic!("{query:?}: {e:?}"));
    }
}

pub async fn passages_with_more_of_the_words_come_first_and_say_how_much(index: &dyn Index) {
    let mut numbers = Numbers(6);
    for i in 0..30 {
        put(
            index,
            &recording_at(i, &[]),
            &["the meeting was long"],
            &mut numbers,
        )
        .await;
    }
    let both = recording_at(50, &[]);
    let rare = recording_at(51, &[]);
    put(
        index,
        &both,
        &["a meeting with the dentist about teeth"],
        &mut numbers,
    )
    .await;
    put(index, &rare, &["dentist dentist dentist"], &mut numbers).await;
    let hits = index
        .keyword_hits("the dentist meeting", None, &Filter::default(), 5)
        .await
        .unwrap();
    assert_eq!(hits[0].recording_id, both.recording_id);
    assert_eq!(hits[0].coverage, Some(1.0));
    assert_eq!(hits[1].recording_id, rare.recording_id);
    let rare_share = hits[1].coverage.unwrap();
    assert!((0.8..1.0).contains(&rare_share), "{rare_share}");
    let common_share = hits[2].coverage.unwrap();
    assert!(common_share < 0.2, "{common_share}");
    assert!(hits.iter().all(|hit| hit.cosine.is_none()));
}

pub async fn a_new_tag_holds_for_words_and_vectors_and_leaves_the_text(index: &dyn Index) {
    let mut numbers = Numbers(9);
    let mut recording = recording_at(1, &["old", "Both"]);
    put(index, &recording, &["alpha", "beta"], &mut numbers).await;
    put(index, &recording_at(2, &["old"]), &["alpha"], &mut numbers).await;
    recording.tags = Tags::new(["new", "Both"]);
    index.update(&recording).await.unwrap();
    let id = recording.recording_id;
    assert_eq!(found_by(index, "alpha", &tagged(&["new"])).await, [id]);
    assert_eq!(
        found_by(index, "alpha", &tagged(&["Both", "new"])).await,
        [id]
    );
    assert!(
        !found_by(index, "alpha", &tagged(&["old"]))
            .await
            .contains(&id)
    );
    assert!(
        found_by(index, "alpha", &tagged(&["both"]))
            .await
            .is_empty()
    );
    let query = numbers.vector();
    let by_vector = index
        .vector_hits(&query, MODEL, &tagged(&["new"]), 9)
        .await
        .unwrap();
    assert_eq!(by_vector.len(), 2);
    assert_eq!(index.entries(&[id]).await.unwrap()[0].text, "alpha beta");
}

pub async fn keyword_hits_within_times_are_not_lost_behind_better_ones_outside(index: &dyn Index) {
    let mut numbers = Numbers(10);
    for i in 0..80 {
        put(index, &recording_at(i, &[]), &["apple"], &mut numbers).await;
    }
    let wanted = recording_at(1_000, &[]);
    put(
        index,
        &wanted,
        &["an apple among many other things in a long note"],
        &mut numbers,
    )
    .await;
    let filter = Filter {
        since: Some(Timestamp::from_second(500).unwrap()),
        ..Filter::default()
    };
    let hits = index.keyword_hits("apple", None, &filter, 5).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].recording_id, wanted.recording_id);
}

pub async fn keyword_hits_are_the_best_of_what_passes_whether_few_or_many_do(index: &dyn Index) {
    let mut numbers = Numbers(11);
    // The older a recording, the fewer other words beside the one looked for: the better it ranks.
    for i in 0..600 {
        let text = format!("apple{}", " pear".repeat(usize::try_from(i).unwrap()));
        put(index, &recording_at(i, &[]), &[&text], &mut numbers).await;
    }
    let every = Filter::default();
    let all = index
        .keyword_hits("apple", None, &every, 600)
        .await
        .unwrap();
    assert_eq!(all.len(), 600);
    for since in [10, 200, 420, 570] {
        let filter = Filter {
            since: Some(Timestamp::from_second(since).unwrap()),
            ..Filter::default()
        };
        let passing = index.list(&filter, 600).await.unwrap();
        let passing: HashSet<_> = passing.iter().map(|e| e.recording.recording_id).collect();
        let passes = |id: &RecordingId| passing.contains(id);
        let wanted: HashSet<_> = all
            .iter()
            .map(|hit| hit.recording_id)
            .filter(passes)
            .take(7)
            .collect();
        let found = index.keyword_hits("apple", None, &filter, 7).await.unwrap();
        let found: HashSet<_> = found.iter().map(|hit| hit.recording_id).collect();
        assert!(found.is_superset(&wanted), "since {since}");
        assert!(found.iter().all(passes), "since {since}");
    }
}
