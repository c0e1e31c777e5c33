//! An index in a scratch folder and things to put into it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

use speakr_sqlite::SqliteIndex;

#[path = "../../../../core/tests/contract/mod.rs"]
pub mod contract;

pub use contract::support as things;

pub struct Place {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
    pub backups: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("index.sqlite3"),
            backups: folder.path().join("backups"),
            folder,
        }
    }

    pub async fn open(&self) -> SqliteIndex {
        open(&self.path).await
    }
}

pub async fn open(path: &Path) -> SqliteIndex {
    SqliteIndex::open(path, &path.with_file_name("backups"))
        .await
        .unwrap()
}
