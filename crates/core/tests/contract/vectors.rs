//! Vectors: which are nearest, whose are compared, and which are refused.

use jiff::Timestamp;
use speakr_core::{
    Recording, RecordingId,
    ports::index::{Filter, Index},
};

use super::support::{DIMENSIONS, MODEL, Numbers, passage, put, recording_at, tagged, transcript};

pub async fn vector_search_gives_exactly_what_comparing_all_gives(index: &dyn Index) {
    let mut numbers = Numbers(7);
    let mut all: Vec<(RecordingId, u32, Vec<f32>, Recording)> = Vec::new();
    // Enough for several blocks, with some recordings across a block's edge.
    for i in 0..120 {
        let tags: Vec<&str> = ["even", "odd"][i as usize % 2..][..1].to_vec();
        let recording = recording_at(i, &tags);
        let passages: Vec<_> = (0..numbers.below(12) as u32)
            .map(|ordinal| passage(ordinal, "words", numbers.vector()))
            .collect();
        let transcript = transcript(&recording, "words");
        index
            .upsert(&recording, Some(&transcript), &passages, MODEL)
            .await
            .unwrap();
        for p in passages {
            all.push((
                recording.recording_id,
                p.passage.ordinal,
                p.vector,
                recording.clone(),
            ));
        }
    }
    assert!(all.len() > 512);
    // Some go again, some are replaced: blocks get holes and are filled.
    for i in (0..120).step_by(7) {
        let gone = all
            .iter()
            .find(|a| a.3.created_at.as_second() == i)
            .map(|a| a.0);
        if let Some(gone) = gone {
            index.remove(gone).await.unwrap();
            all.retain(|a| a.0 != gone);
        }
    }
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let filters = [
        Filter::default(),
        tagged(&["odd"]),
        tagged(&["even", "odd"]),
        Filter {
            since: at(30),
            until: at(90),
            ..tagged(&["even"])
        },
    ];
    for filter in &filters {
        for limit in [1, 10, 200] {
            let query = numbers.vector();
            let product = |v: &[f32]| -> f32 { v.iter().zip(&query).map(|(a, b)| a * b).sum() };
            let mut expected: Vec<_> = all
                .iter()
                .filter(|a| {
                    a.3.tags.contains_all(&filter.tags)
                        && filter.since.is_none_or(|t| a.3.created_at >= t)
                        && filter.until.is_none_or(|t| a.3.created_at < t)
                })
                .map(|a| (product(&a.2), a.0, a.1))
                .collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0));
            expected.truncate(limit);
            let hits = index
                .vector_hits(&query, MODEL, filter, limit)
                .await
                .unwrap();
            assert_eq!(hits.len(), expected.len());
            for (hit, (cosine, id, ordinal)) in hits.iter().zip(expected) {
                assert_eq!((hit.recording_id, hit.passage.ordinal), (id, ordinal));
                assert!((hit.cosine.unwrap() - cosine).abs() < 1e-5);
            }
        }
    }
}

pub async fn two_models_vectors_are_never_compared(index: &dyn Index) {
    let mut numbers = Numbers(8);
    let vector = numbers.vector();
    let (old, new) = (recording_at(1, &[]), recording_at(2, &[]));
    for (recording, model) in [(&old, "model-a"), (&new, "model-b")] {
        let transcript = transcript(recording, "same words");
        let passages = [passage(0, "same words", vector.clone())];
        index
            .upsert(recording, Some(&transcript), &passages, model)
            .await
            .unwrap();
    }
    let filter = Filter::default();
    let hits = index
        .vector_hits(&vector, "model-b", &filter, 10)
        .await
        .unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].recording_id, new.recording_id);
    assert!(
        index
            .vector_hits(&vector, "model-c", &filter, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        index
            .vector_hits(&vector[1..], "model-b", &filter, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let by_words = index
        .keyword_hits("words", Some((&vector, "model-b")), &filter, 10)
        .await
        .unwrap();
    for hit in by_words {
        assert_eq!(hit.cosine.is_some(), hit.recording_id == new.recording_id);
    }
    let pending = index.not_embedded_by("model-b", 10).await.unwrap();
    assert_eq!(pending, [old.recording_id]);
}

pub async fn a_model_that_embedded_none_of_the_texts_is_told_which_did(index: &dyn Index) {
    let others = async |model: &str| index.other_models(model).await.unwrap();
    assert!(others("model-c").await.is_empty());
    let silent = recording_at(1, &[]);
    index
        .upsert(&silent, Some(&transcript(&silent, " ")), &[], "")
        .await
        .unwrap();
    assert!(others("model-c").await.is_empty());
    let vector = Numbers(6).vector();
    for (second, model) in [(2, "model-b"), (3, "model-a"), (4, "model-b")] {
        let recording = recording_at(second, &[]);
        let passages = [passage(0, "words", vector.clone())];
        index
            .upsert(
                &recording,
                Some(&transcript(&recording, "words")),
                &passages,
                model,
            )
            .await
            .unwrap();
    }
    assert_eq!(others("model-c").await, ["model-a", "model-b"]);
    assert!(others("model-a").await.is_empty());
}

pub async fn what_has_no_words_waits_for_no_vector(index: &dyn Index) {
    let (silent, spoken) = (recording_at(1, &[]), recording_at(2, &[]));
    for (recording, text) in [(&silent, " "), (&spoken, "words")] {
        index
            .upsert(recording, Some(&transcript(recording, text)), &[], "")
            .await
            .unwrap();
    }
    index.update(&recording_at(3, &[])).await.unwrap();
    assert_eq!(
        index.not_embedded_by(MODEL, 10).await.unwrap(),
        [spoken.recording_id]
    );
}

pub async fn a_vector_of_the_wrong_length_is_refused_and_changes_nothing(index: &dyn Index) {
    let recording = recording_at(1, &[]);
    put(index, &recording, &["alpha"], &mut Numbers(12)).await;
    let short = [passage(0, "beta", vec![1.0; DIMENSIONS - 1])];
    let text = transcript(&recording, "beta");
    index
        .upsert(&recording, Some(&text), &short, MODEL)
        .await
        .unwrap_err();
    assert_eq!(
        index.entries(&[recording.recording_id]).await.unwrap()[0].text,
        "alpha"
    );
}
