//! Tokens as hashes, in a table.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use speakr_core::ports::access::{Grant, Scope, TokenHash, TokenStore, TokenStoreError};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    database::Database,
    fault::{Fault, Tries},
    recordings::nanoseconds,
    words::storable,
};

const COLUMNS: &str = "token_id, name, scopes, created_at, expires_at";

/// The tokens of one deployment, in its database.
#[derive(Debug, Clone)]
pub struct PostgresTokens(Database);

impl PostgresTokens {
    pub(crate) const fn new(database: Database) -> Self {
        Self(database)
    }

    fn error(&self, action: &'static str) -> impl FnOnce(Fault) -> TokenStoreError {
        let place = self.0.place().to_owned();
        move |fault| TokenStoreError {
            place,
            action,
            cause: fault.cause(),
        }
    }

    async fn look_up(&self, hash: &TokenHash) -> Result<Option<Grant>, Fault> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tokens WHERE sha256 = $1"));
        let row = sqlx::query(sql)
            .bind(hash.0.as_slice())
            .fetch_optional(self.0.pool())
            .await?;
        row.as_ref().map(grant).transpose()
    }
}

fn grant(row: &PgRow) -> Result<Grant, Fault> {
    let scopes: Vec<String> = row.try_get(2)?;
    let scopes: Result<BTreeSet<Scope>, _> = scopes.iter().map(|s| s.parse()).collect();
    let at = |text: &str| text.parse::<Timestamp>().map_err(Fault::unreadable);
    let expires_at: Option<&str> = row.try_get(4)?;
    Ok(Grant {
        token_id: row.try_get(0)?,
        name: row.try_get(1)?,
        scopes: scopes.map_err(Fault::unreadable)?,
        created_at: at(row.try_get(3)?)?,
        expires_at: expires_at.map(at).transpose()?,
    })
}

#[async_trait]
impl TokenStore for PostgresTokens {
    async fn find(&self, hash: &TokenHash) -> Result<Option<Grant>, TokenStoreError> {
        let mut tries = Tries::default();
        loop {
            match self.look_up(hash).await {
                Err(fault) if tries.again(&fault).await => {}
                done => return done.map_err(self.error("look up a token")),
            }
        }
    }

    async fn create(&self, hash: &TokenHash, grant: &Grant) -> Result<(), TokenStoreError> {
        let scopes: Vec<&str> = grant.scopes.iter().map(|s| s.as_str()).collect();
        sqlx::query(
            "INSERT INTO tokens (token_id, sha256, name, scopes, created_at, created_ns, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(grant.token_id)
        .bind(hash.0.as_slice())
        .bind(storable(&grant.name))
        .bind(scopes)
        .bind(grant.created_at.to_string())
        .bind(nanoseconds(grant.created_at))
        .bind(grant.expires_at.map(|at| at.to_string()))
        .execute(self.0.pool())
        .await
        .map_err(|e| self.error("keep a token")(e.into()))?;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Grant>, TokenStoreError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM tokens ORDER BY created_ns, token_id"
        ));
        let failed = |fault: Fault| self.error("list the tokens")(fault);
        let rows = sqlx::query(sql)
            .fetch_all(self.0.pool())
            .await
            .map_err(|e| failed(e.into()))?;
        rows.iter()
            .map(grant)
            .collect::<Result<_, _>>()
            .map_err(failed)
    }

    async fn revoke(&self, token_id: Uuid) -> Result<bool, TokenStoreError> {
        let done = sqlx::query("DELETE FROM tokens WHERE token_id = $1")
            .bind(token_id)
            .execute(self.0.pool())
            .await
            .map_err(|e| self.error("revoke a token")(e.into()))?;
        Ok(done.rows_affected() > 0)
    }
}
