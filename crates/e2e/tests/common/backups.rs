//! Backups, made and restored as docs/runbook.md says.

use std::path::Path;

use speakr_e2e::{
    platform::{DATABASE, Platform, Role},
    program::succeed,
};
use speakr_testkit::{process::StartError, s3::S3};

use super::store::client;

/// Copies all objects, as `aws s3 sync` does; gives how many there are, and their bytes.
pub async fn copy_bucket(from: &S3, to: &S3) -> (usize, u64) {
    let (from, to) = (client(from), client(to));
    let mut pages = from
        .list_objects_v2()
        .bucket(S3::BUCKET)
        .into_paginator()
        .send();
    let (mut objects, mut bytes) = (0, 0);
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents() {
            let key = object.key().unwrap();
            let object = from.get_object().bucket(S3::BUCKET).key(key).send().await;
            let object = object.unwrap();
            let metadata = object.metadata().cloned();
            let body = object.body.collect().await.unwrap().into_bytes();
            objects += 1;
            bytes += body.len() as u64;
            to.put_object()
                .bucket(S3::BUCKET)
                .key(key)
                .set_metadata(metadata)
                .body(body.into())
                .send()
                .await
                .unwrap();
        }
    }
    (objects, bytes)
}

/// Writes the database to a file.
pub fn dump_database(platform: &Platform, file: &Path) {
    let mut dump = platform.postgres.client("pg_dump");
    dump.args(["--format=custom", "--dbname", DATABASE, "--file"]);
    succeed(dump.arg(file));
}

/// Puts what such a file has in place of the database.
pub fn restore_database(platform: &Platform, file: &Path) {
    let mut restore = platform.postgres.client("pg_restore");
    restore.args(["--clean", "--if-exists", "--exit-on-error"]);
    succeed(restore.args(["--dbname", DATABASE]).arg(file));
}

/// Writes all streams to a folder; gives what is said of them.
pub fn back_up_streams(platform: &Platform, folder: &Path) -> String {
    streams(platform, "backup", folder).unwrap()
}

/// Makes the streams of such a folder anew.
pub fn restore_streams(platform: &Platform, folder: &Path) -> Result<String, StartError> {
    streams(platform, "restore", folder)
}

fn streams(platform: &Platform, what: &str, folder: &Path) -> Result<String, StartError> {
    let arguments = ["streams", what, folder.to_str().unwrap()];
    platform.run_as("operator", Role::Transcriber, &arguments)
}
