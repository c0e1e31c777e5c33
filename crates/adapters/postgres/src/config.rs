//! Which database, as whom, and how long it may take.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::fault::PostgresError;

/// Candidates that a vector search looks at first: more find better and take longer. Of the ten truly nearest of
/// 100,000 passages of real text 100 found .947 (`speakr-bench query`). As many as a search asks for at least, so that
/// most end with them.
const EF_SEARCH: u32 = 200;

/// Passages that a vector search looks at most when a filter lets few through, and …
const MAX_SCAN_TUPLES: u32 = 200_000;
/// … how much more memory than usual it may take for it.
const SCAN_MEM_MULTIPLIER: u32 = 4;

/// How long a lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction may stand still before the server ends it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How the connection is encrypted, and the server proves who it is; the words are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// Where the server can: somebody between us and it can have it left out. [`crate::Database`] tells
    /// when it was.
    Prefer,
    /// Encrypted; the server needn't prove anything.
    Require,
    /// The server's certificate is by somebody we trust.
    VerifyCa,
    /// … and for this host.
    VerifyFull,
}

impl TlsMode {
    const ALL: [(Self, &str); 5] = [
        (Self::Disable, "disable"),
        (Self::Prefer, "prefer"),
        (Self::Require, "require"),
        (Self::VerifyCa, "verify-ca"),
        (Self::VerifyFull, "verify-full"),
    ];
}

/// No such mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no TLS mode; there are disable, prefer, require, verify-ca and verify-full")]
pub struct UnknownTlsMode(pub String);

impl FromStr for TlsMode {
    type Err = UnknownTlsMode;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == s);
        found
            .map(|(mode, _)| mode)
            .ok_or_else(|| UnknownTlsMode(s.to_owned()))
    }
}

impl From<TlsMode> for PgSslMode {
    fn from(mode: TlsMode) -> Self {
        match mode {
            TlsMode::Disable => Self::Disable,
            TlsMode::Prefer => Self::Prefer,
            TlsMode::Require => Self::Require,
            TlsMode::VerifyCa => Self::VerifyCa,
            TlsMode::VerifyFull => Self::VerifyFull,
        }
    }
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// How strictly; as the URL says (`sslmode`), else [`TlsMode::Prefer`], where absent.
    pub mode: Option<TlsMode>,
    /// PEM file of those we trust beside the system's own.
    pub root_certificate: Option<PathBuf>,
    /// PEM files of our certificate and its key, where the server asks for one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Which database, as whom, and how long it may take.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who it is, for the database's own statistics.
    pub application_name: String,
    /// Most connections.
    pub max_connections: u32,
    /// How long a free connection is waited for.
    pub acquire_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("place", &self.place())
            .field("tls", &self.tls)
            .field("application_name", &self.application_name)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish()
    }
}

