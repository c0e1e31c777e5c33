//! The index, made anew from the store by a program that is killed half-way and started again.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "common/store.rs"]
mod store;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use reqwest::Method;
use serde_json::{Value, json};
use speakr_e2e::platform::{Platform, Role};
use speakr_testkit::s3::S3;
use uuid::Uuid;

/// Recordings beside the one that was spoken.
const RECORDINGS: usize = 50;

/// Killed when so many have been done.
const KILLED_AT: usize = 20;

const WHO: [&str; 10] = [
    "gardener",
    "surgeon",
    "conductor of the orchestra",
    "lighthouse keeper",
    "tax inspector",
    "glacier guide",
    "baker",
    "archaeologist",
    "violin maker",
    "train driver",
];
const WHAT: [&str; 10] = [
    "pruned the apple trees before the frost",
    "explained the operation to the family",
    "rehearsed the slow movement once more",
    "repaired the broken lamp in the storm",
    "asked for the receipts of last year",
    "measured how far the ice had melted",
    "kneaded the dough for the morning bread",
    "uncovered a bronze age burial",
    "varnished the maple back of the instrument",
    "waited at the red signal outside the tunnel",
];
const MODES: [&str; 3] = ["hybrid", "semantic", "keyword"];

/// What is said in recording `number`: some passages of it, in which no other recording's sentences are.
fn sentences(number: usize) -> Vec<String> {
    let (first, second) = (number % WHO.len(), number / WHO.len());
    (0..30)
        .map(|at| {
            let who = WHO[(first + at / 10) % WHO.len()];
            let what = WHAT[(first + second + at) % WHAT.len()];
            format!("On day {at} of journey {number} the {who} {what}.")
        })
        .collect()
}

fn queries() -> Vec<String> {
    (0..20)
        .map(|at| format!("the {} {}", WHO[at % 10], WHAT[(at * 3 + at / 10) % 10]))
        .collect()
}

/// Puts recordings into the store, made after the one that was spoken.
async fn fill(platform: &Platform, spoken: &str) {
    let client = store::client(&platform.s3);
    let mut like = Vec::new();
    for name in ["recording.json", "transcript.json"] {
        let found = store::versions(&platform.s3, &format!("recordings/{spoken}/{name}")).await;
        let (_, body) = found.first().unwrap();
        like.push((name, serde_json::from_slice::<Value>(body).unwrap()));
    }
    for number in 0..RECORDINGS {
        let id = Uuid::from_u128(0x5eed_0000_0000_4000_8000_0000_0000_0000 + number as u128);
        let at = format!("2026-03-{:02}T{:02}:00:00Z", 1 + number / 24, number % 24);
        for (name, like) in &like {
            let mut object = like.clone();
            object["recording_id"] = json!(id);
            object["created_at"] = json!(at);
            if *name == "recording.json" {
                object["correlation_id"] = json!(id);
            } else {
                let sentences = sentences(number);
                let like = &object["segments"][0];
                let segment = |(at, text): (usize, &String)| {
                    let mut segment = like.clone();
                    segment["start_ms"] = json!(at * 4_000);
                    segment["end_ms"] = json!(at * 4_000 + 3_900);
                    segment["text"] = json!(text);
                    segment
                };
                let segments: Vec<_> = sentences.iter().enumerate().map(segment).collect();
                object["text"] = json!(sentences.join(" "));
                object["segments"] = json!(segments);
            }
            client
                .put_object()
                .bucket(S3::BUCKET)
                .key(format!("recordings/{id}/{name}"))
                .body(object.to_string().into_bytes().into())
                .send()
                .await
                .unwrap();
        }
    }
}

/// What is found, in every way of searching.
async fn found(platform: &Platform) -> Vec<(String, &'static str, Value)> {
    let mut found = Vec::new();
    for query in queries() {
        for mode in MODES {
            let answer = platform
                .request(Method::POST, "/api/v1/query")
                .json(&json!({"query_text": query, "mode": mode}))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200);
            found.push((query.clone(), mode, answer.json().await.unwrap()));
        }
    }
    found
}

/// Recordings that have vectors.
fn embedded(platform: &Platform) -> usize {
    let count = platform.sql("SELECT count(DISTINCT recording) FROM speakr.vectors");
    count.parse().unwrap()
}

/// Rebuilds, and gives how many recordings there are and how many were there as they are.
fn rebuild(platform: &Platform) -> (usize, usize) {
    let output = platform
        .command(Role::Embedder)
        .arg("rebuild")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let last = said.lines().last().unwrap();
    let mut numbers = last
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|text| text.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[tokio::test]
async fn a_rebuild_that_is_killed_half_way_goes_on_and_the_same_is_found_as_before() {
    let mut platform = Platform::start();
    let spoken = platform.transcribe("jfk.wav", &[("store", "true")]).await;
    fill(&platform, spoken["recording_id"].as_str().unwrap()).await;
    // Whatever is done is done by the program that makes it anew.
    platform.embedder.kill();
    platform.transcriber.kill();
    let all = RECORDINGS + 1;
    assert_eq!(rebuild(&platform).0, all);
    assert_eq!(embedded(&platform), all);
    let before = found(&platform).await;
    for (query, mode, answer) in &before {
        let some = answer["count"].as_u64().unwrap();
        assert!(some > 0, "{query}, {mode}: {answer}");
    }
    // It says of each that it is as it was, and changes nothing.
    assert_eq!(rebuild(&platform), (all, all));
    assert_eq!(found(&platform).await, before);

    // All of the index, with what is counted of it; who may ask stays.
    let _ = platform.sql(
        "DELETE FROM speakr.recordings; DELETE FROM speakr.word_counts; \
         UPDATE speakr.counts SET passages = 0",
    );
    assert_eq!(embedded(&platform), 0);
    let mut half = platform
        .command(Role::Embedder)
        .arg("rebuild")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(half.stderr.take().unwrap()).lines();
    let done = loop {
        let line = told.next().expect("it was done too soon").unwrap();
        let done = line.split(' ').next().and_then(|text| text.parse().ok());
        if let Some(done) = done.filter(|done| *done >= KILLED_AT) {
            break done;
        }
    };
    half.kill().unwrap();
    half.wait().unwrap();
    let left = embedded(&platform);
    assert!((done..all).contains(&left), "{left} of {all}, {done} told");

    assert_eq!(rebuild(&platform), (all, left));
    assert_eq!(embedded(&platform), all);
    for (after, before) in found(&platform).await.iter().zip(&before) {
        assert_eq!(after, before);
    }
}
