//! Settings of a service: from the environment only, declared in a table, checked all at once.

mod check;
mod document;
mod secret;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

pub use document::markdown;
pub use secret::{Secret, SecretError, SecretText};

/// What a setting's text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text that isn't empty.
    Text,
    /// A URL with a scheme and a host.
    Url,
    /// A whole number within these bounds, both included.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A length of time: digits and `ms`, `s`, `m`, `h` or `d`, as in `30s`.
    Duration,
    /// `1`, `true`, `0` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file or folder; whether it is there is up to who opens it.
    Path,
    /// An address and port to listen on, as in `0.0.0.0:8081`.
    Address,
}

/// One setting of a service, as the table declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable's name.
    pub name: &'static str,
    /// What its text has to be.
    pub kind: Kind,
    /// What it is for, in one or two sentences.
    pub doc: &'static str,
    /// What holds where it isn't set.
    pub default: Option<&'static str>,
    /// Whether the service can't start without it.
    pub required: bool,
    /// Whether it is never shown, and can come from the file that `NAME_FILE` names.
    pub secret: bool,
}

impl Setting {
    /// A setting that need not be set.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            default: None,
            required: false,
            secret: false,
        }
    }

    /// With what holds where it isn't set.
    #[must_use]
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = Some(text);
        self
    }

    /// One that the service can't start without.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What to say where it isn't set and has to be.
    #[must_use]
    pub const fn missing(&self) -> SettingError {
        SettingError::Missing {
            name: self.name,
            doc: self.doc,
        }
    }

    /// One that is never shown, and is also read from the file that `NAME_FILE` names.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// A setting that isn't as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It has to be set.
    #[error("{name} isn't set: {doc}")]
    Missing {
        /// Which.
        name: &'static str,
        /// What it is for.
        doc: &'static str,
    },
    /// Its text isn't of its kind.
    #[error("{name} is {found}, but has to be {wanted}")]
    Invalid {
        /// Which.
        name: String,
        /// Its text in quotes, or "something else" for a secret.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// It is given twice.
    #[error("{name} and {name}_FILE are both set; only one of them can hold")]
    Twice {
        /// Which.
        name: &'static str,
    },
    /// The file of a secret can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The program asked for a setting that its table doesn't have, or as another kind.
    #[error("{name} isn't in this service's table as {wanted}")]
    Undeclared {
        /// Which.
        name: &'static str,
        /// As what the program asked for it.
        wanted: &'static str,
    },
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings are wrong:\n{}", list(.0))]
pub struct ConfigError(pub Vec<SettingError>);

fn list(errors: &[SettingError]) -> String {
    let lines: Vec<_> = errors.iter().map(|e| format!("  - {e}")).collect();
    lines.join("\n")
}

/// The settings of a service, checked. Its `Debug` form shows no secret, and no URL's password.
#[derive(Clone)]
pub struct Config {
    values: BTreeMap<&'static str, (Setting, String)>,
    secrets: BTreeMap<&'static str, Secret>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.values.iter().map(|(name, (_, text))| {
            let shown = match url::Url::parse(text) {
                Ok(url) if url.password().is_some() => "(a URL with a password)",
                _ => text,
            };
            (name, shown)
        });
        let secrets = self.secrets.keys().map(|name| (name, "(secret)"));
        f.debug_map().entries(values).entries(secrets).finish()
    }
}

