//! Getting a model: download, check, put in place.

use std::{
    env,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    digest,
    download::{self, Transfer, TransferError},
    error::ModelError,
    installed::{part_note_path, part_path},
    registry::{FileEntry, FileRole, ModelEntry},
    store::{ModelSource, ModelStore, Trust},
};

/// The hub that models are pulled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The hub that publishes the models.
    pub const DEFAULT: &'static str = "https://huggingface.co";

    /// The hub at this address.
    ///
    /// # Errors
    /// [`ModelError::BadEndpoint`] when it is no HTTP address.
    pub fn new(address: &str) -> Result<Self, ModelError> {
        let bad = |reason: String| ModelError::BadEndpoint {
            endpoint: address.into(),
            reason,
        };
        let url = reqwest::Url::parse(address).map_err(|cause| bad(cause.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with neither http:// nor https://".into()));
        }
        Ok(Self(address.trim_end_matches('/').to_owned()))
    }

    /// The hub that `HF_ENDPOINT` names, else the one that publishes the models.
    ///
    /// # Errors
    /// [`ModelError::BadEndpoint`] when the variable holds no HTTP address.
    pub fn from_env() -> Result<Self, ModelError> {
        match env::var("HF_ENDPOINT") {
            Ok(address) if !address.is_empty() => Self::new(&address),
            _ => Ok(Self(Self::DEFAULT.into())),
        }
    }
}

/// When to try again, and when to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failures in a row, without a byte in between, after which it is given up.
    pub attempts: u32,
    /// Wait before the second attempt; doubled for each further one.
    pub first_delay: Duration,
    /// The longest wait, whatever the server asks for.
    pub longest_delay: Duration,
    /// How long nothing may come before the connection counts as dead.
    pub stall: Duration,
    /// How long another process may download the same model without progress.
    pub lock_patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            lock_patience: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    pub(crate) fn delay(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first_delay
            .saturating_mul(doubled)
            .min(self.longest_delay)
    }
}

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// From where.
    pub endpoint: Endpoint,
    /// With how much patience.
    pub retry: RetryPolicy,
    /// Downloads also what is here already.
    pub again: bool,
    /// With [`Trust::AllowUnverified`], a model without a known digest is kept as it comes. A
    /// digest that is known must always be met.
    pub trust: Trust,
}

/// What a pull is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullProgress {
    /// Another process pulls the same model; this one waits for it.
    Waiting,
    /// A file begins, or goes on.
    File {
        /// Its name.
        name: String,
        /// Its length.
        size_bytes: u64,
    },
    /// So much of the file is on disk.
    Received {
        /// How much.
        received_bytes: u64,
    },
    /// Something failed and is tried again.
    Retrying {
        /// What failed.
        reason: String,
        /// When it goes on.
        delay: Duration,
    },
    /// The file is there and is being hashed.
    Verifying {
        /// Its name.
        name: String,
    },
}

/// A model that was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Its id.
    pub id: String,
    /// Where its weights are; absent for a model inside the program.
    pub path: Option<PathBuf>,
    /// Whether it was there before.
    pub already_there: bool,
    /// Length of all its files.
    pub size_bytes: u64,
    /// SHA-256 of its weights.
    pub sha256: String,
}

