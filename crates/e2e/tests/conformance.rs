//! Everything that goes over the bus of a platform, held against the contract.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[path = "common/bus.rs"]
mod bus;

use reqwest::Method;
use speakr_contract::{
    AudioData, catalogue,
    commands::{RecordingCancel, RecordingStart, TranscriptionRun},
    ids,
};
use speakr_e2e::{Speakr, clip, conformance::Listener, platform::Platform, program::PATIENCE};
use speakr_nats::{Bus, BusConfig, Request};
use speakr_testkit::nats::Nats;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_is_as_the_contract_has_it() {
    // The first attempt at what can't be worked on is the last.
    let platform = Platform::start_with(&[("SPEAKR_MAX_ATTEMPTS", "1")]);
    // A program that speaks: start, sound, stop, and what comes of them.
    let speakr = platform
        .environment()
        .into_iter()
        .filter(|(name, _)| name.starts_with("NATS_") || name.starts_with("SPEAKR_API_"))
        .fold(Speakr::new(), |speakr, (name, value)| {
            speakr.env(name, value)
        });
    let device = format!("file:{}", clip("jfk.wav").display());
    tokio::task::block_in_place(|| {
        let record = ["record", "--json", "--no-clipboard", "--device", &device];
        let _ = speakr.run(record).success();
    });
    // Another's program that asks over HTTP, and deletes it again.
    let answer = platform.transcribe("jfk.wav", &[("store", "true")]).await;
    let path = format!(
        "/api/v1/recordings/{}",
        answer["recording_id"].as_str().unwrap()
    );
    let deleted = platform.request(Method::DELETE, &path).send().await;
    assert!(deleted.unwrap().status().is_success());
    let bus = bus::connect(&platform, "cli").await;
    // What is thrown away, and what nobody can work on.
    let (cancelled, poison) = (Request::new(Uuid::new_v4()), Request::new(Uuid::new_v4()));
    bus.publish(&RecordingStart::default(), &cancelled, "start")
        .await
        .unwrap();
    let cancel = RecordingCancel {
        recording_id: ids::recording_id(cancelled.correlation_id),
    };
    bus.publish(&cancel, &cancelled, "cancel").await.unwrap();
    let run = TranscriptionRun {
        audio_data: Some(AudioData(b"no sound at all".to_vec())),
        ..TranscriptionRun::default()
    };
    bus.publish(&run, &poison, "poison").await.unwrap();

    let all = catalogue::all();
    let mut wanted: BTreeSet<&str> = all.iter().map(|entry| entry.subject).collect();
    wanted.extend([
        "speakr.audio",
        "speakr.dead_letter.command.transcription.run",
    ]);
    let began = Instant::now();
    loop {
        let heard = platform.heard();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|kind| !heard.kinds.contains_key(**kind))
            .collect();
        if missing.is_empty() {
            assert_eq!(heard.wrong, Vec::<String>::new());
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{missing:?} of {heard:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_is_not_as_the_contract_has_it_is_heard() {
    let nats = Nats::start().unwrap();
    let config = BusConfig::new(&nats.url(), "test");
    let mut listener = Listener::start(config.clone());
    let bus = Bus::connect(&config).await.unwrap();
    for subject in ["speakr.event.recording.paused", "speakr.audio.nobody"] {
        let client = bus.client();
        client.publish(subject, "{}".into()).await.unwrap();
        client.flush().await.unwrap();
    }
    let heard = tokio::task::spawn_blocking(move || listener.end());
    let heard = heard.await.unwrap();
    assert_eq!(heard.kinds.len(), 2, "{heard:?}");
    for subject in heard.kinds.keys() {
        let told = |wrong: &&String| wrong.starts_with(subject.as_str());
        assert!(heard.wrong.iter().any(|w| told(&w)), "{heard:?}");
    }
}
