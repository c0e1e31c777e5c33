//! The archive against a real S3 server with versions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::path::Path;

use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags, Transcript,
    ports::{
        archive::{Archive, ArchiveError, Deleted},
        speech::DecodeOptions,
    },
};
use speakr_s3::{Credentials, S3Archive, S3Config};
use speakr_testkit::s3::S3;

fn config(s3: &S3) -> S3Config {
    S3Config {
        endpoint: Some(s3.endpoint()),
        region: Some(S3::REGION.to_owned()),
        path_style: true,
        credentials: Some(Credentials {
            access_key_id: s3.access_key().to_owned(),
            secret_access_key: s3.secret_key().to_owned(),
        }),
        part_bytes: 5 * 1_024 * 1_024,
        ..S3Config::new(S3::BUCKET)
    }
}

/// A server whose bucket keeps versions, as production's does.
async fn start() -> (S3, S3Archive) {
    let s3 = S3::start().unwrap();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(aws_config::Region::new(S3::REGION))
        .endpoint_url(s3.endpoint())
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            s3.access_key(),
            s3.secret_key(),
            None,
            None,
            "test",
        ))
        .load()
        .await;
    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(true)
            .build(),
    );
    let versions = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    client
        .put_bucket_versioning()
        .bucket(S3::BUCKET)
        .versioning_configuration(versions)
        .send()
        .await
        .unwrap();
    let archive = S3Archive::open(&config(&s3)).await;
    (s3, archive)
}

fn recording() -> Recording {
    Recording::begin(
        CorrelationId::random(),
        Timestamp::from_second(1_700_000_000).unwrap(),
        Tags::new(["work"]),
        DecodeOptions::default(),
    )
}

fn transcript(recording: &Recording, text: &str) -> Transcript {
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 1_000,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments: Vec::new(),
    }
}

/// Sound that is nowhere the same.
fn sound(samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|i| (i.wrapping_mul(7_919) ^ (i >> 7)) as i16)
        .collect()
}

async fn heard(archive: &S3Archive, id: RecordingId) -> Vec<i16> {
    let mut source = archive.open_sound(id).await.unwrap();
    let mut all = Vec::new();
    while let Some(samples) = source.next().await.unwrap() {
        all.extend(samples);
    }
    all
}

/// The files below `folder` that hold `needle`, in name or content.
fn holding(folder: &Path, needle: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holding(&path, needle, found);
            continue;
        }
        let content = std::fs::read(&path).unwrap_or_default();
        if content
            .windows(needle.len())
            .any(|w| w == needle.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

fn files_with(s3: &S3, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["data", "versions", "metadata"] {
        holding(&s3.folder().join(part), needle, &mut found);
    }
    found
}

#[tokio::test]
async fn sound_goes_in_as_it_comes_and_becomes_one_file_of_many_parts() {
    let (_s3, archive) = start().await;
    let recording = recording();
    let id = recording.recording_id;
    // Some twelve megabytes: three parts.
    let pcm = sound(6_000_001);
    let mut writer = archive.begin(&recording).await.unwrap();
    for block in pcm.chunks(500_000) {
        writer.write(block).await.unwrap();
    }
    writer.sync().await.unwrap();
    assert_eq!(writer.samples(), pcm.len() as u64);
    assert!(heard(&archive, id).await == pcm);
    archive.compact_sound(id).await.unwrap();
    archive.compact_sound(id).await.unwrap(); // Again: nothing to do.
    assert!(heard(&archive, id).await == pcm);

    let file = archive.sound_file(id).await.unwrap();
    let path = file.to_path_buf();
    assert_eq!(path.extension().unwrap(), "wav");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 80 + 2 * pcm.len());
    assert_eq!(&bytes[..4], b"RIFF");
    drop(file);
    assert!(!path.exists(), "the copy stays");
    assert!(matches!(
        archive.resume(id).await,
        Err(ArchiveError::NotFound(_))
    ));
}

#[tokio::test]
async fn another_process_goes_on_where_the_first_left_off() {
    let (s3, archive) = start().await;
    let recording = recording();
    let id = recording.recording_id;
    let pcm = sound(200_000);
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&pcm[..90_000]).await.unwrap();
    writer.sync().await.unwrap();
    writer.write(&pcm[90_000..90_100]).await.unwrap(); // Lost with the process.

    let other = S3Archive::open(&config(&s3)).await;
    let mut resumed = other.resume(id).await.unwrap();
    assert_eq!(resumed.samples(), 90_000);
    resumed.write(&pcm[90_000..]).await.unwrap();
    resumed.sync().await.unwrap();
    // The first isn't dead after all: it may not mix its sound into the other's.
    writer.write(&[7; 200]).await.unwrap();
    let error = writer.sync().await.unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error:?}");
    assert!(heard(&archive, id).await == pcm);
    assert!(archive.begin(&recording).await.is_err(), "begun twice");
}

#[tokio::test]
async fn descriptions_and_texts_come_back_and_what_is_missing_is_told() {
    let (_s3, archive) = start().await;
    let mut recording = recording();
    let id = recording.recording_id;
    assert!(matches!(
        archive.update(&recording).await,
        Err(ArchiveError::NotFound(_))
    ));
    assert!(matches!(
        archive.recording(id).await,
        Err(ArchiveError::NotFound(_))
    ));
    drop(archive.begin(&recording).await.unwrap());
    assert_eq!(archive.recording(id).await.unwrap(), recording);
    assert_eq!(archive.transcript(id).await.unwrap(), None);
    let text = transcript(&recording, "some words");
    archive.put_transcript(&text).await.unwrap();
    recording.state = RecordingState::Transcribed;
    archive.update(&recording).await.unwrap();
    assert_eq!(archive.recording(id).await.unwrap(), recording);
    assert_eq!(archive.transcript(id).await.unwrap(), Some(text));
    assert_eq!(archive.ids().await.unwrap(), [id]);
    assert_eq!(archive.resume(id).await.unwrap().samples(), 0);
}

