//! Requests to `speakr serve` that come again under their name, after a first try that failed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, multipart};
use serde_json::Value;
use speakr_e2e::{
    Speakr,
    api_server::{ApiServer, problem},
    clip,
    program::{PATIENCE, microphone},
    wav,
};

/// A request to keep `file` with its text, under the name that all of a test have.
fn keeping(server: &ApiServer, file: Vec<u8>) -> RequestBuilder {
    keeping_as(server, file, "9b2f6a53-7a34-4e0c-9f57-0f4a7d2a4a12")
}

/// The same under another name.
fn keeping_as(server: &ApiServer, file: Vec<u8>, name: &str) -> RequestBuilder {
    let part = multipart::Part::bytes(file).file_name("sound.wav");
    let form = multipart::Form::new()
        .text("model", "whisper-1")
        .text("store", "true")
        .part("file", part);
    server
        .request(Method::POST, "/v1/audio/transcriptions")
        .header("Speakr-Correlation-Id", name)
        .multipart(form)
}

/// Long enough that its text isn't made before the test has seen some of it kept.
fn long(speakr: &Speakr) -> Vec<u8> {
    let sound = speakr.scratch().join("long.wav");
    let speech = wav::read(&clip("jfk.wav"));
    wav::write(&sound, &speech.repeat(10));
    fs::read(sound).unwrap()
}

/// What `look` sees at last.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The folder of a recording, once some of its sound is kept.
async fn half_kept(speakr: &Speakr) -> PathBuf {
    let recordings = speakr.recordings();
    until(|| {
        let begun = fs::read_dir(&recordings).into_iter().flatten().flatten();
        begun.map(|entry| entry.path()).find(|folder| {
            fs::metadata(folder.join("audio.pcm")).is_ok_and(|pcm| pcm.len() > 160_000)
        })
    })
    .await
}

async fn is_kept_when_it_comes_again(server: &ApiServer) {
    let file = fs::read(clip("jfk.wav")).unwrap();
    let answer = keeping(server, file).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("ask not"), "{text}");
    let list = server.told("/api/v1/recordings").await;
    assert_eq!(list["count"], 1, "{list}");
    let recording = &list["recordings"][0];
    assert_eq!(recording["state"], "transcribed");
    let length = recording["duration_ms"].as_u64().unwrap();
    assert!(length < 12_000, "{recording}");
}

#[tokio::test]
async fn what_was_no_sound_is_kept_when_it_comes_again_as_sound() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let noise = b"this is no sound".repeat(100);
    let refused = keeping(&server, noise).send().await.unwrap();
    problem(refused, 422, "refused").await;
    assert_eq!(fs::read_dir(speakr.recordings()).unwrap().count(), 0);
    is_kept_when_it_comes_again(&server).await;
}

#[tokio::test]
async fn what_its_client_left_half_way_is_kept_when_it_comes_again() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let client = tokio::spawn(keeping(&server, long(&speakr)).send());
    let folder = half_kept(&speakr).await;
    client.abort();
    until(|| (!folder.exists()).then_some(())).await;
    is_kept_when_it_comes_again(&server).await;
}

#[tokio::test]
async fn what_a_killed_server_left_half_way_is_kept_when_it_comes_again() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let token = server.token.clone();
    let client = tokio::spawn(keeping(&server, long(&speakr)).send());
    let folder = half_kept(&speakr).await;
    drop(server); // SIGKILL
    client.await.unwrap().unwrap_err();
    assert!(folder.join("audio.pcm").is_file());

    let mut server = ApiServer::start(&speakr, &[]);
    server.token = token;
    is_kept_when_it_comes_again(&server).await;
}

#[tokio::test]
async fn what_was_spoken_under_that_name_stays() {
    let speakr = Speakr::new();
    let speaking = speakr.start(["record", "--device", &microphone("jfk.wav")]);
    let folder = half_kept(&speakr).await;
    speaking.signal("KILL");
    drop(speaking);
    let spoken = fs::read(folder.join("audio.pcm")).unwrap();
    let description = fs::read(folder.join("recording.json")).unwrap();
    let description: Value = serde_json::from_slice(&description).unwrap();
    let name = description["correlation_id"].as_str().unwrap();

    let server = ApiServer::start(&speakr, &[]);
    let file = fs::read(clip("austen-0880.wav")).unwrap();
    let answer = keeping_as(&server, file, name).send().await.unwrap();
    problem(answer, 422, "refused").await;
    assert_eq!(fs::read(folder.join("audio.pcm")).unwrap(), spoken);
}
