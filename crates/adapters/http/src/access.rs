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

/// What is known of a token before the store is asked.
#[derive(Debug)]
pub(crate) enum Known {
    /// What it allows.
    Now(Grant),
    /// It was good, but that is too long ago to be sure.
    Before(TokenHash),
    /// Nothing: it may be made up.
    Never(TokenHash),
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

    /// What is known of the token that `headers` bear.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Result<Known, Problem> {
        let hash = hash(bearer(headers)?);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&hash) {
            Some((grant, at)) if at.elapsed() < CACHE_FOR => {
                unexpired(grant.clone()).map(Known::Now)
            }
            Some(_) => Ok(Known::Before(hash)),
            None => Ok(Known::Never(hash)),
        }
    }

    /// The grant of the token with this hash, as the store has it.
    pub(crate) async fn look_up(&self, hash: TokenHash) -> Result<Grant, Problem> {
        let Some(grant) = self.store.find(&hash).await? else {
            self.forget(&hash);
            return Err(Problem::unauthorised(
                "the token isn't known here, or was revoked",
            ));
        };
        self.remember(hash, grant.clone());
        unexpired(grant)
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

    fn forget(&self, hash: &TokenHash) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(hash);
    }

    /// Lets what is remembered become too old to be sure of.
    #[cfg(test)]
    pub(crate) fn age(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, at) in known.values_mut() {
            *at = at.checked_sub(CACHE_FOR).unwrap_or(*at);
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
