//! Who may do what: tokens, kept as hashes.

use std::{collections::BTreeSet, fmt, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BoxedCause;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To search, list, read and export, and to hear.
    Read,
    /// To change tags and to delete.
    Write,
    /// To have sound made into text.
    Transcribe,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Transcribe];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Transcribe => "transcribe",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no scope; there are read, write and transcribe")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == s)
            .ok_or_else(|| UnknownScope(s.to_owned()))
    }
}

/// SHA-256 of a token. Enough, for a token is 256 random bits: there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// What is known of a token beside its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Names it in lists and when it is revoked.
    pub token_id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it allows nothing; never, where absent.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// Whether it allows `scope` at `now`.
    #[must_use]
    pub fn allows(&self, scope: Scope, now: Timestamp) -> bool {
        !self.is_expired(now) && self.scopes.contains(&scope)
    }

    /// Whether it has run out at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// Why a token can't be looked up or kept.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} in {place}")]
pub struct TokenStoreError {
    /// Which file or table.
    pub place: String,
    /// What was tried ("look up a token", …).
    pub action: &'static str,
    /// Why it failed.
    #[source]
    pub cause: BoxedCause,
}

/// Keeps tokens as hashes; a token itself is shown once, to its owner.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The grant of the token with this hash; none where it was never made, or was revoked.
    ///
    /// # Errors
    /// [`TokenStoreError`].
    async fn find(&self, hash: &TokenHash) -> Result<Option<Grant>, TokenStoreError>;

    /// Keeps a token.
    ///
    /// # Errors
    /// [`TokenStoreError`].
    async fn create(&self, hash: &TokenHash, grant: &Grant) -> Result<(), TokenStoreError>;

    /// All tokens, oldest first; those that have run out too.
    ///
    /// # Errors
    /// [`TokenStoreError`].
    async fn list(&self) -> Result<Vec<Grant>, TokenStoreError>;

    /// Forgets a token; gives whether there was one.
    ///
    /// # Errors
    /// [`TokenStoreError`].
    async fn revoke(&self, token_id: Uuid) -> Result<bool, TokenStoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_allows_its_scopes_until_it_runs_out() {
        let at = |s: &str| s.parse::<Timestamp>().unwrap();
        let grant = Grant {
            token_id: Uuid::from_u128(1),
            name: "n".into(),
            scopes: [Scope::Read].into(),
            created_at: at("2026-01-01T00:00:00Z"),
            expires_at: Some(at("2026-01-02T00:00:00Z")),
        };
        assert!(grant.allows(Scope::Read, at("2026-01-01T23:59:59Z")));
        assert!(!grant.allows(Scope::Write, at("2026-01-01T23:59:59Z")));
        assert!(!grant.allows(Scope::Read, at("2026-01-02T00:00:00Z")));
    }

    #[test]
    fn scopes_survive_their_names() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert!("admin".parse::<Scope>().is_err());
    }
}
