//! The store of record on a file system, and one-machine plumbing.
//!
//! [`FolderArchive`] keeps each recording in a folder of its own; [`RecordingLock`] and
//! [`TranscriptionLock`] keep two processes from doing the same work. [`Home`] names the places.

mod archive;
mod atomic;
mod fault;
mod home;
mod kept_file;
mod lock;
mod rebuild;
mod sound;
mod tokens;

pub use archive::FolderArchive;
pub use home::Home;
pub use lock::{Beginning, Holder, LockError, RecordingLock, TranscriptionLock};
pub use tokens::FileTokenStore;
