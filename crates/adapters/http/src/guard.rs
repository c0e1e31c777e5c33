//! What is checked of every request before anything else: host, origin, size, token, rate.

use std::{net::SocketAddr, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use speakr_core::{
    CorrelationId,
    ports::access::{Grant, Scope},
};
use uuid::Uuid;

use crate::{
    access::{Access, Known},
    api::{Api, Hosts},
    observe::CORRELATION_ID,
    problem::Problem,
    rate::{Caller, RateLimit},
};

/// A web page elsewhere must not reach a server on this machine: neither by its own name that
/// was made to point here (Host), nor by a plain request (Origin).
pub(crate) async fn host_and_origin(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Response {
    let config = api.config();
    if let Err(problem) = check_host(&config.hosts, request.headers(), request.uri()) {
        return problem.into_response();
    }
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let text = origin.to_str().unwrap_or_default();
    if config.allowed_origins.iter().any(|allowed| allowed == text) {
        if request.method() == Method::OPTIONS {
            return allow(StatusCode::NO_CONTENT.into_response(), origin);
        }
        return allow(next.run(request).await, origin);
    }
    if own_origin(text, request.headers()) {
        return next.run(request).await;
    }
    Problem::forbidden("pages of other origins aren't served").into_response()
}

fn allow(mut response: Response, origin: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PATCH, DELETE",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Range, Speakr-Correlation-Id",
        ),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "X-Request-Id, Speakr-Correlation-Id, Content-Range",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a page of this very server asks.
fn own_origin(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    host.is_some_and(|host| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(|named| named.eq_ignore_ascii_case(host))
    })
}

fn check_host(hosts: &Hosts, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let Hosts::Only(allowed) = hosts else {
        return Ok(());
    };
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(|a| a.as_str()))
        .unwrap_or_default();
    let name = without_port(named);
    if allowed.iter().any(|a| a.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Problem::misdirected(
        "this server answers to the names of this machine only",
    ))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.is_empty() => {
            // "::1" without brackets is an address, not a name with a port.
            if name.contains(':') && !name.starts_with('[') {
                host
            } else {
                name
            }
        }
        _ => host,
    }
}

/// Refuses a body that says it is too large, before any of it is read.
pub(crate) fn announced_size(headers: &HeaderMap, max_bytes: u64) -> Result<(), Problem> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    let length: u64 = length
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::malformed("Content-Length is no number"))?;
    if length > max_bytes {
        return Err(too_large(max_bytes));
    }
    Ok(())
}

pub(crate) fn too_large(max_bytes: u64) -> Problem {
    Problem::too_large(format!("at most {max_bytes} bytes are taken here"))
}

/// What one operation asks of its callers.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) api: Api,
    pub(crate) scope: Option<Scope>,
    pub(crate) max_bytes: u64,
    pub(crate) timeout: std::time::Duration,
}

/// Lets those through who may.
pub(crate) async fn gate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = pass(&gate, &mut request).await {
        return problem.into_response();
    }
    let correlation = request.extensions().get::<CorrelationId>().copied();
    let mut response = match tokio::time::timeout(gate.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timed_out(format!(
            "there was no answer within {} s",
            gate.timeout.as_secs()
        ))
        .into_response(),
    };
    if let Some(id) = correlation
        && let Ok(value) = HeaderValue::from_str(&id.as_uuid().to_string())
    {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

/// The request's name as a token knows it that may not read: a name that somebody else chose would
/// name a recording of theirs.
fn own_name(grant: &Grant, named: CorrelationId) -> CorrelationId {
    if grant.scopes.contains(&Scope::Read) {
        return named;
    }
    CorrelationId::from(Uuid::new_v5(&grant.token_id, named.as_uuid().as_bytes()))
}

async fn pass(gate: &Gate, request: &mut Request) -> Result<(), Problem> {
    let Some(scope) = gate.scope else {
        return announced_size(request.headers(), gate.max_bytes);
    };
    let api = &gate.api;
    let stranger = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| Caller::Stranger(info.0.ip()));
    let grant = admit(api.access(), api.rate(), request.headers(), stranger).await?;
    limited(api.rate(), Caller::Token(grant.token_id))?;
    if !grant.scopes.contains(&scope) {
        return Err(Problem::forbidden(format!(
            "the token \"{}\" lacks the scope \"{scope}\"",
            grant.name
        )));
    }
    if let Some(named) = request.extensions_mut().get_mut::<CorrelationId>() {
        *named = own_name(&grant, *named);
    }
    announced_size(request.headers(), gate.max_bytes)
}

