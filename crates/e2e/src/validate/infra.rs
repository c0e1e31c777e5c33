//! From inside: how what the platform stands on is set up.

use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use reqwest::Url;
use speakr_nats::Bus;
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{
    Context, bus,
    check::{Runner, Seen, chain, ensure, failed, not_checked},
    settings::{BusAccess, variable},
};

/// The streams, and how each has to be.
const STREAMS: [&str; 4] = [
    "SPEAKR_COMMANDS",
    "SPEAKR_AUDIO",
    "SPEAKR_EVENTS",
    "SPEAKR_DEAD_LETTER",
];

/// The oldest pgvector whose scans go on until a page is full.
const PGVECTOR: (u32, u32) = (0, 8);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "streams",
            "streams lie in files, with the copies that are wanted, all of them up to date",
            streams(context),
        )
        .await;
    runner
        .check(
            "pgvector",
            "the database has pgvector 0.8 or newer",
            pgvector(context),
        )
        .await;
    runner
        .check(
            "database-plaintext",
            "the database refuses a connection that isn't encrypted",
            database(context),
        )
        .await;
    runner
        .check("bus-plaintext", "the bus wants TLS", plain_bus(context))
        .await;
    runner
        .check(
            "api-plaintext",
            "the API is reached by TLS",
            plain_api(context),
        )
        .await;
    runner
        .check(
            "store-encryption",
            "the store encrypts what lies in it, and is reached by TLS",
            store(context),
        )
        .await;
    runner
        .check(
            "store-strangers",
            "the store gives nothing to who has no key",
            strangers(context),
        )
        .await;
    runner
        .check(
            "secret-files",
            "files with secrets are read by their owners alone",
            files(context),
        )
        .await;
    runner
        .check(
            "addresses",
            "database and health have no public address",
            addresses(context),
        )
        .await;
}

async fn operator(access: &BusAccess) -> Seen<Bus> {
    let password = access.operator.as_ref().ok_or_else(|| {
        not_checked("only the operator may look at streams: SPEAKR_NATS_OPERATOR_PASSWORD")
    })?;
    Ok(Bus::connect(&access.as_user("operator", password)).await?)
}

async fn streams(context: &Context) -> Seen {
    let bus = operator(bus::access(&context.settings)?).await?;
    let wanted = context.settings.asked.replicas;
    let mut told = Vec::new();
    for name in STREAMS {
        let stream = bus
            .jetstream()
            .get_stream(name)
            .await
            .map_err(|error| failed(format!("{name}: {}", chain(&error))))?;
        let info = stream.cached_info();
        let config = &info.config;
        ensure(config.num_replicas == wanted, || {
            format!(
                "{name} has {} copies and should have {wanted}",
                config.num_replicas
            )
        })?;
        ensure(
            config.storage == async_nats::jetstream::stream::StorageType::File,
            || format!("{name} lies in memory, which an end of the server empties"),
        )?;
        if wanted > 1 {
            let cluster = info.cluster.as_ref();
            let replicas = cluster.map(|c| c.replicas.as_slice()).unwrap_or_default();
            let behind: Vec<&str> = replicas
                .iter()
                .filter(|peer| !peer.current || peer.offline)
                .map(|peer| peer.name.as_str())
                .collect();
            ensure(behind.is_empty() && replicas.len() + 1 == wanted, || {
                format!(
                    "{name}: of {} other copies these are behind or away: {behind:?}",
                    replicas.len()
                )
            })?;
        }
        told.push(format!("{name} {} bytes", info.state.bytes));
    }
    Ok(format!(
        "{wanted} copies each, in files; {}",
        told.join(", ")
    ))
}

fn database_options(context: &Context) -> Seen<PgConnectOptions> {
    let url = context.settings.database.as_ref();
    let url = url.ok_or_else(|| not_checked("no database: DATABASE_URL, or DATABASE_URL_FILE"))?;
    url.parse::<PgConnectOptions>()
        .map(|options| options.disable_statement_logging())
        .map_err(|error| failed(format!("DATABASE_URL: {error}")))
}

async fn connect(options: &PgConnectOptions) -> Seen<PgConnection> {
    tokio::time::timeout(CONNECT, PgConnection::connect_with(options))
        .await
        .map_err(|_| failed(format!("the database doesn't answer in {CONNECT:?}")))?
        .map_err(|error| failed(format!("the database: {}", chain(&error))))
}

async fn pgvector(context: &Context) -> Seen {
    let mut connection = connect(&database_options(context)?).await?;
    let version: Option<(String,)> =
        sqlx::query_as("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| failed(chain(&error)))?;
    let (version,) = version.ok_or_else(|| failed("the database has no pgvector"))?;
    let mut parts = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let is = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    ensure(is >= PGVECTOR, || format!("pgvector is {version}"))?;
    Ok(format!("pgvector {version}"))
}

/// Addresses of this host.
async fn resolved(host: &str, port: u16) -> Seen<Vec<SocketAddr>> {
    let host = host.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| failed(format!("{host}: {error}")))?;
    Ok(found.collect())
}