impl PostgresConfig {
    /// The database at `url`, with ten connections, five seconds to get one and ten for a
    /// statement.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: Tls::default(),
            application_name: "speakr".to_owned(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        }
    }

    /// How errors name the database: never with user or password.
    #[must_use]
    pub fn place(&self) -> String {
        match PgConnectOptions::from_str(&self.url) {
            Ok(options) => format!(
                "postgres://{}:{}/{}",
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
            Err(_) => "postgres://".to_owned(),
        }
    }

    /// Whether the words of a search could go over a network for everybody to read: the database isn't
    /// on this machine, and a server that doesn't encrypt is taken as it is. A server that can't be
    /// told by the URL isn't.
    pub(crate) fn may_be_overheard(&self) -> bool {
        self.options(None).is_ok_and(|options| {
            let encrypted = !matches!(
                options.get_ssl_mode(),
                PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
            );
            !encrypted && options.get_socket().is_none() && !is_this_machine(options.get_host())
        })
    }

    /// What sqlx takes; statements may take `timeout`, or any time where absent.
    pub(crate) fn options(
        &self,
        timeout: Option<Duration>,
    ) -> Result<PgConnectOptions, PostgresError> {
        let milliseconds = |at: Duration| at.as_millis().to_string();
        // The cause isn't passed on: it may show the URL, and with it the password.
        let mut options =
            PgConnectOptions::from_str(&self.url).map_err(|_| PostgresError::BadUrl)?;
        if let Some(mode) = self.tls.mode {
            options = options.ssl_mode(mode.into());
        }
        if let Some(file) = &self.tls.root_certificate {
            options = options.ssl_root_cert(file);
        }
        if let Some((certificate, key)) = &self.tls.client {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        Ok(options.application_name(&self.application_name).options([
            ("search_path", "speakr,public".to_owned()),
            (
                "statement_timeout",
                timeout.map_or_else(|| "0".to_owned(), milliseconds),
            ),
            ("lock_timeout", milliseconds(LOCK_TIMEOUT)),
            (
                "idle_in_transaction_session_timeout",
                milliseconds(IDLE_TIMEOUT),
            ),
            // Queries are short, and their best plan depends on what is asked.
            ("jit", "off".to_owned()),
            ("plan_cache_mode", "force_custom_plan".to_owned()),
            // What is searched fits into memory, or lies on a disk without heads: taken for one that
            // has them, a word that few passages hold would be looked for in all.
            ("random_page_cost", "1.1".to_owned()),
            // In strict order it would leave out what it comes to see late.
            ("hnsw.iterative_scan", "relaxed_order".to_owned()),
            ("hnsw.ef_search", EF_SEARCH.to_string()),
            ("hnsw.max_scan_tuples", MAX_SCAN_TUPLES.to_string()),
            ("hnsw.scan_mem_multiplier", SCAN_MEM_MULTIPLIER.to_string()),
        ]))
    }
}

/// Whether what is sent to `host` stays on this machine: a folder of sockets, or the loopback device.
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_this_machine_or_is_encrypted_cannot_be_overheard() {
        let by = |url: &str, mode| {
            let mut config = PostgresConfig::new(url);
            config.tls.mode = mode;
            config.may_be_overheard()
        };
        for url in [
            "postgres://db.example/speakr",
            "postgres://10.1.2.3/speakr",
            "postgres://[2001:db8::1]/speakr",
            "postgres://localhost.example/speakr",
        ] {
            for mode in [None, Some(TlsMode::Prefer), Some(TlsMode::Disable)] {
                assert!(by(url, mode), "{url} {mode:?}");
            }
            for mode in [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull] {
                assert!(!by(url, Some(mode)), "{url} {mode:?}");
            }
            let strict = format!("{url}?sslmode=verify-full");
            assert!(!by(&strict, None), "{strict}");
            assert!(by(&strict, Some(TlsMode::Prefer)), "{strict}");
        }
        for url in [
            "postgres://localhost/speakr",
            "postgres://127.0.0.1:5433/speakr",
            "postgres://127.8.0.1/speakr",
            "postgres://[::1]/speakr",
            "postgres://%2Fvar%2Frun%2Fpostgresql/speakr",
            "postgres:///speakr?host=/var/run/postgresql",
        ] {
            assert!(!by(url, None), "{url}");
        }
    }

    #[test]
    fn no_message_shows_user_or_password() {
        let url = format!("postgres://alice:{}@db.example/speakr", "wonder".repeat(2));
        for url in [url.clone(), url.replace("db.example", "db example:x")] {
            let config = PostgresConfig::new(url);
            let shown = format!(
                "{config:?} {} {:?}",
                config.place(),
                config.options(None).err()
            );
            assert!(
                !shown.contains("wonder") && !shown.contains("alice"),
                "{shown}"
            );
        }
    }

    #[test]
    fn tls_modes_have_libpqs_names() {
        for (mode, name) in TlsMode::ALL {
            assert_eq!(name.parse(), Ok(mode));
        }
        assert!("allow".parse::<TlsMode>().is_err());
    }
}
