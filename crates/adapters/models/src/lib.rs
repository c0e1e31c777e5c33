//! The model registry: which models speakr knows, where they are, and how to get them.
//!
//! [`Registry`] is the list (an embedded TOML file), [`ModelStore`] finds a model: inside the
//! program (feature `bundled-models`), in folders the user named, in the data folder. Nothing is
//! ever used in place of what was asked for, and nothing whose digest is wrong.
//! [`ModelStore::pull`] downloads one.

mod bundled;
mod digest;
mod download;
mod error;
mod installed;
mod pull;
mod registry;
mod store;

pub use error::ModelError;
pub use installed::{ModelStatus, Removed, State, Verification, VerifiedFile};
pub use pull::{Endpoint, PullOptions, PullProgress, Pulled, RetryPolicy};
pub use registry::{FileEntry, FileRole, ModelEntry, ModelKind, Registry, RegistryError};
pub use store::{LocatedModel, ModelFile, ModelSource, ModelStore, Trust};
