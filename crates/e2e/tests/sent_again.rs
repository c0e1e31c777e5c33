//! A client sends the same request again, by the name that it gave it: whatever became of the first, it
//! has its text.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "common/bus.rs"]
mod bus;
#[path = "common/store.rs"]
mod store;

use std::{
    fs::File,
    time::{Duration, Instant, SystemTime},
};

use reqwest::{Error, Method, RequestBuilder, Response, multipart};
use serde_json::Value;
use speakr_contract::{
    AudioData, Message,
    commands::TranscriptionRun,
    events::{RecordingCancelled, TranscriptionPartial},
};
use speakr_core::{CorrelationId, RecordingId};
use speakr_e2e::{
    clip,
    platform::{Options, Platform, Role},
    program::PATIENCE,
    wav,
};
use speakr_nats::Request;
use speakr_testkit::s3::S3;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The request called `name` for the text of `file`.
fn request(
    platform: &Platform,
    name: CorrelationId,
    file: Vec<u8>,
    fields: &[(&'static str, &'static str)],
) -> RequestBuilder {
    let mut form = multipart::Form::new()
        .part("file", multipart::Part::bytes(file).file_name("said.wav"))
        .text("model", "whisper-1");
    for (field, value) in fields {
        form = form.text(*field, *value);
    }
    platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .header("Speakr-Correlation-Id", name.to_string())
        .multipart(form)
}

fn small() -> Vec<u8> {
    std::fs::read(clip("jfk.wav")).unwrap()
}

/// The same speech, and silence: too much for a message of the bus.
fn large() -> Vec<u8> {
    let mut pcm = wav::read(&clip("jfk.wav"));
    pcm.resize(4_500_000, 0);
    file_of(&pcm)
}

fn file_of(pcm: &[i16]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.wav");
    wav::write(&path, pcm);
    std::fs::read(path).unwrap()
}

async fn has_text(platform: &Platform, answer: Response) {
    let status = answer.status();
    let body = answer.text().await.unwrap();
    assert_eq!(status, 200, "{body}\n{}", platform.query_svc.log());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(body["text"].as_str().unwrap().contains("country"), "{body}");
}

