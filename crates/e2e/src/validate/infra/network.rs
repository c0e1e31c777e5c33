//! Where everything is reached, and whether by TLS.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::Url;
use speakr_nats::Identity;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{
    super::{
        Context, bus,
        check::{Seen, ensure, failed, not_checked},
    },
    database,
};

/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Where HTTP is spoken without encryption.
const HTTP: u16 = 80;

/// Addresses of this host.
async fn resolved(host: &str, port: u16) -> Seen<Vec<SocketAddr>> {
    let host = host.trim_matches(['[', ']']);
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| failed(format!("{host}: {error}")))?;
    Ok(found.collect())
}

/// Where nothing goes over a network there is nothing to encrypt.
pub(super) async fn not_on_loopback(what: &str, host: &str, port: u16) -> Seen<()> {
    let all = resolved(host, port).await?;
    if all.iter().all(|address| address.ip().is_loopback()) {
        return Err(not_checked(format!(
            "{what} is on this machine, without a network to it"
        )));
    }
    Ok(())
}

/// A server of the bus, as it is named.
fn url_of(server: &str) -> Seen<Url> {
    let url = if server.contains("://") {
        server.to_owned()
    } else {
        format!("nats://{server}")
    };
    url.parse()
        .map_err(|error| failed(format!("{server}: {error}")))
}

pub(super) async fn plain_bus(context: &Context) -> Seen {
    let access = bus::access(&context.settings)?;
    let mut seen = Vec::new();
    for server in access.config.servers_shown().split(',') {
        let url = url_of(server)?;
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

pub(super) async fn plain_api(context: &Context) -> Seen {
    let url: Url = context
        .settings
        .url
        .parse()
        .map_err(|error| failed(format!("{}: {error}", context.settings.url)))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    if url.scheme() == "https" {
        let answer = asked_plainly(&host).await;
        ensure(
            answer.as_deref().is_none_or(|line| !is_served(line)),
            || format!("{host} also answers without encryption, on port {HTTP}"),
        )?;
        return Ok(format!(
            "https, with a certificate that is believed; plain HTTP: {}",
            answer.as_deref().unwrap_or("no answer")
        ));
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

/// What `host` answers to plain HTTP: the first line, where it answers at all.
async fn asked_plainly(host: &str) -> Option<String> {
    let ask = async {
        let host = host.trim_matches(['[', ']']);
        let mut stream = tokio::net::TcpStream::connect((host, HTTP)).await.ok()?;
        let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        let line = line.trim().to_owned();
        (!line.is_empty()).then_some(line)
    };
    tokio::time::timeout(CONNECT, ask).await.ok().flatten()
}

/// Whether the answer that begins with `line` is one, and not a refusal or a hint to ask by TLS.
fn is_served(line: &str) -> bool {
    let status = line.split(' ').nth(1);
    status.is_some_and(|status| status.starts_with('2'))
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

pub(super) async fn addresses(context: &Context) -> Seen {
    let mut hosts = Vec::new();
    if let Ok(options) = database::options(context)
        && options.get_socket().is_none()
    {
        hosts.push((
            "database".to_owned(),
            options.get_host().to_owned(),
            options.get_port(),
        ));
    }
    // One that is hosted is another's, and known by its credentials file.
    if let Ok(access) = bus::access(&context.settings)
        && !matches!(access.config.identity, Identity::CredentialsFile(_))
    {
        for server in access.config.servers_shown().split(',') {
            let url = url_of(server)?;
            let host = url.host_str().unwrap_or_default().to_owned();
            hosts.push(("bus".to_owned(), host, url.port().unwrap_or(4222)));
        }
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
        return Err(not_checked(
            "no address is known: DATABASE_URL, NATS_URL, --health",
        ));
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
    fn what_is_inside_is_told_from_what_is_public_and_served_from_refused() {
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
        assert!(is_served("HTTP/1.1 200 OK"));
        for refused in ["HTTP/1.1 301 Moved", "HTTP/1.1 400 Bad Request", ""] {
            assert!(!is_served(refused), "{refused}");
        }
        for public in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2600::1"] {
            assert!(!is_inside(public.parse().unwrap()), "{public}");
        }
    }
}