/// Where nothing goes over a network there is nothing to encrypt.
async fn not_on_loopback(what: &str, host: &str, port: u16) -> Seen<()> {
    let all = resolved(host, port).await?;
    if all.iter().all(|address| address.ip().is_loopback()) {
        return Err(not_checked(format!(
            "{what} is on this machine, without a network to it"
        )));
    }
    Ok(())
}

async fn database(context: &Context) -> Seen {
    let options = database_options(context)?;
    let host = options.get_host().to_owned();
    if options.get_socket().is_some() || host.starts_with('/') {
        return Err(not_checked(
            "the database is on this machine, without a network to it",
        ));
    }
    // That it answers at all comes first, or nothing refused anything.
    connect(&options).await?;
    let plain = options.clone().ssl_mode(PgSslMode::Disable);
    match connect(&plain).await {
        Err(super::check::Unseen::Failed(why)) => Ok(format!("refused: {why}")),
        Err(other) => Err(other),
        Ok(_) => {
            not_on_loopback("the database", &host, options.get_port()).await?;
            Err(failed("it takes a connection with sslmode=disable"))
        }
    }
}

async fn plain_bus(context: &Context) -> Seen {
    let access = bus::access(&context.settings)?;
    let mut seen = Vec::new();
    for server in access.config.servers_shown().split(',') {
        let url = if server.contains("://") {
            server.to_owned()
        } else {
            format!("nats://{server}")
        };
        let url: Url = url
            .parse()
            .map_err(|error| failed(format!("{server}: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if matches!(url.scheme(), "wss" | "ws") {
            ensure(url.scheme() == "wss", || {
                format!("{server} isn't encrypted")
            })?;
            seen.push(format!("{server}: wss"));
            continue;
        }
        let port = url.port().unwrap_or(4222);
        let stream = tokio::time::timeout(
            CONNECT,
            tokio::net::TcpStream::connect((host.as_str(), port)),
        )
        .await
        .map_err(|_| failed(format!("{server} doesn't answer")))??;
        let mut line = String::new();
        let mut reader = BufReader::new(stream);
        let read = tokio::time::timeout(CONNECT, reader.read_line(&mut line)).await;
        read.map_err(|_| failed(format!("{server} says nothing")))??;
        let told: serde_json::Value = line
            .strip_prefix("INFO ")
            .and_then(|rest| serde_json::from_str(rest.trim()).ok())
            .ok_or_else(|| failed(format!("{server} is no NATS server: {line}")))?;
        if told["tls_required"] != true {
            not_on_loopback("the bus", &host, port).await?;
            return Err(failed(format!("{server} takes connections without TLS")));
        }
        seen.push(format!("{server}: tls_required"));
    }
    Ok(seen.join(", "))
}

async fn plain_api(context: &Context) -> Seen {
    let url: Url = context
        .settings
        .url
        .parse()
        .map_err(|error| failed(format!("{}: {error}", context.settings.url)))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    if url.scheme() == "https" {
        return Ok("https, with a certificate that is believed".to_owned());
    }
    let port = url.port_or_known_default().unwrap_or(80);
    not_on_loopback("the API", &host, port).await?;
    let inside = resolved(&host, port)
        .await?
        .iter()
        .all(|a| is_inside(a.ip()));
    if inside {
        return Err(not_checked(
            "this asks from inside, where the load balancer's TLS has ended; ask its public address",
        ));
    }
    Err(failed(format!("{} isn't encrypted", context.settings.url)))
}

/// The store's address, and its bucket.
fn bucket() -> Seen<(Option<String>, String, String)> {
    let read = |name| variable(name).map_err(failed);
    let bucket = read("S3_BUCKET")?.ok_or_else(|| not_checked("no store: S3_BUCKET"))?;
    let region = read("S3_REGION")?
        .or(read("AWS_REGION")?)
        .unwrap_or_else(|| "us-east-1".to_owned());
    Ok((read("S3_ENDPOINT")?, bucket, region))
}

async fn store(context: &Context) -> Seen {
    let (endpoint, bucket, region) = bucket()?;
    let read = |name| variable(name).map_err(failed);
    let keys = read("S3_ACCESS_KEY_ID")?.zip(read("S3_SECRET_ACCESS_KEY")?);
    let (id, secret) = keys.ok_or_else(|| {
        not_checked("no key of the store: S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY")
    })?;
    if let Some(endpoint) = &endpoint {
        let url: Url = endpoint
            .parse()
            .map_err(|error| failed(format!("S3_ENDPOINT: {error}")))?;
        if url.scheme() != "https" {
            let host = url.host_str().unwrap_or_default().to_owned();
            not_on_loopback(
                "the store",
                &host,
                url.port_or_known_default().unwrap_or(80),
            )
            .await?;
            return Err(failed("S3_ENDPOINT isn't https"));
        }
    }
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let mut config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(region))
        .force_path_style(endpoint.is_some())
        .credentials_provider(Credentials::new(id, secret, None, None, "speakr-validate"));
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let stored = context.stored().await?;
    let key = format!("recordings/{}/audio.wav", stored.id);
    let head = client
        .head_object()
        .bucket(&bucket)
        .key(&key)
        .send()
        .await
        .map_err(|error| failed(format!("{key}: {}", chain(&error))))?;
    let how = head.server_side_encryption();
    let how = how.ok_or_else(|| failed(format!("{key} isn't encrypted where it lies")))?;
    Ok(format!("{key} is encrypted ({})", how.as_str()))
}

async fn strangers(context: &Context) -> Seen {
    let (endpoint, bucket, region) = bucket()?;
    let base = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let base = base.trim_end_matches('/');
    let stored = context.stored().await?;
    let mut told = Vec::new();
    for path in [
        format!("{bucket}?list-type=2"),
        format!("{bucket}/recordings/{}/audio.wav", stored.id),
        format!("{bucket}/recordings/{}/transcript.json", stored.id),
    ] {
        let answer = context
            .api
            .client
            .get(format!("{base}/{path}"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        ensure(matches!(status, 401 | 403), || {
            format!("{path} is answered with {status} to who has no key")
        })?;
        told.push(status.to_string());
    }
    Ok(format!("the list, sound and text: {}", told.join(", ")))
}

async fn files(context: &Context) -> Seen {
    let mut paths: Vec<PathBuf> = context.settings.asked.secret_files.clone();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let secret = [
            "PASSWORD_FILE",
            "TOKEN_FILE",
            "KEY_FILE",
            "DATABASE_URL_FILE",
        ];
        if secret.iter().any(|end| name.ends_with(end)) {
            paths.push(value.into());
        }
    }
    paths.extend(std::env::var_os("NATS_CREDS").map(PathBuf::from));
    if paths.is_empty() {
        return Err(not_checked(
            "no file with a secret is known: --secret-file PATH, or NAME_FILE",
        ));
    }
    let mut all = Vec::new();
    for path in &paths {
        below(path, &mut all)?;
    }
    for path in &all {
        let mode = std::fs::metadata(path)?.mode() & 0o777;
        // In a pod the group is the pod's own; nobody else is in it.
        ensure(mode & 0o037 == 0, || {
            format!("{} has the mode {mode:03o}", path.display())
        })?;
    }
    Ok(format!("{} files", all.len()))
}

/// The file itself, or the files of the folder. Kubernetes keeps them behind names that begin with "..".
fn below(path: &Path, all: &mut Vec<PathBuf>) -> Seen<()> {
    let missing = |error: std::io::Error| failed(format!("{}: {error}", path.display()));
    if !std::fs::metadata(path).map_err(missing)?.is_dir() {
        all.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(missing)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("..") {
            below(&entry.path(), all)?;
        }
    }
    Ok(())
}

/// Whether only who is inside gets there.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = address.octets()[0] == 100 && (64..128).contains(&address.octets()[1]);
            address.is_private() || address.is_loopback() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

async fn addresses(context: &Context) -> Seen {
    let mut hosts = Vec::new();
    if let Ok(options) = database_options(context)
        && options.get_socket().is_none()
    {
        hosts.push((
            "database".to_owned(),
            options.get_host().to_owned(),
            options.get_port(),
        ));
    }
    for (service, url) in &context.settings.health {
        let url: Url = url
            .parse()
            .map_err(|error| failed(format!("{url}: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        hosts.push((
            service.clone(),
            host,
            url.port_or_known_default().unwrap_or(80),
        ));
    }
    if hosts.is_empty() {
        return Err(not_checked("no address is known: DATABASE_URL, --health"));
    }
    let (mut told, mut loopback) = (Vec::new(), true);
    for (what, host, port) in hosts {
        for address in resolved(&host, port).await? {
            ensure(is_inside(address.ip()), || {
                format!("{what} ({host}) is {}", address.ip())
            })?;
            loopback &= address.ip().is_loopback();
            told.push(format!("{what} {}", address.ip()));
        }
    }
    if loopback {
        return Err(not_checked("everything is on this machine"));
    }
    told.dedup();
    Ok(told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_told_from_what_is_public() {
        for inside in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
        ] {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        for public in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2600::1"] {
            assert!(!is_inside(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn files_of_a_mount_are_found_without_its_inner_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        std::fs::write(folder.path().join("..data/a"), "x").unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let mut all = Vec::new();
        below(folder.path(), &mut all).unwrap();
        assert_eq!(all, [folder.path().join("a")]);
        assert!(below(&folder.path().join("none"), &mut all).is_err());
    }
}
