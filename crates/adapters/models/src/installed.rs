//! What is here: listing, checking and removing models.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    error::ModelError,
    registry::{ModelEntry, ModelKind},
    store::{LocatedModel, ModelSource, ModelStore, Place, Trust, is_absence},
};

/// What is known of a model's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// They are those of the registry.
    Verified,
    /// Nobody knows what they should be.
    Unpinned,
    /// They are others than the registry's.
    WrongDigest,
}

/// Where a model is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum State {
    /// Inside the program.
    Bundled,
    /// In a folder.
    Installed {
        /// Its weights.
        path: PathBuf,
        /// Whether it is in the data folder (and may be removed).
        removable: bool,
    },
    /// Under its name there are other bytes.
    Damaged {
        /// What is wrong with which file.
        reason: String,
    },
    /// Some of it has been downloaded.
    Partial {
        /// How much of it.
        received_bytes: u64,
    },
    /// Nowhere.
    Absent,
}

/// What a list says of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelStatus {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// What people call it.
    pub name: String,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Codes of the languages it knows; empty where language has no meaning to it.
    pub languages: Vec<String>,
    /// Length of all its files.
    pub size_bytes: u64,
    /// Whether a digest of each file is known.
    pub pinned: bool,
    /// SHA-256 of its weights; empty where it isn't known.
    pub sha256: String,
    /// Where its weights are published; absent where they aren't.
    pub url: Option<String>,
    /// Where the digest of its weights comes from.
    pub digest_source: Vec<String>,
    /// Where it is.
    #[serde(flatten)]
    pub state: State,
}

/// One file that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedFile {
    /// The model.
    pub id: String,
    /// The file; absent for bytes inside the program.
    pub path: Option<PathBuf>,
    /// What came out.
    pub verification: Verification,
    /// Its SHA-256.
    pub sha256: String,
    /// The registry's; empty where it has none.
    pub expected_sha256: String,
}

/// What a removal removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The model.
    pub id: String,
    /// The files.
    pub files: Vec<PathBuf>,
    /// Bytes freed.
    pub freed_bytes: u64,
}

impl ModelStore {
    /// All models of the registry, with where they are.
    #[must_use]
    pub fn list(&self) -> Vec<ModelStatus> {
        self.registry
            .models()
            .iter()
            .map(|model| self.status(model))
            .collect()
    }

    /// Where the weights of a model are; `None` for one inside the program.
    ///
    /// # Errors
    /// As [`ModelStore::locate`].
    pub fn path(&self, id: &str, trust: Trust) -> Result<Option<PathBuf>, ModelError> {
        Ok(match self.locate(id, trust)?.weights()? {
            ModelSource::Bundled(_) => None,
            ModelSource::Path(path) => Some(path.clone()),
        })
    }

    /// Hashes every file of a model again and compares.
    ///
    /// # Errors
    /// [`ModelError::Unknown`], [`ModelError::NotInstalled`], or a file that can't be read. A
    /// wrong digest is no error here but an answer.
    pub fn verify(&self, id: &str) -> Result<Vec<VerifiedFile>, ModelError> {
        let found = self.locate(id, Trust::AllowUnverified)?;
        let entry = self.registry.get(&found.id);
        let mut verified = Vec::with_capacity(found.files.len());
        for file in &found.files {
            let digest = match &file.source {
                ModelSource::Bundled(bytes) => crate::digest::of_reader(*bytes)
                    .map_err(|cause| ModelError::io("read", Path::new("the program"), cause)),
                ModelSource::Path(path) => self
                    .memory
                    .digest_afresh(path)
                    .map_err(|cause| ModelError::io("read", path, cause)),
            }?;
            let expected = entry.and_then(|e| e.files.iter().find(|f| f.role == file.role));
            let verification = match expected {
                Some(expected) if !expected.is_pinned() => Verification::Unpinned,
                None => Verification::Unpinned,
                Some(expected) if digest.matches(expected) => Verification::Verified,
                Some(_) => Verification::WrongDigest,
            };
            verified.push(VerifiedFile {
                id: found.id.clone(),
                path: match &file.source {
                    ModelSource::Bundled(_) => None,
                    ModelSource::Path(path) => Some(path.clone()),
                },
                verification,
                sha256: digest.sha256,
                expected_sha256: expected.map(|e| e.sha256.clone()).unwrap_or_default(),
            });
        }
        Ok(verified)
    }

