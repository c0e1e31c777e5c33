//! Connections to real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::Engine;
use speakr_nats::{
    Bus, BusConfig, BusError, Identity, Renewed,
    streams::{self, StreamSettings},
};
use speakr_testkit::{
    certificates::Certificates,
    nats::Nats,
    process::{Folder, free_port},
};

use crate::support::send_start;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SHIPPED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../deploy/nats/nats-server.conf"
);

/// A server from the shipped files, encrypted as they say, with one password for all users.
fn shipped_with(certificates: &Certificates) -> Nats {
    let passwords = ["TRANSCRIBER", "EMBEDDER", "QUERY_SVC", "CLI", "OPERATOR"]
        .map(|user| (format!("SPEAKR_NATS_{user}_PASSWORD"), "open".to_owned()));
    let folder = Folder::scratch().unwrap();
    Nats::start_shipped_tls(folder, Path::new(SHIPPED), passwords.into(), certificates).unwrap()
}

/// How the CLI gets there, trusting `ca`.
fn config(url: &str, ca: &Path) -> BusConfig {
    let mut config = BusConfig::new(url, "test");
    config.identity = Identity::Password {
        user: "cli".to_owned(),
        password: Renewed::fixed("open"),
    };
    config.inbox_prefix = Some("_INBOX_cli".to_owned());
    config.tls.ca = Some(ca.to_owned());
    config
}

#[tokio::test]
async fn tls_and_wss_are_spoken_with_the_ca_that_was_given_and_with_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificates::make(&folder.path().join("own")).unwrap();
    let other = Certificates::make(&folder.path().join("other")).unwrap();
    let nats = shipped_with(&own);
    for url in [nats.url(), nats.websocket_url().unwrap()] {
        let bus = Bus::connect(&config(&url, &own.ca))
            .await
            .unwrap_or_else(|e| panic!("{url}: {e:?}"));
        bus.client().flush().await.unwrap();
        let error = Bus::connect(&config(&url, &other.ca)).await.unwrap_err();
        assert!(
            matches!(error, BusError::Connect { .. }),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn new_certificates_are_used_from_the_next_connection_on() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificates::make(folder.path()).unwrap();
    let old = folder.path().join("old.pem");
    std::fs::copy(&own.ca, &old).unwrap();
    let mut nats = shipped_with(&own);
    let bus = Bus::connect(&config(&nats.url(), &own.ca)).await.unwrap();
    bus.client().flush().await.unwrap();

    // Renewed in their places. The server reads them again, and who is connected stays.
    Certificates::make(folder.path()).unwrap();
    nats.reload();
    let began = Instant::now();
    while Bus::connect(&config(&nats.url(), &old)).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "the old one is still shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Bus::connect(&config(&nats.url(), &own.ca)).await.unwrap();
    assert!(bus.is_connected());

    // So do we: a connection that is lost is made again with the new ones.
    nats.kill();
    nats.start_again().unwrap();
    let began = Instant::now();
    while !(bus.is_connected() && bus.client().flush().await.is_ok()) {
        assert!(began.elapsed() < PATIENCE, "it isn't connected again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificates::make(folder.path()).unwrap();
    let nats = Nats::start_mutual_tls(&own).unwrap();
    let mut config = BusConfig::new(&nats.url(), "test");
    config.tls.ca = Some(own.ca.clone());
    assert!(Bus::connect(&config).await.is_err());
    config.tls.client = Some((own.certificate, own.key));
    let bus = Bus::connect(&config).await.unwrap();
    bus.check().await.unwrap();
}

/// A JWT as NATS has them, signed by `issuer` (https://docs.nats.io, "JWTs"; the id is a digest that
/// servers don't check).
fn jwt(issuer: &nkeys::KeyPair, subject: &str, claims: serde_json::Value) -> String {
    let encode = |value: &serde_json::Value| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let header = serde_json::json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let body = serde_json::json!({
        "jti": uuid::Uuid::new_v4().simple().to_string(),
        "iat": jiff::Timestamp::now().as_second(),
        "iss": issuer.public_key(),
        "sub": subject,
        "name": "test",
        "nats": claims,
    });
    let signed = format!("{}.{}", encode(&header), encode(&body));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_credentials_file_opens_the_door() {
    let (operator, system, account, user) = (
        nkeys::KeyPair::new_operator(),
        nkeys::KeyPair::new_account(),
        nkeys::KeyPair::new_account(),
        nkeys::KeyPair::new_user(),
    );
    let claims = |kind: &str, more: serde_json::Value| {
        let mut claims = serde_json::json!({"type": kind, "version": 2});
        claims.as_object_mut().unwrap().extend(
            more.as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        claims
    };
    let of_operator = jwt(
        &operator,
        &operator.public_key(),
        claims("operator", serde_json::json!({})),
    );
    let any = serde_json::json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = jwt(
        &operator,
        &account.public_key(),
        claims("account", serde_json::json!({"limits": any})),
    );
    let of_system = jwt(
        &operator,
        &system.public_key(),
        // JetStream isn't allowed in it.
        claims("account", serde_json::json!({})),
    );
    let of_user = jwt(
        &account,
        &user.public_key(),
        claims(
            "user",
            serde_json::json!({"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}),
        ),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt.conf");
    let text = format!(
        "port: 0\nhttp: 0\noperator: {of_operator}\nsystem_account: {1}\nresolver: MEMORY\n\
         resolver_preload: {{ {0}: {of_account}, {1}: {of_system} }}\n\
         jetstream {{ store_dir: $SPEAKR_NATS_STORE, max_file_store: 32GB }}\n",
        account.public_key(),
        system.public_key()
    );
    std::fs::write(&file, text).unwrap();
    let nats = Nats::start_shipped(&file, Vec::new()).unwrap();
    let mut config = BusConfig::new(&nats.url(), "test");
    assert!(Bus::connect(&config).await.is_err());
    let credentials = folder.path().join("user.creds");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    );
    std::fs::write(&credentials, text).unwrap();
    config.identity = Identity::CredentialsFile(credentials);
    let bus = Bus::connect(&config).await.unwrap();
    bus.check().await.unwrap();
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
