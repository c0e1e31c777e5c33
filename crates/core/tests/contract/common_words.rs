//! Words that so many passages hold that they bring none in by themselves.

use std::collections::HashSet;

use speakr_core::{
    Recording, RecordingId,
    ports::index::{EmbeddedPassage, Filter, Index},
};

use super::support::{Numbers, found_by, passage, put, recording_at, tagged, transcript};

/// Passages of each recording. From 2,000 on in all a word can be common.
const PASSAGES: u32 = 100;

/// Recordings by what they are about, with its tag. Each of these words is common, and no passage
/// holds two of them.
async fn fill(index: &dyn Index) -> [HashSet<RecordingId>; 2] {
    let mut about = [HashSet::new(), HashSet::new()];
    for number in 0..21 {
        let (kind, word) = [(0, "budget"), (1, "harvest")][number % 2];
        let recording = recording_at(number as i64, &[word]);
        put_many(index, &recording, &format!("the {word} of May")).await;
        about[kind].insert(recording.recording_id);
    }
    about
}

/// Puts a recording in whose passages wait for their vectors, all with this text.
async fn put_many(index: &dyn Index, recording: &Recording, text: &str) {
    let passages: Vec<EmbeddedPassage> = (0..PASSAGES)
        .map(|ordinal| passage(ordinal, text, Vec::new()))
        .collect();
    let transcript = transcript(recording, text);
    index
        .upsert(recording, Some(&transcript), &passages, "")
        .await
        .unwrap();
}

/// The recordings whose passages hold words of `query`, and the largest share of them.
async fn best(index: &dyn Index, query: &str, filter: &Filter) -> (HashSet<RecordingId>, f32) {
    let hits = index.keyword_hits(query, None, filter, 10).await.unwrap();
    let ids = hits.iter().map(|hit| hit.recording_id).collect();
    let shares = hits.iter().filter_map(|hit| hit.coverage);
    (ids, shares.fold(0.0, f32::max))
}

pub async fn common_words_find_what_the_rare_ones_beside_them_do_not(index: &dyn Index) {
    let [budgets, _] = fill(index).await;
    let zebra = recording_at(100, &["zoo"]);
    put(index, &zebra, &["a zebra"], &mut Numbers(15)).await;
    // The rare word is elsewhere.
    let (found, share) = best(index, "budget zebra", &tagged(&["budget"])).await;
    assert_eq!(found, budgets);
    assert!(share > 0.0 && share < 0.5, "{share}");
    // It is here, and brings less than is wanted.
    let near = recording_at(101, &["budget"]);
    put(index, &near, &["a zebra"], &mut Numbers(16)).await;
    let hits = index
        .keyword_hits("budget zebra", None, &tagged(&["budget"]), 10)
        .await
        .unwrap();
    assert_eq!(hits[0].recording_id, near.recording_id);
    assert!(hits.len() > 10, "{} are as good as the tenth", hits.len());
    // Among all, the rare word is what counts.
    let found = found_by(index, "budget zebra", &Filter::default()).await;
    let rare = HashSet::from([zebra.recording_id, near.recording_id]);
    let first: HashSet<_> = found.into_iter().take(2).collect();
    assert_eq!(first, rare);
    assert!(
        found_by(index, "zebra", &tagged(&["harvest"]))
            .await
            .is_empty()
    );
}

pub async fn common_words_that_no_passage_holds_together_find_what_holds_one(index: &dyn Index) {
    let [budgets, harvests] = fill(index).await;
    let all: HashSet<_> = budgets.union(&harvests).copied().collect();
    let (found, share) = best(index, "budget harvest", &Filter::default()).await;
    assert!(!found.is_empty() && found.is_subset(&all), "{found:?}");
    assert!(share > 0.3 && share < 0.8, "{share}");
    let (found, _) = best(index, "budget harvest", &tagged(&["harvest"])).await;
    assert_eq!(found, harvests);
    // One that holds both comes first, and is enough where nothing is left out.
    let both = recording_at(100, &["harvest"]);
    let text = "the budget of the harvest";
    put(index, &both, &[text], &mut Numbers(17)).await;
    let found = found_by(index, "budget harvest", &Filter::default()).await;
    assert_eq!(found, [both.recording_id]);
    let hits = index
        .keyword_hits("budget harvest", None, &tagged(&["harvest"]), 10)
        .await
        .unwrap();
    assert_eq!(hits[0].recording_id, both.recording_id);
    assert_eq!(hits[0].coverage, Some(1.0));
    assert!(hits.len() > 10, "{} are as good as the tenth", hits.len());
}
