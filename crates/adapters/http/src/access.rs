//! Bearer tokens: made once, shown once, kept as hashes, looked up for each request.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use speakr_core::ports::access::{Grant, Scope, TokenHash, TokenStore, TokenStoreError};
use uuid::Uuid;

use crate::problem::Problem;

/// What every token begins with, so that scanners of leaked secrets know it.
const PREFIX: &str = "speakr_";

/// How long a grant that was looked up holds without another look: a revoked token works no
/// longer than this.
const CACHE_FOR: Duration = Duration::from_secs(5);

/// Most grants that are remembered.
const CACHE_SIZE: usize = 1_024;

/// Why a token wasn't made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    NoRandomness(String),
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] TokenStoreError),
}

/// A token that was just made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The token itself: this is the only time that it is known.
    pub token: String,
    /// What is kept of it.
    pub grant: Grant,
}

/// Makes a token and keeps its hash in `store`.
///
/// # Errors
/// [`TokenError`].
pub async fn new_token(
    store: &dyn TokenStore,
    name: &str,
    scopes: BTreeSet<Scope>,
    expires_at: Option<Timestamp>,
) -> Result<NewToken, TokenError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| TokenError::NoRandomness(e.to_string()))?;
    let mut token = PREFIX.to_owned();
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(token, "{byte:02x}");
    }
    let grant = Grant {
        token_id: Uuid::new_v4(),
        name: name.to_owned(),
        scopes,
        created_at: Timestamp::now(),
        expires_at,
    };
    store.create(&hash(&token), &grant).await?;
    Ok(NewToken { token, grant })
}

fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// Looks tokens up, and remembers those that are good for a moment.
pub(crate) struct Access {
    store: Arc<dyn TokenStore>,
    known: Mutex<HashMap<TokenHash, (Grant, Instant)>>,
}

impl Access {
    pub(crate) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// The grant of the token that `headers` bear.
    pub(crate) async fn grant(&self, headers: &HeaderMap) -> Result<Grant, Problem> {
        let token = bearer(headers)?;
        let hash = hash(token);
        if let Some(grant) = self.remembered(&hash) {
            return unexpired(grant);
        }
        let Some(grant) = self.store.find(&hash).await? else {
            return Err(Problem::unauthorised(
                "the token isn't known here, or was revoked",
            ));
        };
        self.remember(hash, grant.clone());
        unexpired(grant)
    }

    fn remembered(&self, hash: &TokenHash) -> Option<Grant> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (grant, at) = known.get(hash)?;
        (at.elapsed() < CACHE_FOR).then(|| grant.clone())
    }

    fn remember(&self, hash: TokenHash, grant: Grant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHE_SIZE {
            known.retain(|_, (_, at)| at.elapsed() < CACHE_FOR);
        }
        if known.len() < CACHE_SIZE {
            known.insert(hash, (grant, Instant::now()));
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Problem::unauthorised(
            "send the token in the header \"Authorization: Bearer TOKEN\"",
        ));
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| Problem::unauthorised("the header Authorization has to be \"Bearer TOKEN\""))
}

fn unexpired(grant: Grant) -> Result<Grant, Problem> {
    if grant.is_expired(Timestamp::now()) {
        return Err(Problem::unauthorised("the token has run out"));
    }
    Ok(grant)
}