    /// Removes a pulled model (or the part of it that has come) from the data folder. Files that
    /// another model there shares stay.
    ///
    /// # Errors
    /// [`ModelError::NotRemovable`] for a model inside the program or in a folder that isn't
    /// speakr's, [`ModelError::NotInstalled`], [`ModelError::Io`].
    pub fn remove(&self, id: &str) -> Result<Removed, ModelError> {
        let model = self.registry.get(id).ok_or_else(|| ModelError::Unknown {
            id: id.into(),
            similar: self.registry.similar(id),
        })?;
        let mut removed = Removed {
            id: id.into(),
            files: Vec::new(),
            freed_bytes: 0,
        };
        for entry in &model.files {
            let path = self.home.join(model.relative_path(entry));
            let shared = self.registry.models().iter().any(|other| {
                other.id != model.id
                    && other
                        .files
                        .iter()
                        .any(|f| other.relative_path(f) == model.relative_path(entry) && f == entry)
                    && self
                        .home
                        .join(other.relative_path(&other.files[0]))
                        .exists()
            });
            if shared {
                continue;
            }
            for path in [path.clone(), part_path(&path), part_note_path(&path)] {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        fs::remove_file(&path)
                            .map_err(|cause| ModelError::io("remove", &path, cause))?;
                        removed.freed_bytes += metadata.len();
                        removed.files.push(path);
                    }
                    Ok(_) => {}
                    Err(error) if is_absence(&error) => {}
                    Err(cause) => return Err(ModelError::io("remove", &path, cause)),
                }
            }
        }
        if let Some(folder) = &model.folder {
            // Stays where something else is in it.
            let _ = fs::remove_dir(self.home.join(folder));
        }
        if !removed.files.is_empty() {
            return Ok(removed);
        }
        Err(match self.locate(id, Trust::AllowUnverified) {
            Ok(found) => ModelError::NotRemovable {
                id: id.into(),
                reason: match found.weights()? {
                    ModelSource::Bundled(_) => "it is part of the program".into(),
                    ModelSource::Path(path) => {
                        format!(
                            "{} isn't in speakr's own folder; remove it there",
                            path.display()
                        )
                    }
                },
            },
            Err(error) => error,
        })
    }

    fn status(&self, model: &ModelEntry) -> ModelStatus {
        let weights = model
            .files
            .iter()
            .find(|f| f.role == crate::registry::FileRole::Weights);
        ModelStatus {
            id: model.id.clone(),
            kind: model.kind,
            name: model.name.clone(),
            licence: model.licence.clone(),
            languages: model.languages.clone(),
            size_bytes: model.size_bytes(),
            pinned: model.is_pinned(),
            sha256: weights.map(|file| file.sha256.clone()).unwrap_or_default(),
            url: weights.and_then(|file| file.url(crate::pull::Endpoint::DEFAULT)),
            digest_source: weights
                .map(|file| file.digest_source.clone())
                .unwrap_or_default(),
            state: self.state(model),
        }
    }

    fn state(&self, model: &ModelEntry) -> State {
        let mut damaged = None;
        for place in self.places() {
            let removable = matches!(place, Place::Home(_));
            match self.locate_in(model, place, Trust::Verified) {
                Ok(Some(found)) => return installed(&found, removable),
                Ok(None) => {}
                // An unpinned file that is there is there.
                Err(ModelError::Unpinned { .. }) => {
                    if let Ok(Some(found)) = self.locate_in(model, place, Trust::AllowUnverified) {
                        return installed(&found, removable);
                    }
                }
                Err(error) => damaged = Some(error),
            }
        }
        match damaged {
            // The same name with a variant's bytes is no damage.
            Some(ModelError::WrongDigest { path, reason, .. }) => {
                let variant = self.registry.models().iter().any(|other| {
                    other.variant_of.as_deref() == Some(&model.id)
                        || model.variant_of.as_deref() == Some(&other.id)
                });
                if variant {
                    State::Absent
                } else {
                    State::Damaged {
                        reason: format!("{}: {reason}", path.display()),
                    }
                }
            }
            Some(error) => State::Damaged {
                reason: error.to_string(),
            },
            None => match self.received(model) {
                0 => State::Absent,
                received_bytes => State::Partial { received_bytes },
            },
        }
    }

    /// Bytes of a download that was broken off.
    fn received(&self, model: &ModelEntry) -> u64 {
        model
            .files
            .iter()
            .map(|entry| part_path(&self.home.join(model.relative_path(entry))))
            .filter_map(|path| fs::metadata(path).ok())
            .map(|metadata| metadata.len())
            .sum()
    }
}

fn installed(found: &LocatedModel, removable: bool) -> State {
    match found.weights() {
        Ok(ModelSource::Path(path)) => State::Installed {
            path: path.clone(),
            removable,
        },
        _ => State::Bundled,
    }
}

/// Where a download grows.
pub(crate) fn part_path(path: &Path) -> PathBuf {
    with_suffix(path, ".part")
}

/// What is known of the file that a part belongs to.
pub(crate) fn part_note_path(path: &Path) -> PathBuf {
    with_suffix(path, ".part.json")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
