//! How long it takes to make backups of a platform with many recordings, and to make it again from them.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

#[path = "common/backups.rs"]
mod backups;
#[path = "common/bus.rs"]
mod bus;
#[path = "common/many_recordings.rs"]
mod many_recordings;
#[path = "common/store.rs"]
mod store;

use backups::{back_up_streams, copy_bucket, dump_database, restore_database, restore_streams};
use many_recordings::{fill, queries, rebuild};
use reqwest::Method;
use serde_json::{Value, json};
use speakr_contract::{AudioData, commands::TranscriptionRun};
use speakr_e2e::{
    clip,
    platform::{Platform, Role},
    program::PATIENCE,
};
use speakr_nats::Request;
use speakr_testkit::s3::S3;
use uuid::Uuid;

/// Recordings of two minutes, where SPEAKR_RECOVERY_RECORDINGS doesn't say another number.
const RECORDINGS: usize = 1_000;

/// Commands that wait on the bus, a minute of sound each.
const COMMANDS: usize = 60;

fn recordings() -> usize {
    std::env::var("SPEAKR_RECOVERY_RECORDINGS").map_or(RECORDINGS, |number| number.parse().unwrap())
}

/// A minute of sound, WAV of 16 kHz, mono, 16 bits: 1.9 MB, half of what a command may bring along. It is noise, which no
/// backup makes smaller.
fn minute(number: u64) -> Vec<u8> {
    let bytes = 60 * 32_000_u32;
    let mut wav = std::fs::read(clip("jfk.wav")).unwrap()[..44].to_vec();
    wav[4..8].copy_from_slice(&(bytes + 36).to_le_bytes());
    wav[40..44].copy_from_slice(&bytes.to_le_bytes());
    let mut noise = fastrand::Rng::with_seed(number);
    wav.extend((0..bytes).map(|_| noise.u8(..)));
    wav
}

/// Asks for the text of a minute of sound that nobody works on yet, so many times.
async fn queue(platform: &Platform, commands: usize) {
    let bus = bus::connect(platform, "cli").await;
    for number in 0..commands {
        let run = TranscriptionRun {
            audio_data: Some(AudioData(minute(number as u64))),
            ..TranscriptionRun::default()
        };
        bus::send(&bus, &run, &Request::new(Uuid::new_v4())).await;
    }
}

/// What is found, with a token of the platform that was lost.
async fn found(platform: &Platform, token: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for query in queries() {
        let answer = platform
            .bare(Method::POST, "/api/v1/query")
            .bearer_auth(token)
            .json(&json!({"query_text": query}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        found.push(answer.json().await.unwrap());
    }
    found
}

fn bytes_below(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().unwrap().len();
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries
        .map(|entry| bytes_below(&entry.unwrap().path()))
        .sum()
}

fn tell(what: &str, bytes: Option<u64>, backup: Option<Duration>, restore: Option<Duration>) {
    let seconds = |time: Option<Duration>| {
        time.map_or_else(String::new, |time| format!("{:.1}", time.as_secs_f64()))
    };
    let megabytes = bytes.map_or_else(String::new, |bytes| {
        format!("{:.1}", bytes as f64 / 1_000_000.0)
    });
    println!(
        "| {what} | {megabytes} | {} | {} |",
        seconds(backup),
        seconds(restore)
    );
}

#[ignore = "measures, for minutes (make recovery-times)"]
#[tokio::test(flavor = "multi_thread")]
async fn a_platform_with_many_recordings_is_made_again_and_each_part_of_it_is_timed() {
    let recordings = recordings();
    let folder = tempfile::tempdir().unwrap();
    let (streams, dump) = (folder.path().join("streams"), folder.path().join("dump"));
    let mut lost = Platform::start();
    let token = lost.token().to_owned();
    let spoken = lost.transcribe("jfk.wav", &[("store", "true")]).await;
    lost.embedder.kill();
    lost.transcriber.kill();
    fill(&lost, spoken["recording_id"].as_str().unwrap(), recordings).await;
    let all = recordings + 1;

    let began = Instant::now();
    assert_eq!(rebuild(&lost).0, all);
    let index_made = began.elapsed();
    let passages: usize = lost
        .sql("SELECT count(*) FROM speakr.vectors")
        .parse()
        .unwrap();
    let before = found(&lost, &token).await;
    queue(&lost, COMMANDS).await;

    let began = Instant::now();
    dump_database(&lost, &dump);
    let database_saved = began.elapsed();
    let began = Instant::now();
    let _ = back_up_streams(&lost, &streams);
    let streams_saved = began.elapsed();
    assert!(bytes_below(&streams) > COMMANDS as u64 * 1_900_000);
    let spare = S3::start().unwrap();
    let began = Instant::now();
    let (objects, stored) = copy_bucket(&lost.s3, &spare).await;
    let bucket_saved = began.elapsed();
    lost.end();
    drop(lost);

    let mut platform = Platform::start();
    for role in Role::ALL {
        platform.service_mut(role).kill();
    }
    let whole = Instant::now();
    let began = Instant::now();
    restore_database(&platform, &dump);
    let database_back = began.elapsed();
    let began = Instant::now();
    let _ = restore_streams(&platform, &streams).unwrap();
    let streams_back = began.elapsed();
    let began = Instant::now();
    assert_eq!(
        copy_bucket(&spare, &platform.s3).await,
        (objects, stored),
        "objects, bytes"
    );
    let bucket_back = began.elapsed();
    let began = Instant::now();
    assert_eq!(platform.revive().len(), 3);
    for role in Role::ALL {
        platform
            .service_mut(role)
            .wait_until_ready(PATIENCE)
            .unwrap();
    }
    let after = found(&platform, &token).await;
    let served = began.elapsed();
    let whole = whole.elapsed();
    assert_eq!(after, before);

    println!("{recordings} recordings of two minutes, {passages} passages with vectors");
    println!("| what | MB | backup, s | restore, s |");
    println!("|---|---:|---:|---:|");
    tell(
        "database (`pg_dump`, `pg_restore`)",
        Some(bytes_below(&dump)),
        Some(database_saved),
        Some(database_back),
    );
    tell(
        "streams (`speakr-transcriber streams`)",
        Some(bytes_below(&streams)),
        Some(streams_saved),
        Some(streams_back),
    );
    tell(
        &format!("bucket, object by object ({objects})"),
        Some(stored),
        Some(bucket_saved),
        Some(bucket_back),
    );
    tell(
        "until the services answer as before",
        None,
        None,
        Some(served),
    );
    tell("**all of it**", None, None, Some(whole));
    tell(
        "or the index from the bucket (`speakr-embedder rebuild`)",
        None,
        None,
        Some(index_made),
    );
}
