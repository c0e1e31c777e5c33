//! One model that is pulled from a server into a scratch folder.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use sha2::{Digest, Sha256};
use speakr_models::{
    Endpoint, ModelError, ModelStore, PullOptions, PullProgress, Pulled, Registry, RetryPolicy,
    Trust,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// What the model "m" consists of: long enough for many pieces.
pub(crate) fn file() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn registry(pin: &str) -> Registry {
    let size = file().len();
    let pin = if pin.is_empty() {
        String::new()
    } else {
        format!("sha256 = \"{pin}\"\ndigest_source = [\"test\"]\n")
    };
    Registry::parse(&format!(
        "[sources]\ntest = \"this test\"\n[languages]\nany = []\n[[model]]\nid = \"m\"\n\
         kind = \"speech\"\nname = \"M\"\nlicence = \"MIT\"\nlanguages = \"any\"\n\
         [[model.file]]\nrole = \"weights\"\nname = \"ggml-m.bin\"\nsize_bytes = {size}\n{pin}\
         repo = \"owner/name\"\nrevision = \"abc\"\npath = \"ggml-m.bin\"\n"
    ))
    .unwrap()
}

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) store: ModelStore,
    pub(crate) options: PullOptions,
    pub(crate) progress: Arc<Mutex<Vec<PullProgress>>>,
}

impl Bench {
    pub(crate) fn new(server: &Server) -> Self {
        Self::with(server, registry(&sha256(&file())))
    }

    pub(crate) fn with(server: &Server, registry: Registry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("models");
        Self {
            store: ModelStore::new(registry, home, Vec::new()),
            folder,
            options: PullOptions {
                endpoint: Endpoint::new(&server.address).unwrap(),
                retry: RetryPolicy {
                    attempts: 4,
                    first_delay: Duration::from_millis(5),
                    longest_delay: Duration::from_millis(40),
                    stall: Duration::from_millis(700),
                    lock_patience: Duration::from_secs(60),
                },
                again: false,
                trust: Trust::Verified,
            },
            progress: Arc::default(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("models/ggml-m.bin")
    }

    pub(crate) fn part(&self) -> PathBuf {
        self.folder.path().join("models/ggml-m.bin.part")
    }

    pub(crate) async fn pull(&self) -> Result<Pulled, ModelError> {
        self.pull_until(&CancellationToken::new()).await
    }

    pub(crate) async fn pull_until(
        &self,
        cancel: &CancellationToken,
    ) -> Result<Pulled, ModelError> {
        let seen = Arc::clone(&self.progress);
        let note = move |progress| seen.lock().unwrap().push(progress);
        self.store.pull("m", &self.options, &note, cancel).await
    }

    /// After a success: the file is in place, whole, and nothing else is left.
    pub(crate) fn assert_in_place(&self) {
        assert_eq!(sha256(&fs::read(self.path()).unwrap()), sha256(&file()));
        assert!(!self.part().exists());
        let left: Vec<_> = fs::read_dir(self.folder.path().join("models"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        assert_eq!(left, ["ggml-m.bin"]);
        self.store.locate("m", Trust::Verified).unwrap();
    }

    pub(crate) fn assert_absent(&self) {
        assert!(!self.path().exists());
        let missing = self.store.locate("m", Trust::Verified).unwrap_err();
        assert!(
            matches!(missing, ModelError::NotInstalled { .. }),
            "{missing}"
        );
    }
}
