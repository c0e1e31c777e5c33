//! Where a model is: inside the program, in the folders the user named, in the data folder.

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    bundled,
    digest::DigestMemory,
    error::ModelError,
    installed::Verification,
    registry::{FileEntry, FileRole, ModelEntry, ModelKind, Registry},
};

/// Which bytes are good enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trust {
    /// Only bytes whose digest is the registry's.
    #[default]
    Verified,
    /// Also bytes that the registry doesn't know: a file with another digest under the name of a
    /// known model (a fine-tuned one, say), a model without a known digest, and, for an id that
    /// the registry lacks, the speech model `<id>` or `ggml-<id>.bin` in a models folder. Model
    /// files are read by native code: only files from someone you trust.
    AllowUnverified,
}

/// The bytes of a file, or where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// Inside the program.
    Bundled(&'static [u8]),
    /// A file.
    Path(PathBuf),
}

impl ModelSource {
    /// The bytes.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self) -> Result<Cow<'static, [u8]>, ModelError> {
        match self {
            Self::Bundled(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => fs::read(path)
                .map(Cow::Owned)
                .map_err(|cause| ModelError::io("read", path, cause)),
        }
    }
}

/// One file of a model that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// What it is.
    pub role: FileRole,
    /// Where it is.
    pub source: ModelSource,
}

/// A model that was found, with all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedModel {
    /// Its id: the one asked for, or that of a variant of it.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Whether it knows other languages than English.
    pub multilingual: bool,
    /// Codes of the languages it knows.
    pub languages: Vec<String>,
    /// Length of its vectors, for an embedding model.
    pub dimensions: Option<usize>,
    /// Longest sequence it reads, special tokens counted, for an embedding model.
    pub max_sequence_tokens: Option<usize>,
    /// Whether its bytes are those of the registry.
    pub verification: Verification,
    /// Its files; exactly one holds the weights.
    pub files: Vec<ModelFile>,
}

impl LocatedModel {
    /// Where the file with this role is.
    #[must_use]
    pub fn file(&self, role: FileRole) -> Option<&ModelSource> {
        self.files
            .iter()
            .find(|file| file.role == role)
            .map(|file| &file.source)
    }

    /// Where the weights are.
    ///
    /// # Errors
    /// Never for a model that [`ModelStore::locate`] gave.
    pub fn weights(&self) -> Result<&ModelSource, ModelError> {
        self.file(FileRole::Weights)
            .ok_or_else(|| ModelError::NotInstalled {
                id: self.id.clone(),
                manual: "Its weights are missing.".into(),
            })
    }
}

/// Finds models, lists them, removes them, and pulls new ones.
#[derive(Debug)]
pub struct ModelStore {
    pub(crate) registry: Registry,
    /// The folder that pulled models go to.
    pub(crate) home: PathBuf,
    /// Further folders, which are only read.
    pub(crate) extra: Vec<PathBuf>,
    pub(crate) use_bundled: bool,
    pub(crate) memory: DigestMemory,
}

impl ModelStore {
    /// A store whose pulled models are in `home` (it needn't exist yet), and which also looks in
    /// the folders `extra` (`SPEAKR_MODELS_DIR`).
    #[must_use]
    pub fn new(registry: Registry, home: PathBuf, extra: Vec<PathBuf>) -> Self {
        let memory = DigestMemory::new(&home);
        Self {
            registry,
            home,
            extra,
            use_bundled: true,
            memory,
        }
    }

    /// The same, but as if nothing were inside the program.
    #[must_use]
    pub fn without_bundled(mut self) -> Self {
        self.use_bundled = false;
        self
    }

