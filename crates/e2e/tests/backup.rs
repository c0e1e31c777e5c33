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

use std::{path::Path, time::Duration};

#[path = "common/backups.rs"]
mod backups;
#[path = "common/bus.rs"]
mod bus;
#[path = "common/store.rs"]
mod store;

use backups::{back_up_streams, copy_bucket, dump_database, restore_database, restore_streams};
use reqwest::Method;
use serde_json::{Value, json};
use speakr_contract::{AudioData, commands::TranscriptionRun, ids};
use speakr_e2e::{
    clip,
    platform::{Platform, Role},
    program::PATIENCE,
};
use speakr_nats::Request;
use speakr_testkit::s3::S3;
use uuid::Uuid;

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
    let bus = bus::connect(platform, "cli").await;
    let request = Request::new(Uuid::new_v4());
    let run = TranscriptionRun {
        audio_data: Some(AudioData(std::fs::read(clip(name)).unwrap())),
        ..TranscriptionRun::default()
    };
    bus::send(&bus, &run, &request).await;
    ids::recording_id(request.correlation_id)
}

struct Backup<'a> {
    folder: &'a Path,
}

impl Backup<'_> {
    fn write(&self, platform: &Platform) {
        let said = back_up_streams(platform, &self.folder.join("streams"));
        assert_eq!(said.lines().count(), 6, "{said}");
        dump_database(platform, &self.folder.join("speakr.dump"));
    }

    fn restore(&self, platform: &Platform) {
        restore_database(platform, &self.folder.join("speakr.dump"));
        let streams = self.folder.join("streams");
        restore_streams(platform, &streams).unwrap();
        // What is there now isn't written over.
        let again = restore_streams(platform, &streams).unwrap_err().to_string();
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
        assert!(copy_bucket(&platform.s3, &spare).await.0 >= 4);
    }

    let mut platform = Platform::start();
    for role in Role::ALL {
        platform.service_mut(role).kill();
    }
    copy_bucket(&spare, &platform.s3).await;
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
