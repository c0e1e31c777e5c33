//! Search by words against a real PostgreSQL: what it finds is what comparing all would find, and the
//! counts that words are weighed by are those of the passages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::collections::BTreeSet;

use speakr_core::{keywords, ports::index::Filter, ports::index::Index};
use support::{
    Place,
    things::{MODEL, Numbers, passage, put, recording_at, tagged, transcript},
};

/// Passages of the large index, and how many in ten bear the tag.
const PASSAGES: usize = 12_000;
const TAGGED_IN_TEN: usize = 6;

/// Words: the first is in one passage of 40, the last in one of some 4,000.
const WORDS: u64 = 200;

/// A passage as this test knows it.
struct Known {
    words: BTreeSet<u64>,
    tagged: bool,
}

async fn fill(index: &dyn Index, numbers: &mut Numbers) -> Vec<Known> {
    let mut all = Vec::new();
    for number in 0..PASSAGES / 100 {
        let tagged = number % 10 < TAGGED_IN_TEN;
        let tags: &[&str] = if tagged { &["most"] } else { &[] };
        let recording = recording_at(number as i64, tags);
        let mut passages = Vec::new();
        for ordinal in 0..100 {
            let words: BTreeSet<u64> = (0..WORDS)
                .filter(|word| numbers.below(40 + word * 20) == 0)
                .collect();
            let text: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
            let vector = vec![numbers.below(100) as f32 + 1.0, 1.0];
            passages.push(passage(ordinal, &text.join(" "), vector));
            all.push(Known { words, tagged });
        }
        let text = transcript(&recording, "w");
        let stored = index.upsert(&recording, Some(&text), &passages, MODEL);
        stored.await.unwrap();
    }
    all
}

/// The largest shares of `query` that passages hold, the largest first.
fn shares(all: &[Known], query: &BTreeSet<u64>, tagged: bool) -> Vec<f64> {
    let weight = |word: &u64| {
        let held_by = all
            .iter()
            .filter(|known| known.words.contains(word))
            .count();
        keywords::weight(held_by as u32, all.len() as u32)
    };
    let weights: Vec<(u64, f64)> = query.iter().map(|word| (*word, weight(word))).collect();
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut shares: Vec<f64> = all
        .iter()
        .filter(|known| known.tagged || !tagged)
        .map(|known| {
            let held = weights
                .iter()
                .filter(|(word, _)| known.words.contains(word));
            held.map(|(_, weight)| weight).sum::<f64>() / total
        })
        .filter(|share| *share > 0.0)
        .collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_by_words_are_the_best_of_all() {
    let place = Place::start();
    let (_, database) = place.fresh().await;
    let index = database.index();
    let mut numbers = Numbers(7);
    let all = fill(&index, &mut numbers).await;
    for round in 0..60 {
        let words = 1 + numbers.below(12);
        let query: BTreeSet<u64> = (0..words).map(|_| numbers.below(WORDS)).collect();
        let text: Vec<String> = query.iter().map(|word| format!("w{word}")).collect();
        let text = text.join(" ");
        let only_tagged = round % 2 == 1;
        let filter = if only_tagged {
            tagged(&["most"])
        } else {
            Filter::default()
        };
        for limit in [1, 10, 50, 400] {
            let found = index
                .keyword_hits(&text, None, &filter, limit)
                .await
                .unwrap();
            let wanted = shares(&all, &query, only_tagged);
            assert!(found.len() >= limit.min(wanted.len()), "{text:?}, {limit}");
            for (place, (hit, wanted)) in found.iter().zip(&wanted).enumerate() {
                let share = f64::from(hit.coverage.unwrap());
                // All as good as the last come too, and no worse ones.
                let wanted = if place < limit {
                    *wanted
                } else {
                    share.max(wanted - 1e-5)
                };
                assert!(
                    (share - wanted).abs() < 1e-5,
                    "{text:?}, the {place}th of {limit}: {share} and not {wanted}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_right_after_many_changes_at_once() {
    let place = Place::start();
    let (name, database) = place.fresh().await;
    let changes: Vec<_> = (0..6_u64)
        .map(|writer| {
            let index = database.index();
            tokio::spawn(async move {
                let mut numbers = Numbers(writer);
                let recordings: Vec<_> = (0..4).map(|i| recording_at(i, &[])).collect();
                for _ in 0..30 {
                    let recording = &recordings[numbers.below(4) as usize];
                    if numbers.below(4) == 0 {
                        index.remove(recording.recording_id).await.unwrap();
                        continue;
                    }
                    let texts: Vec<String> = (0..numbers.below(4))
                        .map(|_| {
                            let words = (0..numbers.below(9)).map(|_| numbers.below(12));
                            words.map(|w| format!("word{w} ")).collect()
                        })
                        .collect();
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    put(&index, recording, &texts, &mut numbers).await;
                }
            })
        })
        .collect();
    for change in changes {
        change.await.unwrap();
    }
    let kept = "SELECT string_agg(word || '=' || passages, ' ' ORDER BY word) \
                FROM speakr.word_counts";
    let counted = "SELECT string_agg(word || '=' || ndoc, ' ' ORDER BY word) \
                   FROM ts_stat('SELECT words FROM speakr.passages')";
    let query = |sql| place.server.query(&name, sql).unwrap();
    assert!(query(kept).contains("word1="), "{}", query(kept));
    assert_eq!(query(kept), query(counted));
    let passages = "SELECT (SELECT passages FROM speakr.counts) - count(*) FROM speakr.passages";
    assert_eq!(query(passages), "0");
}