    /// The list of known models.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The folder that pulled models go to.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Finds a model: inside the program first, then in the further folders, then among the pulled
    /// ones. Asked for a published quantisation, it also takes a variant of it (the same
    /// quantisation of the same model in other bytes) and says so by its id; never anything else.
    ///
    /// Files are known by their name and digest, and in the further folders by their digest alone.
    ///
    /// # Errors
    /// [`ModelError::Unknown`], [`ModelError::NotInstalled`] with the way to get it,
    /// [`ModelError::WrongDigest`], [`ModelError::Unpinned`].
    pub fn locate(&self, id: &str, trust: Trust) -> Result<LocatedModel, ModelError> {
        let mut refusal = None;
        for place in self.places() {
            for model in self.registry.candidates(id) {
                // A variant and the published file share a name: which of them it is, the digest
                // tells. Only the id that was asked for may be filled with unverified bytes.
                let trust = if model.id == id {
                    trust
                } else {
                    Trust::Verified
                };
                match self.locate_in(model, place, trust) {
                    Ok(Some(found)) => return Ok(found),
                    Ok(None) => {}
                    Err(error) => {
                        if model.id == id || refusal.is_none() {
                            refusal = Some(error);
                        }
                    }
                }
            }
        }
        if let Some(model) = self.registry.get(id) {
            return Err(match refusal {
                Some(error) => error,
                None => ModelError::NotInstalled {
                    id: id.into(),
                    manual: self.manual(model),
                },
            });
        }
        match trust {
            Trust::AllowUnverified => self.locate_unknown(id),
            Trust::Verified => None,
        }
        .ok_or_else(|| ModelError::Unknown {
            id: id.into(),
            similar: self.registry.similar(id),
        })
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let bundled = self.use_bundled.then_some(Place::Bundled);
        bundled
            .into_iter()
            .chain(self.extra.iter().map(|folder| Place::Extra(folder)))
            .chain([Place::Home(&self.home)])
    }

    /// `None` where the place doesn't have all its files.
    pub(crate) fn locate_in(
        &self,
        model: &ModelEntry,
        place: Place<'_>,
        trust: Trust,
    ) -> Result<Option<LocatedModel>, ModelError> {
        let mut files = Vec::with_capacity(model.files.len());
        let mut verification = Verification::Verified;
        for entry in &model.files {
            let found = match place {
                Place::Bundled => bundled::file(model, entry)
                    .map(|bytes| (ModelSource::Bundled(bytes), Verification::Verified)),
                Place::Extra(folder) => match self.named_file(model, entry, folder, trust) {
                    Ok(Some(found)) => Some(found),
                    Ok(None) => self.file_by_digest(entry, folder)?,
                    // Another file may be the right one.
                    Err(error) => match self.file_by_digest(entry, folder)? {
                        Some(found) => Some(found),
                        None => return Err(error),
                    },
                },
                Place::Home(folder) => self.named_file(model, entry, folder, trust)?,
            };
            let Some((source, found_verification)) = found else {
                return Ok(None);
            };
            if found_verification != Verification::Verified {
                verification = found_verification;
            }
            files.push(ModelFile {
                role: entry.role,
                source,
            });
        }
        Ok(Some(LocatedModel {
            id: model.id.clone(),
            kind: model.kind,
            multilingual: model.is_multilingual(),
            languages: model.languages.clone(),
            dimensions: model.dimensions,
            max_sequence_tokens: model.max_sequence_tokens,
            verification,
            files,
        }))
    }

