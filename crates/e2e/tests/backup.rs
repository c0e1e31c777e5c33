//! What docs/runbook.md says of backups: database, bucket and streams of one platform, put into another
//! that has nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

use std::{path::Path, process::Command, time::Duration};

#[path = "common/store.rs"]
mod store;

use aws_sdk_s3::Client;
use reqwest::Method;
use serde_json::{Value, json};
use speakr_contract::{AudioData, commands::TranscriptionRun, ids};
use speakr_e2e::{
    clip,
    platform::{DATABASE, Platform, Role},
    program::PATIENCE,
};
use speakr_nats::{Bus, BusConfig, Identity, Renewed, Request};
use speakr_testkit::s3::S3;
use uuid::Uuid;

/// Copies all objects, as `aws s3 sync` does.
async fn copy_bucket(from: &Client, to: &Client) -> usize {
    let listed = from.list_objects_v2().bucket(S3::BUCKET).send().await;
    let keys: Vec<String> = listed
        .unwrap()
        .contents()
        .iter()
        .filter_map(|object| object.key().map(str::to_owned))
        .collect();
    for key in &keys {
        let object = from.get_object().bucket(S3::BUCKET).key(key).send().await;
        let object = object.unwrap();
        let metadata = object.metadata().cloned();
        let body = object.body.collect().await.unwrap().into_bytes();
        to.put_object()
            .bucket(S3::BUCKET)
            .key(key)
            .set_metadata(metadata)
            .body(body.into())
            .send()
            .await
            .unwrap();
    }
    keys.len()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

async fn search(platform: &Platform, token: &str, query: &str) -> Value {
    let answer = platform
        .bare(Method::POST, "/api/v1/query")
        .bearer_auth(token)
        .json(&json!({"query_text": query}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Asks for the text of a clip that nobody works on yet.
async fn queue(platform: &Platform, name: &str) -> Uuid {
    let config = BusConfig {
        identity: Identity::Password {
            user: "cli".to_owned(),
            password: Renewed::fixed(platform.password("cli")),
        },
        inbox_prefix: Some("_INBOX_cli".to_owned()),
        ..BusConfig::new(&platform.nats.url(), "test")
    };
    let bus = Bus::connect(&config).await.unwrap();
    let request = Request::new(Uuid::new_v4());
    let run = TranscriptionRun {
        audio_data: Some(AudioData(std::fs::read(clip(name)).unwrap())),
        ..TranscriptionRun::default()
    };
    bus.publish(&run, &request, "queued").await.unwrap();
    ids::recording_id(request.correlation_id)
}

struct Backup<'a> {
    folder: &'a Path,
}

impl Backup<'_> {
    fn streams(&self) -> String {
        self.folder.join("streams").display().to_string()
    }

    fn dump(&self) -> String {
        self.folder.join("speakr.dump").display().to_string()
    }

    fn write(&self, platform: &Platform) {
        let said = platform
            .run_as(
                "operator",
                Role::Transcriber,
                &["streams", "backup", &self.streams()],
            )
            .unwrap();
        assert_eq!(said.lines().count(), 6, "{said}");
        succeed(platform.postgres.client("pg_dump").args([
            "--format=custom",
            "--dbname",
            DATABASE,
            "--file",
            &self.dump(),
        ]));
    }

    fn restore(&self, platform: &Platform) {
        succeed(platform.postgres.client("pg_restore").args([
            "--clean",
            "--if-exists",
            "--exit-on-error",
            "--dbname",
            DATABASE,
            &self.dump(),
        ]));
        let restore = ["streams", "restore", &self.streams()];
        platform
            .run_as("operator", Role::Transcriber, &restore)
            .unwrap();
        // What is there now isn't written over.
        let again = platform.run_as("operator", Role::Transcriber, &restore);
        let again = again.unwrap_err().to_string();
        assert!(again.contains("doesn't replace"), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_lost_is_made_again_from_its_backups() {
    let folder = tempfile::tempdir().unwrap();
    let backup = Backup {
        folder: folder.path(),
    };
    let (token, before, deleted, queued, spare);
    {
        let mut platform = Platform::start();
        token = platform.token().to_owned();
        for name in ["jfk.wav", "pv-en.wav"] {
            platform
                .transcribe(name, &[("store", "true"), ("tags", "kept")])
                .await;
        }
        let gone = platform
            .transcribe("austen-0880.wav", &[("store", "true")])
            .await;
        deleted = format!(
            "/api/v1/recordings/{}",
            gone["recording_id"].as_str().unwrap()
        );
        platform
            .query_until(&json!({"query_text": "young man"}), |found| {
                found["count"] == 3
            })
            .await;
        let removed = platform
            .request(Method::DELETE, &deleted)
            .send()
            .await
            .unwrap();
        assert!(removed.status().is_success());
        platform
            .query_until(&json!({"query_text": "young man"}), |found| {
                found["count"] == 2
            })
            .await;
        before = search(&platform, &token, "which platforms are in use").await;
        assert_eq!(before["count"], 2);
        platform.transcriber.kill();
        queued = queue(&platform, "LJ001-0005.wav").await;
        backup.write(&platform);
        spare = S3::start().unwrap();
        // Sound and text of two.
        assert!(copy_bucket(&store::client(&platform.s3), &store::client(&spare)).await >= 4);
    }

    let mut platform = Platform::start();
    for role in Role::ALL {
        platform.service_mut(role).kill();
    }
    copy_bucket(&store::client(&spare), &store::client(&platform.s3)).await;
    backup.restore(&platform);
    assert_eq!(platform.revive().len(), 3);
    for role in Role::ALL {
        platform
            .service_mut(role)
            .wait_until_ready(PATIENCE)
            .unwrap();
    }

    let list: Value = platform
        .bare(Method::GET, "/api/v1/recordings?tags=kept")
        .bearer_auth(&token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(list["count"], 2, "{list}");
    let gone = platform.bare(Method::GET, &deleted).bearer_auth(&token);
    let gone = gone.send().await.unwrap().status().as_u16();
    assert!([404, 410].contains(&gone), "{gone}");
    // What waited in the queue becomes text, and is found.
    let began = std::time::Instant::now();
    loop {
        let found = search(&platform, &token, "printing with movable letters").await;
        let ids = found["results"].as_array().unwrap();
        if ids.iter().any(|r| r["recording_id"] == queued.to_string()) {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{found}\n{}",
            platform.transcriber.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let removed = format!("/api/v1/recordings/{queued}");
    let removed = platform.bare(Method::DELETE, &removed).bearer_auth(&token);
    assert!(removed.send().await.unwrap().status().is_success());
    let after = search(&platform, &token, "which platforms are in use").await;
    assert_eq!(after, before);
}
