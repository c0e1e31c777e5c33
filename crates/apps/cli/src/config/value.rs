//! How values are read from the configuration file and from environment variables.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::ValueEnum;
use serde_json::Value as Json;
use speakr_core::Tags;
use speakr_nats::BusConfig;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{limit, parse_limit},
    commands::format::FormatArg,
};

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// Reads it from the text of an environment variable.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads it from the configuration file that lies in `folder`.
    fn from_toml(value: &DeValue<'_>, folder: &Path) -> Result<Self, String>;

    /// The value as JSON; null where it isn't set.
    fn to_json(&self) -> Json;
}

fn string<'a>(value: &'a DeValue<'_>) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("it wants text in quotes, not {}", named(value)))
}

fn integer<T: FromStr>(value: &DeValue<'_>) -> Result<T, String> {
    let number = value.as_integer().filter(|n| n.radix() == 10);
    let number = number.ok_or_else(|| format!("it wants a whole number, not {}", named(value)))?;
    whole(number.as_str())
}

fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is no whole number from 0 on, or is too large"))
}

fn named(value: &DeValue<'_>) -> String {
    format!("a value of the kind \"{}\"", value.type_str())
}

impl Value for String {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            Err("it is empty".to_owned())
        } else {
            Ok(text.to_owned())
        }
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.as_str().into()
    }
}

impl Value for Option<String> {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Some(text.trim().to_owned()).filter(|t| !t.is_empty()))
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.as_deref().into()
    }
}

impl Value for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }

    /// In a file, `~` is the home folder and a relative path begins at the file's own folder.
    fn from_toml(value: &DeValue<'_>, folder: &Path) -> Result<Self, String> {
        let path = Self::from_text(string(value)?)?;
        match path.strip_prefix("~") {
            Ok(rest) => etcetera::home_dir()
                .map(|home| home.join(rest))
                .map_err(|_| "there is no home folder that \"~\" could mean".to_owned()),
            Err(_) => Ok(folder.join(path)),
        }
    }

    fn to_json(&self) -> Json {
        self.to_string_lossy().into()
    }
}

impl Value for Option<PathBuf> {
    fn from_text(text: &str) -> Result<Self, String> {
        PathBuf::from_text(text).map(Some)
    }

    fn from_toml(value: &DeValue<'_>, folder: &Path) -> Result<Self, String> {
        PathBuf::from_toml(value, folder).map(Some)
    }

    fn to_json(&self) -> Json {
        self.as_ref().map_or(Json::Null, Value::to_json)
    }
}

impl Value for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            other => Err(format!("\"{other}\" is neither true nor false")),
        }
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        value
            .as_bool()
            .ok_or_else(|| format!("it wants true or false, not {}", named(value)))
    }

    fn to_json(&self) -> Json {
        (*self).into()
    }
}

impl Value for Tags {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::new(text.split(',')))
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        let list = value.as_array().ok_or_else(|| {
            format!(
                "it wants a list such as [\"a\", \"b\"], not {}",
                named(value)
            )
        })?;
        let tags = list.iter().map(|item| string(item.get_ref()));
        Ok(Self::new(tags.collect::<Result<Vec<_>, _>>()?))
    }

    fn to_json(&self) -> Json {
        self.iter().collect()
    }
}

impl Value for Option<FormatArg> {
    fn from_text(text: &str) -> Result<Self, String> {
        FormatArg::from_str(text.trim(), true)
            .map(Some)
            .map_err(|_| {
                let names: Vec<_> = FormatArg::value_variants()
                    .iter()
                    .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
                    .collect();
                format!("\"{}\" is none of {}", text.trim(), names.join(", "))
            })
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.and_then(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .into()
    }
}

impl Value for Option<Duration> {
    /// "off" and a length of nothing turn it off.
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(limit(Some(parse_limit(text)?), None))
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.map(|length| format!("{}s", length.as_secs_f64()))
            .into()
    }
}

/// Whole numbers where 0 means the same as leaving them out.
macro_rules! whole_numbers {
    ($($number:ty),+) => { $(
        impl Value for Option<$number> {
            fn from_text(text: &str) -> Result<Self, String> {
                whole(text.trim()).map(|n| Some(n).filter(|n| *n > 0))
            }

            fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
                integer(value).map(|n| Some(n).filter(|n| *n > 0))
            }

            fn to_json(&self) -> Json {
                (*self).into()
            }
        }
    )+ };
}

whole_numbers!(u32, usize);

/// A password, a token, a seed: it is used and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secret(Option<String>);

impl Secret {
    /// The secret itself; nothing where it isn't set.
    pub(crate) fn reveal(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "[secret]" } else { "None" })
    }
}

impl Value for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        <Option<String> as Value>::from_text(text).map(Self)
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    /// Only whether it is set.
    fn to_json(&self) -> Json {
        self.0.as_ref().map(|_| "[secret]").into()
    }
}

/// Addresses of servers. They may hold a user and a password, which are used and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Servers(Option<String>);

impl Servers {
    /// These addresses, separated by commas.
    pub(crate) fn new(servers: &str) -> Self {
        Self(Some(servers.to_owned()))
    }

    /// The addresses as they were given; nothing where none was.
    pub(crate) fn reveal(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The addresses without users and passwords.
    pub(crate) fn shown(&self) -> Option<String> {
        self.reveal()
            .map(|servers| BusConfig::new(servers, "").servers_shown())
    }
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown().fmt(f)
    }
}

impl Value for Servers {
    fn from_text(text: &str) -> Result<Self, String> {
        <Option<String> as Value>::from_text(text).map(Self)
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.shown().into()
    }
}

/// What is logged: directives as tracing reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// The filter that `-v`, given so many times, asks for.
    pub(super) fn for_verbosity(times: u8) -> Option<Self> {
        let level = match times {
            0 => return None,
            1 => "warn,speakr=info,speakr_core=info",
            // The runtime of the embedder tells of each of its steps, hundreds of lines a second.
            2 => "debug,tract_core=warn,tract_hir=warn,tract_onnx=warn,tract_nnef=warn",
            _ => "trace",
        };
        Some(Self(level.to_owned()))
    }

    /// The directives.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("warn".to_owned())
    }
}

impl Value for LogFilter {
    fn from_text(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map_err(|e| format!("\"{text}\" is no filter of logs: {e}"))?;
        String::from_text(text).map(Self)
    }

    fn from_toml(value: &DeValue<'_>, _: &Path) -> Result<Self, String> {
        Self::from_text(string(value)?)
    }

    fn to_json(&self) -> Json {
        self.as_str().into()
    }
}
