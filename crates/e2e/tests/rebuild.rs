//! The index, made anew from the store by a program that is killed half-way and started again.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "common/many_recordings.rs"]
mod many_recordings;
#[path = "common/store.rs"]
mod store;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use many_recordings::{fill, queries, rebuild};
use reqwest::Method;
use serde_json::{Value, json};
use speakr_e2e::platform::{Platform, Role};

/// Recordings beside the one that was spoken.
const RECORDINGS: usize = 50;

/// Killed when so many have been done.
const KILLED_AT: usize = 20;

const MODES: [&str; 3] = ["hybrid", "semantic", "keyword"];

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

#[tokio::test]
async fn a_rebuild_that_is_killed_half_way_goes_on_and_the_same_is_found_as_before() {
    let mut platform = Platform::start();
    let spoken = platform.transcribe("jfk.wav", &[("store", "true")]).await;
    fill(
        &platform,
        spoken["recording_id"].as_str().unwrap(),
        RECORDINGS,
    )
    .await;
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