impl Config {
    /// Reads the settings of `tables` from this process's environment.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn from_env(tables: &[&[Setting]]) -> Result<Self, ConfigError> {
        Self::read(tables, |name| std::env::var_os(name))
    }

    /// Reads the settings of `tables` from `lookup`. What is set to nothing counts as not set.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub fn read(
        tables: &[&[Setting]],
        lookup: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self {
            values: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        let mut errors = Vec::new();
        for setting in tables.iter().copied().flatten() {
            if let Err(error) = config.take(setting, &lookup) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(errors))
        }
    }

    fn take(
        &mut self,
        setting: &Setting,
        lookup: &impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<(), SettingError> {
        let given = |name: &str| -> Result<Option<String>, SettingError> {
            match lookup(name).map(std::ffi::OsString::into_string) {
                None => Ok(None),
                Some(Ok(text)) => Ok(Some(text).filter(|t| !t.trim().is_empty())),
                Some(Err(_)) => Err(SettingError::Invalid {
                    name: name.to_owned(),
                    found: "not UTF-8".to_owned(),
                    wanted: "text".to_owned(),
                }),
            }
        };
        let text = given(setting.name)?;
        if setting.secret {
            let file = given(&format!("{}_FILE", setting.name))?;
            let secret = match (text, file) {
                (Some(_), Some(_)) => return Err(SettingError::Twice { name: setting.name }),
                (Some(text), None) => Secret::fixed(setting.name, text),
                (None, Some(file)) => Secret::from_file(setting.name, PathBuf::from(file))?,
                (None, None) if setting.required => return Err(setting.missing()),
                (None, None) => return Ok(()),
            };
            check::text(setting, secret.current()?.expose())?;
            self.secrets.insert(setting.name, secret);
            return Ok(());
        }
        match text.or_else(|| setting.default.map(str::to_owned)) {
            Some(text) => {
                check::text(setting, &text)?;
                self.values.insert(setting.name, (*setting, text));
                Ok(())
            }
            None if setting.required => Err(setting.missing()),
            None => Ok(()),
        }
    }

    fn find(&self, setting: &Setting, wanted: &'static str) -> Result<&str, SettingError> {
        self.values
            .get(setting.name)
            .map(|(_, text)| text.as_str())
            .ok_or(SettingError::Undeclared {
                name: setting.name,
                wanted,
            })
    }

    /// Whether `setting` has a value.
    #[must_use]
    pub fn is_set(&self, setting: &Setting) -> bool {
        self.values.contains_key(setting.name) || self.secrets.contains_key(setting.name)
    }

    /// The text of a setting that is required or has a default.
    ///
    /// # Errors
    /// [`SettingError::Undeclared`] when it has neither.
    pub fn text(&self, setting: &Setting) -> Result<String, SettingError> {
        self.find(setting, "text").map(str::to_owned)
    }

    /// The text of a setting that need not be set.
    #[must_use]
    pub fn optional_text(&self, setting: &Setting) -> Option<String> {
        self.values.get(setting.name).map(|(_, text)| text.clone())
    }

    /// A URL.
    ///
    /// # Errors
    /// [`SettingError::Undeclared`] when it isn't set, [`SettingError::Invalid`] when it is none.
    pub fn url(&self, setting: &Setting) -> Result<url::Url, SettingError> {
        check::url(setting, self.find(setting, "a URL")?)
    }

    /// A whole number.
    ///
    /// # Errors
    /// As [`Config::url`].
    pub fn number(&self, setting: &Setting) -> Result<u64, SettingError> {
        check::number(setting, self.find(setting, "a number")?)
    }

    /// A length of time.
    ///
    /// # Errors
    /// As [`Config::url`].
    pub fn duration(&self, setting: &Setting) -> Result<Duration, SettingError> {
        check::duration(setting, self.find(setting, "a length of time")?)
    }

    /// Yes or no; no where it isn't set.
    ///
    /// # Errors
    /// [`SettingError::Invalid`] when it is neither.
    pub fn flag(&self, setting: &Setting) -> Result<bool, SettingError> {
        match self.values.get(setting.name) {
            None => Ok(false),
            Some((_, text)) => check::flag(setting, text),
        }
    }

    /// A file or folder, where it is set.
    #[must_use]
    pub fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.optional_text(setting).map(PathBuf::from)
    }

    /// An address and port to listen on.
    ///
    /// # Errors
    /// As [`Config::url`].
    pub fn address(&self, setting: &Setting) -> Result<SocketAddr, SettingError> {
        check::address(setting, self.find(setting, "an address")?)
    }

    /// A secret, where it is set.
    #[must_use]
    pub fn secret(&self, setting: &Setting) -> Option<Secret> {
        self.secrets.get(setting.name).cloned()
    }
}

#[cfg(test)]
mod tests;