/// What the token that `headers` bear allows. Who has a wrong one is limited as `stranger`, and that
/// before the store is asked about one that wasn't seen before: each that is made up would cost a
/// query. Tokens that were good lately are looked up again whatever strangers do: they may all come
/// from the address of one proxy.
async fn admit(
    access: &Access,
    rate: &RateLimit,
    headers: &HeaderMap,
    stranger: Option<Caller>,
) -> Result<Grant, Problem> {
    let count = || stranger.map_or(Ok(()), |caller| limited(rate, caller));
    let found = match access.known(headers) {
        Ok(Known::Now(grant)) => return Ok(grant),
        Ok(Known::Before(hash)) => access.look_up(hash).await,
        Ok(Known::Never(hash)) => {
            count()?;
            let found = access.look_up(hash).await;
            if !is_unauthorised(&found)
                && let Some(caller) = stranger
            {
                rate.give_back(caller);
            }
            return found;
        }
        Err(problem) => Err(problem),
    };
    if is_unauthorised(&found) {
        count()?;
    }
    found
}

fn is_unauthorised(found: &Result<Grant, Problem>) -> bool {
    matches!(found, Err(problem) if problem.status == StatusCode::UNAUTHORIZED)
}

fn limited(rate: &RateLimit, caller: Caller) -> Result<(), Problem> {
    rate.take(caller, Instant::now()).map_err(|seconds| {
        Problem::too_many(format!("ask again in {seconds} s")).retry_after(Some(seconds))
    })
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use async_trait::async_trait;
    use speakr_core::ports::access::{TokenHash, TokenStore, TokenStoreError};

    use super::*;
    use crate::access::new_token;

    /// Keeps tokens, and counts how often it is asked about one.
    #[derive(Default)]
    struct Tokens {
        kept: Mutex<Vec<(TokenHash, Grant)>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl TokenStore for Tokens {
        async fn find(&self, hash: &TokenHash) -> Result<Option<Grant>, TokenStoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let kept = self.kept.lock().unwrap();
            let found = kept.iter().find(|(known, _)| known == hash);
            Ok(found.map(|(_, grant)| grant.clone()))
        }

        async fn create(&self, hash: &TokenHash, grant: &Grant) -> Result<(), TokenStoreError> {
            self.kept.lock().unwrap().push((*hash, grant.clone()));
            Ok(())
        }

        async fn list(&self) -> Result<Vec<Grant>, TokenStoreError> {
            let kept = self.kept.lock().unwrap();
            Ok(kept.iter().map(|(_, grant)| grant.clone()).collect())
        }

        async fn revoke(&self, token_id: Uuid) -> Result<bool, TokenStoreError> {
            let mut kept = self.kept.lock().unwrap();
            let before = kept.len();
            kept.retain(|(_, grant)| grant.token_id != token_id);
            Ok(kept.len() < before)
        }
    }

    #[tokio::test]
    async fn tokens_that_are_made_up_cost_queries_up_to_the_limit_and_good_ones_are_served_on() {
        let store = Arc::new(Tokens::default());
        let made = new_token(&*store, "t", [Scope::Read].into(), None).await;
        let good = made.unwrap();
        let access = Access::new(store.clone());
        let rate = RateLimit::without_refill(5);
        let here = Some(Caller::Stranger(IpAddr::from([127, 0, 0, 1])));
        let ask = async |token: &str| {
            let bearer = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
            let found = admit(&access, &rate, &headers, here).await;
            found.map_or_else(|problem| problem.status.as_u16(), |_| 200)
        };
        let asked = || store.asked.load(Ordering::Relaxed);

        assert_eq!(ask(&good.token).await, 200);
        for n in 0..5 {
            assert_eq!(ask(&format!("speakr_{n}")).await, 401);
        }
        // A good one counts for nothing, and a query is saved for each one too many.
        assert_eq!(asked(), 6);
        for n in 5..10 {
            assert_eq!(ask(&format!("speakr_{n}")).await, 429);
        }
        assert_eq!(asked(), 6);

        assert_eq!(ask(&good.token).await, 200);
        assert_eq!(asked(), 6);
        access.age();
        assert_eq!(ask(&good.token).await, 200);
        assert_eq!(asked(), 7);
        // Nor is a revoked one asked about for ever.
        assert!(store.revoke(good.grant.token_id).await.unwrap());
        access.age();
        for _ in 0..3 {
            assert_eq!(ask(&good.token).await, 429);
        }
        assert_eq!(asked(), 8);
    }

    #[test]
    fn a_token_that_may_not_read_names_no_recording_of_others() {
        let grant = |scopes: &[Scope]| Grant {
            token_id: Uuid::from_u128(7),
            name: "t".to_owned(),
            scopes: scopes.iter().copied().collect(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: None,
        };
        let named = CorrelationId::from(Uuid::from_u128(1));
        let blind = grant(&[Scope::Transcribe]);
        assert_ne!(own_name(&blind, named), named);
        // Asked again, it finds its own.
        assert_eq!(own_name(&blind, named), own_name(&blind, named));
        let other = Grant {
            token_id: Uuid::from_u128(8),
            ..blind.clone()
        };
        assert_ne!(own_name(&other, named), own_name(&blind, named));
        let reader = grant(&[Scope::Transcribe, Scope::Read]);
        assert_eq!(own_name(&reader, named), named);
    }

    #[test]
    fn a_host_is_known_without_its_port() {
        for (host, name) in [
            ("localhost:8080", "localhost"),
            ("localhost", "localhost"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("evil.example:8080", "evil.example"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