    /// The file under its own name.
    fn named_file(
        &self,
        model: &ModelEntry,
        entry: &FileEntry,
        folder: &Path,
        trust: Trust,
    ) -> Result<Option<(ModelSource, Verification)>, ModelError> {
        let path = folder.join(model.relative_path(entry));
        let size_bytes = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return Ok(None),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(ModelError::io("read", &path, error)),
        };
        let found = |verification| Ok(Some((ModelSource::Path(path.clone()), verification)));
        if !entry.is_pinned() {
            return match trust {
                Trust::AllowUnverified => found(Verification::Unpinned),
                Trust::Verified => Err(ModelError::Unpinned {
                    id: model.id.clone(),
                }),
            };
        }
        let reason = if size_bytes == entry.size_bytes {
            let digest = self
                .memory
                .digest(&path)
                .map_err(|cause| ModelError::io("read", &path, cause))?;
            if digest.matches(entry) {
                return found(Verification::Verified);
            }
            format!("its SHA-256 is {}, not {}", digest.sha256, entry.sha256)
        } else {
            format!("it has {size_bytes} bytes, not {}", entry.size_bytes)
        };
        match trust {
            Trust::AllowUnverified => {
                tracing::warn!(model = %model.id, file = %path.display(), reason, "unverified model file");
                found(Verification::WrongDigest)
            }
            Trust::Verified => Err(ModelError::WrongDigest {
                id: model.id.clone(),
                path,
                reason,
            }),
        }
    }

    /// A file of any name with the right bytes, directly in `folder` or one folder below.
    fn file_by_digest(
        &self,
        entry: &FileEntry,
        folder: &Path,
    ) -> Result<Option<(ModelSource, Verification)>, ModelError> {
        if !entry.is_pinned() {
            return Ok(None);
        }
        for path in files_within(folder, 1) {
            // Hashing is dear: only files of the right length.
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == entry.size_bytes)
                && self
                    .memory
                    .digest(&path)
                    .is_ok_and(|digest| digest.matches(entry))
            {
                return Ok(Some((ModelSource::Path(path), Verification::Verified)));
            }
        }
        Ok(None)
    }

    /// A speech model that the registry doesn't know, by its name.
    fn locate_unknown(&self, id: &str) -> Option<LocatedModel> {
        if id.contains(['/', '\\']) || id.starts_with('.') {
            return None;
        }
        let folders = self.extra.iter().chain([&self.home]);
        let path = folders
            .flat_map(|folder| {
                [id.to_owned(), format!("{id}.bin"), format!("ggml-{id}.bin")]
                    .map(|name| folder.join(name))
            })
            .find(|path| path.is_file())?;
        tracing::warn!(model = id, file = %path.display(), "a model that the registry doesn't know");
        Some(LocatedModel {
            id: id.to_owned(),
            kind: ModelKind::Speech,
            // As whisper.cpp's own names have it.
            multilingual: !id.contains(".en"),
            languages: Vec::new(),
            dimensions: None,
            max_sequence_tokens: None,
            verification: Verification::Unpinned,
            files: vec![ModelFile {
                role: FileRole::Weights,
                source: ModelSource::Path(path),
            }],
        })
    }

    /// How to get a model: the command, and the way by hand.
    pub(crate) fn manual(&self, model: &ModelEntry) -> String {
        if !model.is_published() {
            return format!(
                "Nobody publishes it: put its file {} (SHA-256 {}) into a folder that \
                 SPEAKR_MODELS_DIR names, or use another model",
                model.files[0].name, model.files[0].sha256
            );
        }
        format!(
            "Get it with `speakr models pull {}`, or {}",
            model.id,
            self.by_hand(model)
        )
    }

    /// The way by hand: addresses and places.
    pub(crate) fn by_hand(&self, model: &ModelEntry) -> String {
        let files: Vec<String> = model
            .files
            .iter()
            .filter_map(|entry| {
                let url = entry.url(crate::pull::Endpoint::DEFAULT)?;
                let place = self.home.join(model.relative_path(entry));
                Some(format!("{url} as {}", place.display()))
            })
            .collect();
        format!("by hand: save {}", files.join(" and "))
    }
}

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Bundled,
    Extra(&'a Path),
    Home(&'a Path),
}

pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Files of `folder`, and of the folders in it down to `depth`, in the order of their names.
/// Folders that can't be read have none.
fn files_within(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_file() {
            files.push(path);
        } else if depth > 0 && path.is_dir() {
            files.extend(files_within(&path, depth - 1));
        }
    }
    files
}
