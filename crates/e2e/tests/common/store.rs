//! Looks behind the platform's back into its store.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use speakr_testkit::s3::S3;

/// A client with all rights.
pub fn client(s3: &S3) -> Client {
    let credentials = Credentials::new(s3.access_key(), s3.secret_key(), None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(S3::REGION))
        .endpoint_url(s3.endpoint())
        .force_path_style(true)
        .credentials_provider(credentials)
        .build();
    Client::from_conf(config)
}

/// Keys and contents of all versions of all objects whose keys begin with `prefix`.
pub async fn versions(s3: &S3, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let client = client(s3);
    let mut all = Vec::new();
    let (mut after_key, mut after_version) = (None, None);
    loop {
        let page = client
            .list_object_versions()
            .bucket(S3::BUCKET)
            .prefix(prefix)
            .set_key_marker(after_key)
            .set_version_id_marker(after_version)
            .send()
            .await
            .unwrap();
        for version in page.versions() {
            let key = version.key().unwrap();
            let object = client
                .get_object()
                .bucket(S3::BUCKET)
                .key(key)
                .set_version_id(version.version_id().map(ToOwned::to_owned))
                .send();
            // One that was deleted since it was listed isn't there.
            let Ok(object) = object.await else { continue };
            let body = object.body.collect().await.unwrap();
            all.push((key.to_owned(), body.to_vec()));
        }
        if page.is_truncated() != Some(true) {
            break;
        }
        after_key = page.next_key_marker().map(ToOwned::to_owned);
        after_version = page.next_version_id_marker().map(ToOwned::to_owned);
    }
    all
}
