//! Things that are the same: as rank, as passages, as recordings put in again.

use speakr_core::ports::index::{Filter, Index};

use super::support::{MODEL, Numbers, passage, recording_at, tagged, transcript};

pub async fn what_ranks_the_same_as_the_last_is_found_too(index: &dyn Index) {
    let mut numbers = Numbers(13);
    let (same, query) = (numbers.vector(), numbers.vector());
    for i in 0..30 {
        let recording = recording_at(i, &["t"]);
        let passages = [passage(0, "the same words", same.clone())];
        let text = transcript(&recording, "the same words");
        index
            .upsert(&recording, Some(&text), &passages, MODEL)
            .await
            .unwrap();
    }
    for filter in [Filter::default(), tagged(&["t"])] {
        let by_words = index.keyword_hits("words", None, &filter, 5).await.unwrap();
        assert_eq!(by_words.len(), 30);
        let by_vector = index.vector_hits(&query, MODEL, &filter, 5).await.unwrap();
        assert_eq!(by_vector.len(), 30);
    }
    let none = index
        .keyword_hits("words", None, &Filter::default(), 0)
        .await;
    assert!(none.unwrap().is_empty());
}

pub async fn putting_the_same_in_again_changes_nothing(index: &dyn Index) {
    let mut numbers = Numbers(14);
    let recording = recording_at(1, &["t"]);
    let passages = [
        passage(0, "alpha", numbers.vector()),
        passage(1, "beta", Vec::new()),
    ];
    let text = transcript(&recording, "alpha beta");
    let query = numbers.vector();
    let mut seen = Vec::new();
    for _ in 0..3 {
        index
            .upsert(&recording, Some(&text), &passages, MODEL)
            .await
            .unwrap();
        let filter = Filter::default();
        seen.push((
            index.list(&filter, 9).await.unwrap(),
            index.keyword_hits("beta", None, &filter, 9).await.unwrap(),
            index.vector_hits(&query, MODEL, &filter, 9).await.unwrap(),
        ));
    }
    assert_eq!((seen[0].1.len(), seen[0].2.len()), (1, 1));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert_eq!(index.remove(recording.recording_id).await.unwrap(), 2);
}