#[tokio::test]
async fn a_damaged_description_is_made_again_from_the_text() {
    let (s3, archive) = start().await;
    let recording = recording();
    let id = recording.recording_id;
    drop(archive.begin(&recording).await.unwrap());
    let text = transcript(&recording, "some words");
    archive.put_transcript(&text).await.unwrap();
    let object = format!("data/{}/recordings/{id}/recording.json", S3::BUCKET);
    std::fs::write(s3.folder().join(object), "garbage").unwrap();
    let rebuilt = archive.recording(id).await.unwrap();
    assert_eq!(rebuilt.state, RecordingState::Transcribed);
    assert_eq!(rebuilt.tags, recording.tags);
    assert_eq!(archive.recording(id).await.unwrap(), rebuilt);
}

#[tokio::test]
async fn a_deletion_takes_every_version_and_nothing_brings_it_back() {
    let (s3, archive) = start().await;
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound(1_000)).await.unwrap();
    writer.sync().await.unwrap();
    for words in ["zucchini first", "zucchini second"] {
        let text = transcript(&recording, words);
        archive.put_transcript(&text).await.unwrap();
    }
    assert!(files_with(&s3, "zucchini").len() >= 2, "no old version");
    let deleted = archive.delete(id).await.unwrap();
    assert!(deleted.sound && deleted.text && deleted.bytes > 2_000);
    assert_eq!(files_with(&s3, "zucchini"), Vec::<String>::new());
    assert_eq!(archive.delete(id).await.unwrap(), Deleted::default());
    assert!(archive.is_deleted(id).await.unwrap());
    assert!(archive.ids().await.unwrap().is_empty());

    let late = transcript(&recording, "zucchini third");
    for result in [
        archive.put_transcript(&late).await,
        archive.update(&recording).await,
        archive.begin(&recording).await.map(drop),
        archive.recording(id).await.map(drop),
    ] {
        assert!(
            matches!(result, Err(ArchiveError::Deleted(_))),
            "{result:?}"
        );
    }
    // A writer that was at work meanwhile leaves nothing either.
    writer.write(&sound(10)).await.unwrap();
    let error = writer.sync().await.unwrap_err();
    assert!(matches!(error, ArchiveError::Deleted(_)), "{error:?}");
    assert_eq!(archive.finish_deletions().await.unwrap(), 0);
    let unknown = self::recording().recording_id;
    assert!(matches!(
        archive.delete(unknown).await,
        Err(ArchiveError::NotFound(_))
    ));
}

#[tokio::test]
async fn a_deletion_that_a_crash_broke_off_is_finished() {
    let (s3, archive) = start().await;
    let recording = recording();
    let id = recording.recording_id;
    drop(archive.begin(&recording).await.unwrap());
    let text = transcript(&recording, "zucchini");
    archive.put_transcript(&text).await.unwrap();
    // The tombstone alone was written.
    let tombstones = s3.folder().join("data").join(S3::BUCKET).join("tombstones");
    std::fs::create_dir(&tombstones).unwrap();
    std::fs::write(tombstones.join(id.to_string()), "").unwrap();
    assert!(archive.ids().await.unwrap().is_empty());
    assert_eq!(archive.finish_deletions().await.unwrap(), 1);
    assert_eq!(files_with(&s3, "zucchini"), Vec::<String>::new());
}

#[tokio::test]
async fn a_bucket_that_is_missing_or_forbidden_is_named() {
    let (s3, archive) = start().await;
    archive.check().await.unwrap();
    let cause = |error: ArchiveError| {
        let source = std::error::Error::source(&error)
            .expect("a cause")
            .to_string();
        format!("{error}: {source}")
    };
    let elsewhere = S3Config {
        bucket: "nowhere".to_owned(),
        ..config(&s3)
    };
    let missing = S3Archive::open(&elsewhere).await.check().await.unwrap_err();
    let missing = cause(missing);
    assert!(
        missing.contains("there is no bucket \"nowhere\""),
        "{missing}"
    );

    let mut wrong = config(&s3);
    if let Some(credentials) = &mut wrong.credentials {
        credentials.secret_access_key.push('x');
    }
    let stranger = S3Archive::open(&wrong).await;
    let forbidden = cause(stranger.begin(&recording()).await.map(drop).unwrap_err());
    let named = forbidden.contains("bucket \"speakr\" refuses these credentials");
    assert!(named, "{forbidden}");
    assert!(!format!("{wrong:?}").contains(s3.secret_key()));
}

#[tokio::test]
async fn a_store_that_comes_back_is_used_again_and_has_what_it_was_given() {
    let (mut s3, archive) = start().await;
    let recording = recording();
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound(5_000)).await.unwrap();
    s3.kill();
    writer.sync().await.unwrap_err();
    s3.restart().unwrap();
    writer.sync().await.unwrap();
    assert!(heard(&archive, recording.recording_id).await == sound(5_000));
}
