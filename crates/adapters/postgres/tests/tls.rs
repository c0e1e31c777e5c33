//! How strictly the connection is encrypted. The server is real PostgreSQL; one that was built without
//! TLS gets it from a few lines in front of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{CertificateParams, Issuer, KeyPair};
use speakr_postgres::{Database, PostgresConfig, Tls, TlsMode, migrate};
use support::{Place, told};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// What a client sends that wants TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A certificate for `name` by an authority of its own, whose certificate is the PEM.
fn certificate(name: &str) -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    (pem, certificate.der().clone(), key.into())
}

/// Speaks TLS to clients that ask for it, and what they say to the server on `port`.
async fn front(port: u16, acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                if request == TLS_REQUEST {
                    client.write_all(b"S").await?;
                    let mut client = acceptor.accept(client).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                } else {
                    server.write_all(&request).await?;
                    copy_bidirectional(&mut client, &mut server).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

struct Fronted {
    _place: Place,
    _folder: tempfile::TempDir,
    config: PostgresConfig,
    authority: PathBuf,
    stranger: PathBuf,
}

impl Fronted {
    /// A server with a certificate for `name`, reached as localhost.
    async fn start(name: &str) -> Self {
        let place = Place::start();
        let (_, mut config) = place.empty();
        migrate(&config).await.unwrap();
        let (authority_pem, certificate, key) = certificate(name);
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let address = front(place.server.port(), TlsAcceptor::from(Arc::new(server))).await;
        let port = place.server.port();
        config.url = config.url.replace(
            &format!("127.0.0.1:{port}"),
            &format!("localhost:{}", address.port()),
        );
        let folder = tempfile::tempdir().unwrap();
        let (authority, stranger) = (folder.path().join("a.pem"), folder.path().join("b.pem"));
        std::fs::write(&authority, authority_pem).unwrap();
        std::fs::write(&stranger, self::certificate(name).0).unwrap();
        Self {
            _place: place,
            _folder: folder,
            config,
            authority,
            stranger,
        }
    }

    async fn connect(&self, mode: TlsMode, root: Option<&PathBuf>) -> Result<(), String> {
        let mut config = self.config.clone();
        config.acquire_timeout = std::time::Duration::from_secs(3);
        config.tls = Tls {
            mode: Some(mode),
            root_certificate: root.cloned(),
            client: None,
        };
        let database = Database::connect(&config).await.map_err(|e| told(&e))?;
        database.check().await.map_err(|e| told(&e))?;
        database.close().await;
        Ok(())
    }
}

#[tokio::test]
async fn the_strict_modes_take_only_certificates_by_whom_we_trust() {
    let server = Fronted::start("localhost").await;
    for mode in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require] {
        server.connect(mode, None).await.unwrap();
    }
    for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
        server.connect(mode, Some(&server.authority)).await.unwrap();
        for root in [None, Some(&server.stranger)] {
            let error = server.connect(mode, root).await.unwrap_err();
            assert!(error.contains("certificate"), "{mode:?}: {error}");
        }
    }
}

#[tokio::test]
async fn only_the_strictest_mode_looks_at_the_name() {
    let server = Fronted::start("elsewhere.example").await;
    let root = Some(&server.authority);
    server.connect(TlsMode::VerifyCa, root).await.unwrap();
    let error = server.connect(TlsMode::VerifyFull, root).await.unwrap_err();
    assert!(
        error.contains("elsewhere.example") || error.contains("name"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_taken_only_where_that_is_allowed() {
    let place = Place::start();
    let (_, mut config) = place.empty();
    migrate(&config).await.unwrap();
    for (mode, taken) in [
        (TlsMode::Disable, true),
        (TlsMode::Prefer, true),
        (TlsMode::Require, false),
        (TlsMode::VerifyFull, false),
    ] {
        config.tls.mode = Some(mode);
        assert_eq!(Database::connect(&config).await.is_ok(), taken, "{mode:?}");
    }
}

/// On Linux and macOS a name of this machine that doesn't say so: 0.0.0.0 leads to the loopback device.
#[cfg(unix)]
#[tokio::test]
async fn a_connection_that_leaves_this_machine_and_is_not_encrypted_is_told() {
    let place = Place::start();
    let (_, mut config) = place.empty();
    migrate(&config).await.unwrap();
    let here = Database::connect(&config).await.unwrap();
    assert!(!here.can_be_overheard());
    config.url = config.url.replace("127.0.0.1", "0.0.0.0");
    for mode in [None, Some(TlsMode::Prefer), Some(TlsMode::Disable)] {
        config.tls.mode = mode;
        let elsewhere = Database::connect(&config).await.unwrap();
        assert!(elsewhere.can_be_overheard(), "{mode:?}");
    }
}
