//! How to reach the bus, and as whom.

use std::{path::PathBuf, time::Duration};

use async_nats::ConnectOptions;

use crate::{error::BusError, identity::Identity};

/// Shortest wait before the connection is tried again; it doubles up to [`LONGEST_WAIT`].
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before the connection is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Certificates, in PEM files. They are read again at each connection, so new ones need no
/// restart.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Who vouches for the server; the system's own where absent.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, where the server asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How to reach the bus.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// Servers, separated by commas: `nats://`, `tls://`, `ws://` or `wss://`.
    pub servers: String,
    /// The name that the server shows for this connection.
    pub name: String,
    /// As whom.
    pub identity: Identity,
    /// Certificates.
    pub tls: TlsFiles,
    /// First part of the subjects on which answers come. Users of the shipped server config may
    /// listen on their own alone: `_INBOX_<user>`.
    pub inbox_prefix: Option<String>,
    /// Whether to come back without a connection when no server answers yet. It is made as soon
    /// as one does.
    pub start_without_server: bool,
}

impl BusConfig {
    /// To `servers` as `name`, with nothing else set.
    #[must_use]
    pub fn new(servers: &str, name: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            name: name.to_owned(),
            identity: Identity::default(),
            tls: TlsFiles::default(),
            inbox_prefix: None,
            start_without_server: false,
        }
    }

    /// The servers without user and password, for messages.
    #[must_use]
    pub fn servers_shown(&self) -> String {
        let shown = |server: &str| match (server.find("://"), server.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}{}", &server[..scheme + 3], &server[at + 1..])
            }
            (None, Some(at)) => server[at + 1..].to_owned(),
            _ => server.to_owned(),
        };
        let all: Vec<_> = self.servers.split(',').map(|s| shown(s.trim())).collect();
        all.join(",")
    }

    /// The addresses to try.
    pub(crate) fn addresses(&self) -> Result<Vec<async_nats::ServerAddr>, BusError> {
        self.servers
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(|server| {
                server
                    .parse()
                    .map_err(|error: std::io::Error| BusError::Config {
                        setting: "NATS_URL",
                        reason: format!("\"{}\": {error}", self.servers_shown()),
                    })
            })
            .collect()
    }

    /// The client's options.
    pub(crate) async fn options(&self) -> Result<ConnectOptions, BusError> {
        if let Identity::CredentialsFile(path) = &self.identity {
            readable("NATS_CREDS", path).await?;
        }
        let mut options = self.identity.options();
        if let Some(ca) = &self.tls.ca {
            readable("NATS_CA", ca).await?;
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &self.tls.client {
            readable("NATS_CERT", certificate).await?;
            readable("NATS_KEY", key).await?;
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        let encrypted = self
            .addresses()?
            .iter()
            .any(|a| matches!(a.scheme(), "tls" | "wss"));
        options = options.require_tls(encrypted || self.tls.ca.is_some());
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        if self.start_without_server {
            options = options.retry_on_initial_connect();
        }
        Ok(options
            .name(&self.name)
            .max_reconnects(None)
            .ping_interval(Duration::from_secs(10))
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(10)))
            .reconnect_delay_callback(wait_before)
            .event_callback(|event| async move { tell(&event) }))
    }
}

async fn readable(setting: &'static str, path: &std::path::Path) -> Result<(), BusError> {
    tokio::fs::File::open(path)
        .await
        .map(drop)
        .map_err(|error| BusError::Config {
            setting,
            reason: format!("{}: {error}", path.display()),
        })
}

/// How long to wait before the attempt after `attempts` failed ones. Replicas that lost the same
/// server don't come back in one moment: each adds up to a half of its own.
fn wait_before(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1).min(10)).unwrap_or(10);
    let wait = SHORTEST_WAIT
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_WAIT);
    let jitter = f64::from(std::process::id() % 97) / 194.0;
    wait + wait.mul_f64(jitter)
}

fn tell(event: &async_nats::Event) {
    match event {
        async_nats::Event::Connected => tracing::info!("connected to NATS"),
        async_nats::Event::Closed => tracing::debug!("the connection to NATS is closed"),
        async_nats::Event::Disconnected => tracing::warn!("lost the connection to NATS"),
        other => tracing::warn!(event = %other, "NATS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_server_has_no_password() {
        let config = BusConfig::new("nats://ada:s3c@b:4222, tls://c:1,d@e:2", "x");
        assert_eq!(config.servers_shown(), "nats://b:4222,tls://c:1,e:2");
    }

    #[test]
    fn waits_grow_to_a_limit_and_never_end() {
        let mut last = Duration::ZERO;
        for attempt in 1..8 {
            let wait = wait_before(attempt);
            assert!(wait > last, "{attempt}: {wait:?}");
            last = wait;
        }
        assert!(wait_before(usize::MAX) <= LONGEST_WAIT * 3 / 2);
    }

    #[tokio::test]
    async fn a_missing_file_is_named_before_anything_is_tried() {
        let mut config = BusConfig::new("tls://localhost", "x");
        config.tls.ca = Some("/nowhere/ca.pem".into());
        let error = config.options().await.unwrap_err().to_string();
        assert!(error.starts_with("NATS_CA: /nowhere/ca.pem"), "{error}");
    }
}
