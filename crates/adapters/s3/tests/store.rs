//! How the archive deals with the store: as whom, where, how encrypted, and with one that is full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::process::Command;

use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use speakr_core::ports::archive::{Archive, ArchiveError};
use speakr_s3::{Credentials, Encryption, S3Archive, S3Config};
use speakr_testkit::s3::{Kind, S3};
use support::{Place, config, each, each_guarded, recording, sound, transcript};

fn told(error: &ArchiveError) -> String {
    let cause = std::error::Error::source(error).expect("a cause");
    format!("{error}: {cause}")
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named() {
    each(async |place| {
        place.archive.check().await.unwrap();
        let elsewhere = S3Config {
            bucket: "nowhere".to_owned(),
            ..config(&place.s3)
        };
        let missing = S3Archive::open(&elsewhere).await.check().await.unwrap_err();
        let missing = told(&missing);
        assert!(
            missing.contains("there is no bucket \"nowhere\""),
            "{missing}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_bucket_that_refuses_the_keys_is_named_and_the_keys_are_not() {
    each_guarded(async |place| {
        let right = config(&place.s3);
        for (id, secret) in [("", "x"), ("x", "")] {
            let mut wrong = right.clone();
            wrong.credentials = Some(Credentials::fixed(
                format!("{}{id}", place.s3.access_key()),
                format!("{}{secret}", place.s3.secret_key()),
            ));
            let stranger = S3Archive::open(&wrong).await;
            let forbidden = stranger.begin(&recording()).await.map(drop).unwrap_err();
            let forbidden = told(&forbidden);
            let named = forbidden.contains("bucket \"speakr\" refuses these credentials");
            assert!(named, "{forbidden}");
            let shown = format!("{wrong:?} {forbidden}");
            assert!(!shown.contains(place.s3.secret_key()));
        }
    })
    .await;
}

/// Tells the child below where to go.
const ENDPOINT: &str = "SPEAKR_TEST_S3_ENDPOINT";

#[tokio::test]
async fn without_keys_in_the_settings_those_of_the_environment_are_used() {
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        let config = S3Config {
            endpoint: Some(endpoint),
            path_style: true,
            ..S3Config::new(S3::BUCKET)
        };
        match S3Archive::open(&config).await.check().await {
            Ok(()) => println!("taken"),
            Err(error) => println!("{}", told(&error)),
        }
        return;
    }
    each_guarded(async |place| {
        let child = |id: &str| {
            let output = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "--nocapture",
                    "without_keys_in_the_settings_those_of_the_environment_are_used",
                ])
                .env(ENDPOINT, place.s3.endpoint())
                .env("AWS_ACCESS_KEY_ID", id)
                .env("AWS_SECRET_ACCESS_KEY", place.s3.secret_key())
                .env("AWS_REGION", S3::REGION)
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let taken = match place.s3.kind() {
            Kind::Versitygw => "taken",
            // It knows the key, and fails to follow the signature (see the testkit).
            Kind::Moto => "SignatureDoesNotMatch",
        };
        let right = child(place.s3.access_key());
        assert!(right.contains(taken), "{right}");
        let other = child("another");
        assert!(other.contains("InvalidAccessKeyId"), "{other}");
    })
    .await;
}

#[tokio::test]
async fn every_object_bears_its_checksum_however_it_was_sent() {
    each(async |place| {
        let recording = recording();
        let id = recording.recording_id;
        let mut writer = place.archive.begin(&recording).await.unwrap();
        writer.write(&sound(100_000)).await.unwrap();
        writer.sync().await.unwrap();
        place.archive.compact_sound(id).await.unwrap();
        for name in ["recording.json", "audio.wav"] {
            let head = place
                .client
                .head_object()
                .bucket(S3::BUCKET)
                .key(format!("recordings/{id}/{name}"))
                .checksum_mode(ChecksumMode::Enabled)
                .send()
                .await
                .unwrap();
            assert!(head.checksum_sha256().is_some(), "{name}: {head:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_store_is_told_how_to_encrypt() {
    each(async |place| {
        let encrypted = S3Config {
            encryption: Encryption::Store,
            ..config(&place.s3)
        };
        let archive = S3Archive::open(&encrypted).await;
        let recording = recording();
        let id = recording.recording_id;
        drop(archive.begin(&recording).await.unwrap());
        assert_eq!(archive.recording(id).await.unwrap(), recording);
        let head = place
            .client
            .head_object()
            .bucket(S3::BUCKET)
            .key(format!("recordings/{id}/recording.json"))
            .send()
            .await
            .unwrap();
        // versitygw takes the header and leaves encryption to the file system below it.
        let told = match place.s3.kind() {
            Kind::Moto => Some(&ServerSideEncryption::Aes256),
            Kind::Versitygw => None,
        };
        assert_eq!(head.server_side_encryption(), told);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_a_crash_broke_off_goes_with_its_recording() {
    each(async |place| {
        let recording = recording();
        let id = recording.recording_id;
        drop(place.archive.begin(&recording).await.unwrap());
        for name in ["audio.wav", "transcript.json"] {
            place
                .client
                .create_multipart_upload()
                .bucket(S3::BUCKET)
                .key(format!("recordings/{id}/{name}"))
                .send()
                .await
                .unwrap();
        }
        assert_eq!(place.uploads().await, 2);
        place.archive.delete(id).await.unwrap();
        assert_eq!(place.uploads().await, 0);
    })
    .await;
}

/// Room in the small store.
const ROOM: u64 = 2 * 1_024 * 1_024;

#[tokio::test]
async fn a_store_that_is_full_says_so_and_keeps_what_it_has() {
    let small = Kind::installed()
        .unwrap()
        .contains(&Kind::Versitygw)
        .then(|| S3::start_small(ROOM));
    let s3 = match small {
        Some(Ok(s3)) => s3,
        Some(Err(error)) => {
            // Whoever may not mount a file system can't have a small one.
            println!("no full store here, {error}: the answer of one is tested in src/fault.rs");
            assert!(!is_root(), "{error}");
            return;
        }
        None => {
            println!("moto's store is as large as memory: a full one is tested with versitygw");
            let moto = S3::start_small(ROOM).map(drop);
            assert!(moto.is_err(), "versitygw isn't installed");
            return;
        }
    };
    let place = Place::with(s3).await;
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = place.archive.begin(&recording).await.unwrap();
    let text = transcript(&recording, "kept");
    place.archive.put_transcript(&text).await.unwrap();
    let mut error = None;
    for _ in 0..ROOM / 100_000 + 1 {
        writer.write(&sound(50_000)).await.unwrap();
        if let Err(full) = writer.sync().await {
            error = Some(full);
            break;
        }
    }
    let error = error.expect("it is full");
    let named = matches!(&error, ArchiveError::Full { place } if place.contains("s3://speakr/"));
    assert!(named, "{error:?}");
    assert_eq!(place.archive.transcript(id).await.unwrap(), Some(text));
}

fn is_root() -> bool {
    std::env::var_os("USER").is_some_and(|user| user == "root")
}
