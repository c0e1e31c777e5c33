//! What can go wrong with models. Each message says the mend.

use std::{io, path::PathBuf, time::Duration};

/// Why a model isn't to be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The registry has no such id.
    #[error(
        "there is no model \"{id}\"{}; `speakr models list` shows all",
        like(similar)
    )]
    Unknown {
        /// What was asked for.
        id: String,
        /// Ids that look like it.
        similar: Vec<String>,
    },
    /// It is known, and nowhere here.
    #[error("the model \"{id}\" isn't here. {manual}")]
    NotInstalled {
        /// Which model.
        id: String,
        /// How to get it: the command, and the way by hand.
        manual: String,
    },
    /// A file is there under its name, with other bytes.
    #[error(
        "{} isn't the file of the model \"{id}\" that speakr knows: {reason}. Remove it and get the \
         model again (`speakr models pull {id}`); --allow-unverified uses it as it is",
        path.display()
    )]
    WrongDigest {
        /// Which model.
        id: String,
        /// Which file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The registry has no digest for it, so nothing can vouch for the bytes.
    #[error(
        "the model \"{id}\" is unpinned: no digest of its files is known, so they can't be checked; \
         --allow-unverified takes them as they are"
    )]
    Unpinned {
        /// Which model.
        id: String,
    },
    /// Nobody publishes it.
    #[error("the model \"{id}\" can't be downloaded: {reason}")]
    NotPublished {
        /// Which model.
        id: String,
        /// Where it comes from instead.
        reason: String,
    },
    /// It isn't in the folder that speakr may change.
    #[error("the model \"{id}\" can't be removed: {reason}")]
    NotRemovable {
        /// Which model.
        id: String,
        /// Where it is instead.
        reason: String,
    },
    /// The server's answer was no.
    #[error("{url} answered {status}. {manual}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The way by hand.
        manual: String,
    },
    /// The transfer failed, again and again.
    #[error(
        "downloading {url} failed after {attempts} attempts ({reason}); what has come is kept. {manual}"
    )]
    Transfer {
        /// What was asked for.
        url: String,
        /// How often it was tried since the last byte came.
        attempts: u32,
        /// Why the last attempt failed.
        reason: String,
        /// The way by hand.
        manual: String,
    },
    /// What the server sent isn't the file.
    #[error(
        "{url} sent another file than the model \"{id}\" has: {reason}; it was thrown away. {manual}"
    )]
    WrongFile {
        /// Which model.
        id: String,
        /// What was asked for.
        url: String,
        /// What differs.
        reason: String,
        /// The way by hand.
        manual: String,
    },
    /// The disk is full.
    #[error(
        "no space left in {} for the model \"{id}\" ({missing_bytes} bytes still missing); what has \
         come is kept: make room and say `speakr models pull {id}` again",
        folder.display()
    )]
    DiskFull {
        /// Which model.
        id: String,
        /// Where.
        folder: PathBuf,
        /// How many bytes are still to come.
        missing_bytes: u64,
    },
    /// The caller cancelled.
    #[error(
        "the download of \"{id}\" was stopped; what has come is kept, and `speakr models pull {id}` goes on from there"
    )]
    Cancelled {
        /// Which model.
        id: String,
    },
    /// Another process downloads the same model and doesn't get done.
    #[error("another process has been downloading \"{id}\" for {} s without progress", waited.as_secs())]
    Locked {
        /// Which model.
        id: String,
        /// How long this one waited.
        waited: Duration,
    },
    /// The address to download from isn't one.
    #[error("HF_ENDPOINT is \"{endpoint}\", which is no address: {reason}")]
    BadEndpoint {
        /// What it is.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// No secure connections are possible here.
    #[error("downloads can't be set up: {0}")]
    Setup(String),
    /// A file can't be read or written.
    #[error("can't {action} {}: {cause}", path.display())]
    Io {
        /// What was tried ("read", "write", …).
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
}

fn like(similar: &[String]) -> String {
    if similar.is_empty() {
        String::new()
    } else {
        format!(" (like it: {})", similar.join(", "))
    }
}

impl ModelError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path, cause: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}
