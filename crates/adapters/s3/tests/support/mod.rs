//! An archive on a real S3 server, and things to put into it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;

use aws_sdk_s3::Client;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, Tags, Transcript,
    ports::{archive::Archive, speech::DecodeOptions},
};
use speakr_s3::{Credentials, S3Archive, S3Config};
use speakr_testkit::s3::{Kind, S3};

pub fn config(s3: &S3) -> S3Config {
    S3Config {
        endpoint: Some(s3.endpoint()),
        region: Some(S3::REGION.to_owned()),
        path_style: true,
        credentials: Some(Credentials::fixed(s3.access_key(), s3.secret_key())),
        part_bytes: 5 * 1_024 * 1_024,
        ..S3Config::new(S3::BUCKET)
    }
}

/// A server with versions, the archive in it, and a way to look behind the archive.
pub struct Place {
    pub s3: S3,
    pub archive: S3Archive,
    pub client: Client,
}

/// Runs `test` on every S3 server that is installed.
pub async fn each(test: impl AsyncFn(Place)) {
    for kind in Kind::installed().unwrap() {
        println!("on {kind}");
        test(Place::start(kind).await).await;
    }
}

/// Runs `test` on every S3 server that is installed, with their keys looked at.
pub async fn each_guarded(test: impl AsyncFn(Place)) {
    for kind in Kind::installed().unwrap() {
        println!("on {kind}");
        test(Place::with(S3::start_guarded(kind).unwrap()).await).await;
    }
}

impl Place {
    pub async fn start(kind: Kind) -> Self {
        Self::with(S3::start_kind(kind).unwrap()).await
    }

    pub async fn with(s3: S3) -> Self {
        let archive = S3Archive::open(&config(&s3)).await;
        let keys =
            aws_sdk_s3::config::Credentials::new(s3.access_key(), s3.secret_key(), None, None, "");
        let client = Client::from_conf(
            aws_sdk_s3::Config::builder()
                .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .region(aws_config::Region::new(S3::REGION))
                .endpoint_url(s3.endpoint())
                .credentials_provider(keys)
                .force_path_style(true)
                .build(),
        );
        Self {
            s3,
            archive,
            client,
        }
    }

    /// Writes an object behind the archive's back.
    pub async fn put(&self, key: &str, body: &'static str) {
        self.client
            .put_object()
            .bucket(S3::BUCKET)
            .key(key)
            .body(body.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    }

    /// Whatever holds `needle`: versions of objects and, where the server has them, files.
    pub async fn holding(&self, needle: &str) -> Vec<String> {
        let mut found = Vec::new();
        let versions = self
            .client
            .list_object_versions()
            .bucket(S3::BUCKET)
            .send()
            .await
            .unwrap();
        assert_ne!(versions.is_truncated(), Some(true));
        for version in versions.versions() {
            let key = version.key().unwrap();
            let object = self
                .client
                .get_object()
                .bucket(S3::BUCKET)
                .key(key)
                .set_version_id(version.version_id().map(ToOwned::to_owned))
                .send()
                .await
                .unwrap();
            let body = object.body.collect().await.unwrap().to_vec();
            if holds(&body, needle) {
                found.push(format!("{key} {}", version.version_id().unwrap()));
            }
        }
        if let Some(folder) = self.s3.files() {
            files_holding(&folder, needle, &mut found);
        }
        found
    }

    /// The keys of all objects.
    pub async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(S3::BUCKET);
        let listed = listed.send().await.unwrap();
        let keys = listed.contents().iter().filter_map(|o| o.key());
        keys.map(ToOwned::to_owned).collect()
    }

    /// Unfinished uploads.
    pub async fn uploads(&self) -> usize {
        let uploads = self.client.list_multipart_uploads().bucket(S3::BUCKET);
        uploads.send().await.unwrap().uploads().len()
    }
}

pub fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

pub fn recording() -> Recording {
    Recording::begin(
        CorrelationId::random(),
        Timestamp::from_second(1_700_000_000).unwrap(),
        Tags::new(["work"]),
        DecodeOptions::default(),
    )
}

pub fn transcript(recording: &Recording, text: &str) -> Transcript {
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
pub fn sound(samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|i| (i.wrapping_mul(7_919) ^ (i >> 7)) as i16)
        .collect()
}

pub async fn heard(archive: &S3Archive, id: RecordingId) -> Vec<i16> {
    let mut source = archive.open_sound(id).await.unwrap();
    let mut all = Vec::new();
    while let Some(samples) = source.next().await.unwrap() {
        all.extend(samples);
    }
    all
}

/// The files below `folder` that hold `needle`.
pub fn files_holding(folder: &Path, needle: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_holding(&path, needle, found);
        } else if holds(&std::fs::read(&path).unwrap_or_default(), needle) {
            found.push(path.display().to_string());
        }
    }
}
