//! Secrets: never shown, and read again when their file changes.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Why a secret can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Its file can't be read.
    #[error("can't read {name} from {}: {reason}", file.display())]
    Unreadable {
        /// Which setting.
        name: &'static str,
        /// Which file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Its file holds nothing.
    #[error("{name} is empty in {}", file.display())]
    Empty {
        /// Which setting.
        name: &'static str,
        /// Which file.
        file: PathBuf,
    },
}

/// The text of a secret; its `Debug` form doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A secret from the environment or from a file. Cheap to clone.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    name: &'static str,
    from: From,
}

enum From {
    Environment(SecretText),
    File {
        path: PathBuf,
        read: Mutex<Option<(Stamp, SecretText)>>,
    },
}

/// Changes when a file does. Time alone doesn't: some systems tell it in steps of milliseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            modified: meta.modified().ok(),
            len: meta.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(meta),
        }
    }
}

impl Secret {
    /// One that stays as it is.
    #[must_use]
    pub fn fixed(name: &'static str, text: String) -> Self {
        Self(Arc::new(Inner {
            name,
            from: From::Environment(SecretText(text)),
        }))
    }

    /// One that is in a file, read now and whenever the file has changed.
    ///
    /// # Errors
    /// [`SecretError`] when it can't be read or is empty.
    pub fn from_file(name: &'static str, path: PathBuf) -> Result<Self, SecretError> {
        let secret = Self(Arc::new(Inner {
            name,
            from: From::File {
                path,
                read: Mutex::new(None),
            },
        }));
        secret.current()?;
        Ok(secret)
    }

    /// What reads it each time that it is called, for parts that know neither settings nor secrets.
    pub fn reader(self) -> impl Fn() -> Result<String, String> + Send + Sync + 'static {
        move || match self.current() {
            Ok(text) => Ok(text.expose().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The secret as it is now. White space at the end of a file isn't part of it.
    ///
    /// # Errors
    /// [`SecretError`] when its file can't be read or is empty.
    pub fn current(&self) -> Result<SecretText, SecretError> {
        let name = self.0.name;
        let (path, read) = match &self.0.from {
            From::Environment(text) => return Ok(text.clone()),
            From::File { path, read } => (path, read),
        };
        let unreadable = |e: std::io::Error| SecretError::Unreadable {
            name,
            file: path.clone(),
            reason: e.to_string(),
        };
        let stamp = Stamp::of(&std::fs::metadata(path).map_err(unreadable)?);
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, text)) = &*read
            && *known == stamp
        {
            return Ok(text.clone());
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let text = SecretText(text.trim_end().to_owned());
        if text.0.is_empty() {
            return Err(SecretError::Empty {
                name,
                file: path.clone(),
            });
        }
        *read = Some((stamp, text.clone()));
        Ok(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.from {
            From::Environment(_) => f.write_str("[secret]"),
            From::File { path, .. } => write!(f, "[secret in {}]", path.display()),
        }
    }
}
