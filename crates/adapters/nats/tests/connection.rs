//! Connections to real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair};
use speakr_nats::{
    Bus, BusConfig, BusError, Identity, Renewed, TlsFiles,
    streams::{self, StreamSettings},
};
use speakr_testkit::{nats::Nats, process::free_port};

use crate::support::send_start;

/// A CA, and a certificate of 127.0.0.1 that it vouches for, as PEM files.
fn certificates(folder: &std::path::Path) -> TlsFiles {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        ca: Some(write("ca.pem", ca_certificate.pem())),
        client: Some((
            write("cert.pem", certificate.pem()),
            write("key.pem", key.serialize_pem()),
        )),
    }
}

#[tokio::test]
async fn tls_and_wss_are_spoken_with_the_ca_that_was_given_and_with_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificates(folder.path());
    let (certificate, key) = files.client.clone().unwrap();
    let websocket_port = free_port().unwrap();
    let nats = Nats::start_tls(&certificate, &key, websocket_port).unwrap();
    for url in [nats.url(), format!("wss://127.0.0.1:{websocket_port}")] {
        let mut config = BusConfig::new(&url, "test");
        config.tls.ca.clone_from(&files.ca);
        let bus = Bus::connect(&config)
            .await
            .unwrap_or_else(|e| panic!("{url}: {e:?}"));
        bus.check().await.unwrap_or_else(|e| panic!("{url}: {e:?}"));
        let other = tempfile::tempdir().unwrap();
        config.tls.ca = certificates(other.path()).ca;
        let error = Bus::connect(&config).await.unwrap_err();
        assert!(
            matches!(error, BusError::Connect { .. }),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_nkey_opens_the_door() {
    let key = nkeys::KeyPair::new_user();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nkey.conf");
    let text = format!(
        "port: 0\nhttp: 0\nauthorization {{ users: [ {{ nkey: {} }} ] }}\njetstream {{ store_dir: $SPEAKR_NATS_STORE, max_file_store: 32GB }}\n",
        key.public_key()
    );
    std::fs::write(&file, text).unwrap();
    let nats = Nats::start_shipped(&file, Vec::new()).unwrap();
    let mut config = BusConfig::new(&nats.url(), "test");
    assert!(Bus::connect(&config).await.is_err());
    config.identity = Identity::Nkey(Renewed::fixed(key.seed().unwrap()));
    let bus = Bus::connect(&config).await.unwrap();
    bus.check().await.unwrap();
}

#[tokio::test]
async fn a_new_password_is_used_at_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password.conf");
    let text = "port: 0\nhttp: 0\nauthorization { user: ada, password: first }\n\
                jetstream { store_dir: $SPEAKR_NATS_STORE, max_file_store: 32GB }\n";
    std::fs::write(&file, text).unwrap();
    let mut nats = Nats::start_shipped(&file, Vec::new()).unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "first").unwrap();
    let read = secret.clone();
    let mut config = BusConfig::new(&nats.url(), "test");
    config.identity = Identity::Password {
        user: "ada".to_owned(),
        password: Renewed::new(move || std::fs::read_to_string(&read).map_err(|e| e.to_string())),
    };
    let bus = Bus::connect(&config).await.unwrap();
    bus.check().await.unwrap();

    nats.kill();
    let own = nats.log().with_file_name("nats-server.conf");
    let text = std::fs::read_to_string(&own).unwrap();
    std::fs::write(&own, text.replace("first", "second")).unwrap();
    nats.start_again().unwrap();
    std::fs::write(&secret, "second").unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while bus.check().await.is_err() {
        assert!(std::time::Instant::now() < until, "{:?}", bus.check().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_missing_server_is_named_without_its_password() {
    let port = free_port().unwrap();
    let config = BusConfig::new(&format!("nats://ada:{port}x@127.0.0.1:{port}"), "test");
    let error = Bus::connect(&config).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("can't connect to NATS at nats://127.0.0.1:{port}")
    );
}

#[tokio::test]
async fn a_service_may_start_before_its_server_and_goes_on_after_it_was_away() {
    let mut nats = Nats::start().unwrap();
    nats.kill();
    let mut config = BusConfig::new(&nats.url(), "test");
    config.start_without_server = true;
    let bus = Bus::connect(&config).await.unwrap();
    assert!(!bus.is_connected());
    for _ in 0..2 {
        nats.start_again().unwrap();
        let began = Instant::now();
        while bus.check().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it comes back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(bus.is_connected());
        streams::ensure(&bus, &StreamSettings::default())
            .await
            .unwrap();
        send_start(&bus).await;
        nats.kill();
        let began = Instant::now();
        while bus.is_connected() {
            assert!(began.elapsed() < Duration::from_secs(60), "it notices");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