impl ModelStore {
    /// Downloads a model into the data folder, checks it and puts it in place in one step. What
    /// has come before a failure stays and is gone on from; so it does when this future is
    /// dropped.
    ///
    /// # Errors
    /// [`ModelError`]; its text says how to get the model by hand.
    pub async fn pull(
        &self,
        id: &str,
        options: &PullOptions,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<Pulled, ModelError> {
        let model = self.registry.get(id).ok_or_else(|| ModelError::Unknown {
            id: id.into(),
            similar: self.registry.similar(id),
        })?;
        if !options.again
            && let Some(pulled) = self.already_there(model)?
        {
            return Ok(pulled);
        }
        if !model.is_published() {
            return Err(ModelError::NotPublished {
                id: id.into(),
                reason: self.manual(model),
            });
        }
        if !model.is_pinned() && options.trust == Trust::Verified {
            return Err(ModelError::Unpinned { id: id.into() });
        }
        let folder = match &model.folder {
            Some(folder) => self.home.join(folder),
            None => self.home.clone(),
        };
        create_private_folder(&folder)
            .map_err(|cause| ModelError::io("make the folder", &folder, cause))?;
        let _lock = self.lock(model, options, progress, cancel).await?;
        // The other process may have done it while this one waited.
        if !options.again
            && let Some(pulled) = self.already_there(model)?
        {
            return Ok(pulled);
        }
        let client = download::client(&options.retry)?;
        let mut pulled = Pulled {
            id: id.into(),
            path: None,
            already_there: false,
            size_bytes: model.size_bytes(),
            sha256: String::new(),
        };
        for entry in &model.files {
            let pull = FilePull {
                store: self,
                model,
                entry,
                options,
                progress,
                cancel,
            };
            let (path, sha256) = pull.run(&client).await?;
            if entry.role == FileRole::Weights {
                (pulled.path, pulled.sha256) = (Some(path), sha256);
            }
        }
        Ok(pulled)
    }

    fn already_there(&self, model: &ModelEntry) -> Result<Option<Pulled>, ModelError> {
        for place in self.places() {
            // A file with other bytes is what a pull mends.
            let Ok(Some(found)) = self.locate_in(model, place, Trust::Verified) else {
                continue;
            };
            let path = match found.weights()? {
                ModelSource::Bundled(_) => None,
                ModelSource::Path(path) => Some(path.clone()),
            };
            let weights = model
                .files
                .iter()
                .find(|file| file.role == FileRole::Weights);
            return Ok(Some(Pulled {
                id: model.id.clone(),
                path,
                already_there: true,
                size_bytes: model.size_bytes(),
                sha256: weights.map(|file| file.sha256.clone()).unwrap_or_default(),
            }));
        }
        Ok(None)
    }

    /// Waits until no other process pulls this model. The lock goes with the file handle, so a
    /// process that dies leaves none behind.
    async fn lock(
        &self,
        model: &ModelEntry,
        options: &PullOptions,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<File, ModelError> {
        // Models that share a folder share files.
        let name = model.folder.as_ref().unwrap_or(&model.id);
        let path = self.home.join(format!(".{name}.lock"));
        let lock = File::create(&path).map_err(|cause| ModelError::io("write", &path, cause))?;
        let mut last = (0, Instant::now());
        let mut told = false;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => {
                    return Err(ModelError::io("lock", &path, cause));
                }
            }
            if !told {
                progress(PullProgress::Waiting);
                told = true;
            }
            let received = self.received_by_anyone(model);
            if received != last.0 {
                last = (received, Instant::now());
            } else if last.1.elapsed() > options.retry.lock_patience {
                return Err(ModelError::Locked {
                    id: model.id.clone(),
                    waited: last.1.elapsed(),
                });
            }
            tokio::select! {
                () = cancel.cancelled() => {
                    return Err(ModelError::Cancelled { id: model.id.clone() });
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    fn received_by_anyone(&self, model: &ModelEntry) -> u64 {
        let paths = model
            .files
            .iter()
            .map(|entry| self.home.join(model.relative_path(entry)));
        paths
            .flat_map(|path| [part_path(&path), path])
            .filter_map(|path| fs::metadata(path).ok())
            .map(|metadata| metadata.len())
            .sum()
    }
}

/// One file on its way.
struct FilePull<'a> {
    store: &'a ModelStore,
    model: &'a ModelEntry,
    entry: &'a FileEntry,
    options: &'a PullOptions,
    progress: &'a (dyn Fn(PullProgress) + Send + Sync),
    cancel: &'a CancellationToken,
}

impl FilePull<'_> {
    /// Where it is now, and its SHA-256.
    async fn run(&self, client: &reqwest::Client) -> Result<(PathBuf, String), ModelError> {
        let path = self.store.home.join(self.model.relative_path(self.entry));
        let name = self.entry.name.clone();
        // Files that models share, or that came before the last attempt broke off.
        if !self.options.again
            && let Ok(digest) = self.store.memory.digest(&path)
            && digest.matches(self.entry)
        {
            return Ok((path, digest.sha256));
        }
        let part = part_path(&path);
        (self.progress)(PullProgress::File {
            name: name.clone(),
            size_bytes: self.entry.size_bytes,
        });
        let resumed = fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 0);
        let digest = match self.fetch(client, &path).await {
            // What was resumed may be sewn together from two files: once more from the start.
            Err(ModelError::WrongFile { reason, .. }) if resumed => {
                tracing::debug!(reason, "a resumed download isn't the file; it begins anew");
                self.fetch(client, &path).await?
            }
            outcome => outcome?,
        };
        fs::rename(&part, &path).map_err(|cause| ModelError::io("put in place", &path, cause))?;
        let _ = fs::remove_file(part_note_path(&path));
        sync_folder(&path);
        if let Err(error) = self.store.memory.note(&path, &digest) {
            tracing::debug!(%error, "the digest isn't kept");
        }
        Ok((path, digest.sha256))
    }

    /// Downloads into the part and checks it. A part that isn't the file is thrown away.
    async fn fetch(
        &self,
        client: &reqwest::Client,
        path: &Path,
    ) -> Result<digest::FileDigest, ModelError> {
        let (part, note) = (part_path(path), part_note_path(path));
        let id = self.model.id.clone();
        let manual = || capitalised(&self.store.by_hand(self.model));
        let url =
            self.entry
                .url(&self.options.endpoint.0)
                .ok_or_else(|| ModelError::NotPublished {
                    id: id.clone(),
                    reason: self.store.manual(self.model),
                })?;
        let throw_away = || {
            let _ = fs::remove_file(&part);
            let _ = fs::remove_file(&note);
        };
        let received = AtomicU64::new(0);
        let transfer = Transfer {
            client,
            url: &url,
            part: &part,
            note: &note,
            size_bytes: self.entry.size_bytes,
            retry: &self.options.retry,
            cancel: self.cancel,
            progress: self.progress,
            received: &received,
        };
        transfer.run().await.map_err(|error| match error {
            TransferError::Refused(status) => ModelError::Refused {
                url: url.clone(),
                status: status.as_u16(),
                manual: manual(),
            },
            TransferError::WrongFile(reason) => {
                throw_away();
                ModelError::WrongFile {
                    id: id.clone(),
                    url: url.clone(),
                    reason,
                    manual: manual(),
                }
            }
            TransferError::Failed { attempts, reason } => ModelError::Transfer {
                url: url.clone(),
                attempts,
                reason,
                manual: manual(),
            },
            TransferError::DiskFull => ModelError::DiskFull {
                id: id.clone(),
                folder: self.store.home.clone(),
                missing_bytes: self
                    .entry
                    .size_bytes
                    .saturating_sub(received.load(Ordering::Relaxed)),
            },
            TransferError::Io(cause) => ModelError::io("write", &part, cause),
            TransferError::Cancelled => ModelError::Cancelled { id: id.clone() },
        })?;
        (self.progress)(PullProgress::Verifying {
            name: self.entry.name.clone(),
        });
        let hashed = part.clone();
        let digest = tokio::task::spawn_blocking(move || digest::of_file(&hashed))
            .await
            .map_err(|cause| ModelError::Setup(cause.to_string()))?
            .map_err(|cause| ModelError::io("read", &part, cause))?;
        if self.entry.is_pinned() && !digest.matches(self.entry) {
            throw_away();
            let reason = format!(
                "its SHA-256 is {}, not {}",
                digest.sha256, self.entry.sha256
            );
            return Err(ModelError::WrongFile {
                id,
                url,
                reason,
                manual: manual(),
            });
        }
        Ok(digest)
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Makes a folder that only its owner can look into, where there is none.
fn create_private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a rename survive a power cut, where the system can.
fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}
