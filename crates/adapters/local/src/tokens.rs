//! Tokens in a file that only its owner reads: for one machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use speakr_core::ports::{
    BoxedCause,
    access::{Grant, TokenHash, TokenStore, TokenStoreError},
    archive::ArchiveError,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::atomic;

/// The tokens of one data folder, in `tokens.json`. Changes by one process at a time.
#[derive(Debug, Clone)]
pub struct FileTokenStore {
    path: PathBuf,
    changing: Arc<Mutex<()>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of the token, as hexadecimal digits.
    sha256: String,
    #[serde(flatten)]
    grant: Grant,
}

impl FileTokenStore {
    /// The tokens kept in the file `path`, which need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            changing: Arc::default(),
        }
    }

    fn error(&self, action: &'static str, cause: impl Into<BoxedCause>) -> TokenStoreError {
        TokenStoreError {
            place: self.path.display().to_string(),
            action,
            cause: cause.into(),
        }
    }

    async fn read(&self, action: &'static str) -> Result<Vec<Kept>, TokenStoreError> {
        let bytes = match tokio::fs::read(&self.path).await {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.error(action, e)),
        };
        serde_json::from_slice(&bytes).map_err(|e| self.error(action, e))
    }

    async fn write(&self, action: &'static str, kept: &[Kept]) -> Result<(), TokenStoreError> {
        let bytes = serde_json::to_vec_pretty(kept).map_err(|e| self.error(action, e))?;
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || put(&path, &bytes))
            .await
            .map_err(|e| self.error(action, e))?
            .map_err(|e| self.error(action, e))
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    if let Some(folder) = path.parent() {
        atomic::create_private_folder(folder)?;
    }
    // Its temporary file is readable by its owner alone, and the rename keeps that.
    atomic::write(path, bytes)
}

fn hex(hash: &TokenHash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl TokenStore for FileTokenStore {
    async fn find(&self, hash: &TokenHash) -> Result<Option<Grant>, TokenStoreError> {
        let wanted = hex(hash);
        let kept = self.read("look up a token").await?;
        Ok(kept
            .into_iter()
            .find(|k| k.sha256 == wanted)
            .map(|k| k.grant))
    }

    async fn create(&self, hash: &TokenHash, grant: &Grant) -> Result<(), TokenStoreError> {
        let _alone = self.changing.lock().await;
        let mut kept = self.read("keep a token").await?;
        kept.push(Kept {
            sha256: hex(hash),
            grant: grant.clone(),
        });
        self.write("keep a token", &kept).await
    }

    async fn list(&self) -> Result<Vec<Grant>, TokenStoreError> {
        let kept = self.read("list the tokens").await?;
        Ok(kept.into_iter().map(|k| k.grant).collect())
    }

    async fn revoke(&self, token_id: Uuid) -> Result<bool, TokenStoreError> {
        let _alone = self.changing.lock().await;
        let mut kept = self.read("revoke a token").await?;
        let before = kept.len();
        kept.retain(|k| k.grant.token_id != token_id);
        if kept.len() == before {
            return Ok(false);
        }
        self.write("revoke a token", &kept).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use speakr_core::ports::access::Scope;

    use super::*;

    fn grant(id: u128) -> Grant {
        Grant {
            token_id: Uuid::from_u128(id),
            name: format!("token {id}"),
            scopes: [Scope::Read, Scope::Transcribe].into(),
            created_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            expires_at: None,
        }
    }

    #[tokio::test]
    async fn tokens_are_found_by_their_hash_until_they_are_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/tokens.json");
        let store = FileTokenStore::new(path.clone());
        assert_eq!(store.find(&TokenHash([1; 32])).await.unwrap(), None);
        store.create(&TokenHash([1; 32]), &grant(1)).await.unwrap();
        store.create(&TokenHash([2; 32]), &grant(2)).await.unwrap();
        let again = FileTokenStore::new(path);
        assert_eq!(
            again.find(&TokenHash([1; 32])).await.unwrap(),
            Some(grant(1))
        );
        assert_eq!(again.list().await.unwrap(), [grant(1), grant(2)]);
        assert!(again.revoke(Uuid::from_u128(1)).await.unwrap());
        assert!(!again.revoke(Uuid::from_u128(1)).await.unwrap());
        assert_eq!(store.find(&TokenHash([1; 32])).await.unwrap(), None);
        assert_eq!(
            store.find(&TokenHash([2; 32])).await.unwrap(),
            Some(grant(2))
        );
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_error_and_not_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        std::fs::write(&path, "[{").unwrap();
        let error = FileTokenStore::new(path.clone()).list().await.unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_its_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = FileTokenStore::new(path.clone());
        store.create(&TokenHash([1; 32]), &grant(1)).await.unwrap();
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