/// Waits until `count` messages of a kind were heard on the bus.
async fn until_heard(platform: &Platform, kind: &str, count: usize) {
    let began = Instant::now();
    let heard = || platform.heard().kinds.get(kind).copied();
    while heard().unwrap_or_default() < count {
        assert!(began.elapsed() < PATIENCE, "{:?}", platform.heard().kinds);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing lies in the store whose key begins so.
async fn until_gone(platform: &Platform, prefix: &str) {
    let began = Instant::now();
    while !store::versions(&platform.s3, prefix).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "{prefix} is still there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until something lies in the store whose key begins so.
async fn until_stored(platform: &Platform, prefix: &str) {
    let began = Instant::now();
    while store::versions(&platform.s3, prefix).await.is_empty() {
        assert!(began.elapsed() < PATIENCE, "nothing at {prefix}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_not_kept_has_its_text_each_time_and_leaves_nothing() {
    let platform = Platform::start();
    let name = CorrelationId::random();
    for _ in 0..2 {
        let asked = request(&platform, name, small(), &[]);
        has_text(&platform, asked.send().await.unwrap()).await;
        let left = store::versions(&platform.s3, "recordings/").await;
        let keys: Vec<_> = left.iter().map(|(key, _)| key).collect();
        assert!(keys.is_empty(), "{keys:?}");
    }
}

#[tokio::test]
async fn what_is_not_kept_and_was_cancelled_before_its_turn_has_its_text_when_it_is_sent_again() {
    let platform = Platform::start_with(&[("SPEAKR_DECODERS", "1")]);
    // The transcriber has something to do for a while.
    let client = bus::connect(&platform, "cli").await;
    let other = TranscriptionRun {
        audio_data: Some(AudioData(file_of(&wav::read(&clip("jfk.wav")).repeat(14)))),
        ..TranscriptionRun::default()
    };
    bus::send(&client, &other, &Request::new(Uuid::new_v4())).await;
    until_heard(&platform, TranscriptionPartial::SUBJECT, 1).await;
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let asking = tokio::spawn(request(&platform, name, small(), &[]).send());
    until_heard(&platform, TranscriptionRun::SUBJECT, 2).await;
    asking.abort();
    until_heard(&platform, RecordingCancelled::SUBJECT, 1).await;
    // Nothing of it was ever stored.
    let deleted = store::versions(&platform.s3, &format!("tombstones/{id}")).await;
    assert!(deleted.is_empty(), "its turn came too soon");
    for _ in 0..2 {
        let again = request(&platform, name, small(), &[]);
        has_text(&platform, again.send().await.unwrap()).await;
    }
}

#[tokio::test]
async fn what_was_refused_a_moment_ago_is_not_taken_for_done() {
    let platform = Platform::start();
    let name = CorrelationId::random();
    let stored = ("store", "true");
    let asked = request(&platform, name, small(), &[stored, ("language", "tlh")]);
    assert_eq!(asked.send().await.unwrap().status(), 422);
    let again = request(&platform, name, small(), &[stored]).timeout(PATIENCE);
    has_text(&platform, again.send().await.unwrap()).await;
}

#[tokio::test]
async fn a_large_file_whose_text_was_not_made_yet_is_stored_once_and_has_its_text() {
    let mut platform = Platform::start();
    platform.transcriber.kill();
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let asked = request(&platform, name, large(), &[("store", "true")]);
    let asking = tokio::spawn(asked.send());
    until_stored(&platform, &format!("recordings/{id}/audio.wav")).await;
    // The transcriber is asked for its text by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    asking.abort();
    assert_eq!(platform.revive(), ["speakr-transcriber"]);
    let again = request(&platform, name, large(), &[("store", "true")]);
    has_text(&platform, again.send().await.unwrap()).await;
}

#[tokio::test]
async fn a_large_file_whose_service_was_killed_while_it_was_stored_is_stored_whole() {
    let mut platform = Platform::start();
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let asked = request(&platform, name, large(), &[("store", "true")]);
    let asking = tokio::spawn(asked.send());
    until_stored(&platform, &format!("recordings/{id}/sound/0")).await;
    platform.query_svc.kill();
    assert!(asking.await.unwrap().is_err());
    platform.restart(Role::QuerySvc, &[]);
    let again = request(&platform, name, large(), &[("store", "true")]);
    has_text(&platform, again.send().await.unwrap()).await;
    let stored = store::versions(&platform.s3, &format!("recordings/{id}/audio.wav")).await;
    let pcm = wav::samples(&stored[0].1).unwrap();
    assert_eq!(pcm.len(), 4_500_000);
    // Nobody takes it for half of one later.
    let noted = store::versions(&platform.s3, "condemned/").await;
    assert!(noted.is_empty(), "{noted:?}");
}

/// A platform whose store takes its time, and a large file of which half is stored.
async fn storing(
    name: CorrelationId,
    settings: &[(&str, &str)],
) -> (Platform, JoinHandle<Result<Response, Error>>) {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let platform = Platform::start_as(&Options {
        settings: settings.iter().map(owned).collect(),
        with_links: true,
        ..Options::default()
    });
    let to_store = &platform.links.as_ref().unwrap().s3;
    let id = RecordingId::from_correlation(name);
    to_store.slow_down(Duration::from_millis(20));
    let asked = request(&platform, name, large(), &[("store", "true")]);
    let asking = tokio::spawn(asked.send());
    until_stored(&platform, &format!("recordings/{id}/sound/0")).await;
    (platform, asking)
}

/// The same, whose client hung up.
async fn half_stored(name: CorrelationId, settings: &[(&str, &str)]) -> Platform {
    let (platform, asking) = storing(name, settings).await;
    asking.abort();
    // It is noticed, and half of it is left for whoever sends it again.
    let id = RecordingId::from_correlation(name);
    until_stored(&platform, &format!("condemned/{id}")).await;
    go_on(&platform);
    platform
}

/// The store is as quick as it can be from now on.
fn go_on(platform: &Platform) {
    let links = platform.links.as_ref().unwrap();
    links.s3.slow_down(Duration::ZERO);
}

#[tokio::test]
async fn a_large_file_whose_client_hung_up_while_it_was_stored_is_stored_whole() {
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let platform = half_stored(name, &[]).await;
    let again = request(&platform, name, large(), &[("store", "true")]);
    has_text(&platform, again.send().await.unwrap()).await;
    let stored = store::versions(&platform.s3, &format!("recordings/{id}/audio.wav")).await;
    let pcm = wav::samples(&stored[0].1).unwrap();
    assert_eq!(pcm.len(), 4_500_000);
    // Nobody takes it away later.
    let condemned = store::versions(&platform.s3, &format!("condemned/{id}")).await;
    assert!(condemned.is_empty(), "it is to go");
}

#[tokio::test]
async fn half_a_large_file_that_nobody_sends_again_goes() {
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let platform = half_stored(name, &[("SPEAKR_SWEEP_AFTER", "2s")]).await;
    for left in ["recordings", "condemned"] {
        until_gone(&platform, &format!("{left}/{id}")).await;
    }
    // What is gone doesn't come back.
    let again = request(&platform, name, large(), &[("store", "true")]);
    assert_eq!(again.send().await.unwrap().status(), 422);
}

#[tokio::test]
async fn half_a_large_file_whose_service_was_killed_goes_after_a_day() {
    let swept_soon = [("SPEAKR_SWEEP_AFTER", "2s")];
    let name = CorrelationId::random();
    let id = RecordingId::from_correlation(name);
    let (mut platform, asking) = storing(name, &swept_soon).await;
    platform.query_svc.kill();
    assert!(asking.await.unwrap().is_err());
    go_on(&platform);
    let half = format!("condemned/half/{id}");
    until_stored(&platform, &half).await;

    // As long as it is young it stays.
    platform.restart(Role::QuerySvc, &swept_soon);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let stored = format!("recordings/{id}");
    until_stored(&platform, &stored).await;
    until_stored(&platform, &half).await;

    let Some(files) = platform.s3.files() else {
        println!("moto's objects can't be made older: the rest isn't tried");
        return;
    };
    let file = files.join("data").join(S3::BUCKET).join(&half);
    let file = File::options().write(true).open(file).unwrap();
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 3_600);
    file.set_modified(two_days_ago).unwrap();
    platform.restart(Role::QuerySvc, &swept_soon);
    for left in [stored, half, format!("condemned/{id}")] {
        until_gone(&platform, &left).await;
    }
    let deleted = store::versions(&platform.s3, &format!("tombstones/{id}")).await;
    assert!(!deleted.is_empty(), "it left no tombstone");
}
