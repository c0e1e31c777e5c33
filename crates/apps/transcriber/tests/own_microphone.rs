//! What the service's own microphone hears is said once: it outlives the replica and the store's bad
//! moments.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

mod support;

use std::time::{Duration, Instant};

use speakr_contract::{
    CaptureSide,
    commands::RecordingStart,
    events::{RecordingFinished, RecordingStarted, TranscriptionSucceeded},
    ids,
};
use speakr_core::ports::archive::Archive;
use speakr_nats::Request;
use uuid::Uuid;

use crate::support::{Platform, Replica, long_file, request, samples, stop};

/// A second, in samples.
const SECOND: usize = 16_000;

/// A file that is played as the microphone of a service.
struct Microphone {
    device: String,
    _folder: tempfile::TempDir,
}

impl Microphone {
    /// One that hears the clip so many times over.
    fn hears(times: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("said.wav");
        std::fs::write(&file, long_file(times)).unwrap();
        Self {
            device: format!("file:{}", file.display()),
            _folder: folder,
        }
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [
            ("SPEAKR_HOST_CAPTURE", "1"),
            ("SPEAKR_HOST_DEVICE", &self.device),
        ]
    }
}

/// A replica that records with `microphone`.
async fn begin(platform: &mut Platform, microphone: &Microphone) -> (Replica, Request, Uuid) {
    let replica = platform.replica(&microphone.settings()).await;
    let client = request();
    let id = ids::recording_id(client.correlation_id);
    let start = RecordingStart {
        capture: CaptureSide::Host,
        ..RecordingStart::default()
    };
    platform.send(&start, &client).await;
    let _: RecordingStarted = platform.wait_for(id).await;
    (replica, client, id)
}

async fn kept(platform: &Platform, id: Uuid) -> Vec<i16> {
    let mut sound = platform.archive.open_sound(id.into()).await.unwrap();
    let mut all = Vec::new();
    while let Some(pcm) = sound.next().await.unwrap() {
        all.extend(pcm);
    }
    all
}

#[tokio::test]
async fn a_store_that_is_away_and_an_end_of_the_replica_cost_no_sound_that_was_heard() {
    let mut platform = Platform::start().await;
    let microphone = Microphone::hears(4);
    let (mut first, client, id) = begin(&mut platform, &microphone).await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    platform.s3.kill();
    tokio::time::sleep(Duration::from_secs(6)).await;
    platform.s3.start_again().unwrap();
    let status = first.ask_to_end();
    let heard_for = began.elapsed();
    assert!(status.success(), "{status}: {}", first.log());

    let said = samples().repeat(4);
    let sound = kept(&platform, id).await;
    assert!(
        sound == said[..sound.len()],
        "as it was said, without a gap"
    );
    // It was asked to end after nine seconds, with what the microphone had given by then.
    assert!(
        sound.len() > 8 * SECOND,
        "{} samples in {heard_for:?}: {}",
        sound.len(),
        first.log()
    );

    // Nobody is heard any more after a stop: another replica makes the text of what there is.
    platform.send(&stop(id, true), &client).await;
    let _second = platform.replica(&microphone.settings()).await;
    let finished: RecordingFinished = platform.wait_for(id).await;
    assert_eq!(finished.duration_ms, Some(sound.len() as u64 / 16));
    let succeeded: TranscriptionSucceeded = platform.wait_for(id).await;
    let text = succeeded.transcribed_text.to_lowercase();
    assert!(text.contains("fellow americans"), "{text}");
    platform.wait_until_all_is_answered().await;
}

#[tokio::test]
async fn a_killed_replica_loses_no_more_than_about_a_second() {
    let mut platform = Platform::start().await;
    let microphone = Microphone::hears(2);
    let (mut first, _, id) = begin(&mut platform, &microphone).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    first.kill();
    let sound = kept(&platform, id).await;
    assert!(sound == samples().repeat(2)[..sound.len()]);
    // A second between two writes, and what a busy machine takes for one.
    assert!(sound.len() > 5 * SECOND, "{} samples", sound.len());
}
