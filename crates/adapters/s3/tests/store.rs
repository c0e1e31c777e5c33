//! How the archive deals with the store: as whom, where, how encrypted, and with one that is full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{path::Path, process::Command};

use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption};
use futures::StreamExt;
use speakr_core::ports::archive::{Archive, ArchiveError};
use speakr_s3::{Authorities, Credentials, Encryption, S3Archive, S3Config};
use speakr_testkit::{
    certificates::Certificates,
    s3::{Kind, S3},
};
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
        let right = child(place.s3.access_key());
        let taken = match place.s3.kind() {
            Kind::Versitygw => right.contains("taken"),
            // It knows the key, and takes many a good signature for a bad one (see the testkit).
            Kind::Moto => !right.contains("InvalidAccessKeyId"),
        };
        assert!(taken, "{right}");
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

#[tokio::test]
async fn uploads_that_fill_more_than_a_page_go_with_their_recording() {
    /// More than a page of a listing has.
    const UPLOADS: usize = 1_010;

    each(async |place| {
        let recording = recording();
        let id = recording.recording_id;
        drop(place.archive.begin(&recording).await.unwrap());
        let begin = |_| {
            let upload = place.client.create_multipart_upload();
            let upload = upload.bucket(S3::BUCKET);
            upload.key(format!("recordings/{id}/audio.wav")).send()
        };
        let begun = futures::stream::iter(0..UPLOADS).map(begin);
        let begun: Vec<_> = begun.buffer_unordered(8).collect().await;
        assert!(begun.iter().all(Result::is_ok));
        assert!(place.uploads().await > 0);
        place.archive.delete(id).await.unwrap();
        assert_eq!(place.uploads().await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_store_is_told_which_key_of_the_key_management_service_to_use() {
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/8c6f1d0e-52a7-4b0d-9a3e-4b1f70c2d6a5";

    if !Kind::installed().unwrap().contains(&Kind::Moto) {
        println!("versitygw has no keys of its own: what is asked is seen with moto");
        return;
    }
    let place = Place::start(Kind::Moto).await;
    let encrypted = S3Config {
        encryption: Encryption::Kms {
            key: KEY.to_owned(),
        },
        ..config(&place.s3)
    };
    let archive = S3Archive::open(&encrypted).await;
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound(100_000)).await.unwrap();
    writer.sync().await.unwrap();
    drop(writer);
    let text = transcript(&recording, "kept");
    archive.put_transcript(&text).await.unwrap();
    let check = async |name: &str| {
        let head = place
            .client
            .head_object()
            .bucket(S3::BUCKET)
            .key(format!("recordings/{id}/{name}"))
            .send()
            .await
            .unwrap();
        let told = head.server_side_encryption();
        assert_eq!(told, Some(&ServerSideEncryption::AwsKms), "{name}");
        assert_eq!(head.ssekms_key_id(), Some(KEY), "{name}");
    };
    for name in [
        "recording.json",
        "transcript.json",
        "sound/begun",
        "sound/0000000000000000.pcm",
    ] {
        check(name).await;
    }
    // One that is put together of parts.
    archive.compact_sound(id).await.unwrap();
    check("audio.wav").await;
    assert_eq!(archive.transcript(id).await.unwrap(), Some(text));
}

#[tokio::test]
async fn a_store_with_a_certificate_of_its_own_is_spoken_to_by_who_was_told_of_it_alone() {
    if !Kind::installed().unwrap().contains(&Kind::Versitygw) {
        println!("moto speaks no TLS here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let own = Certificates::make(&folder.path().join("own")).unwrap();
    let other = Certificates::make(&folder.path().join("other")).unwrap();
    let s3 = S3::start_tls(&own).unwrap();
    assert!(s3.endpoint().starts_with("https://"));
    let trusting = |file: Option<&Path>| S3Config {
        authorities: file.map(|file| Authorities::read(file).unwrap()),
        ..config(&s3)
    };
    let archive = S3Archive::open(&trusting(Some(&own.ca))).await;
    archive.check().await.unwrap();
    let recording = recording();
    drop(archive.begin(&recording).await.unwrap());
    let read = archive.recording(recording.recording_id).await.unwrap();
    assert_eq!(read, recording);
    for file in [None, Some(other.ca.as_path())] {
        let stranger = S3Archive::open(&trusting(file)).await;
        let error = told(&stranger.check().await.unwrap_err());
        assert!(error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_bucket_that_takes_no_writes_is_told_from_one_that_does() {
    each(async |mut place| {
        place.archive.check_writable().await.unwrap();
        assert_eq!(place.uploads().await, 0, "nothing is left of it");
        let versions = place.client.list_object_versions().bucket(S3::BUCKET);
        let versions = versions.send().await.unwrap();
        assert_eq!(versions.versions().len(), 0, "{versions:?}");
        if place.s3.kind() == Kind::Moto {
            println!("moto takes all writes");
            return;
        }
        place.s3.start_again_read_only(true).unwrap();
        place.archive.check().await.unwrap();
        let refused = told(&place.archive.check_writable().await.unwrap_err());
        let named = refused.contains("bucket \"speakr\" refuses these credentials");
        assert!(named, "{refused}");
    })
    .await;
}
