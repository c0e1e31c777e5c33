//! What the program is set to, and where each value came from.
//!
//! One table names every setting; the struct, the environment variables, the configuration file,
//! `speakr config show` and the generated example all come from it.

mod file;
mod value;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use etcetera::BaseStrategy;
use serde_json::Value as Json;
use speakr_core::Tags;

use self::value::Value;
use crate::{
    args::GlobalArgs,
    commands::format::FormatArg,
    failure::{ExitCode, Failure},
};

pub(crate) use self::value::{LogFilter, Secret, Servers};

/// The speech model where none is set.
const DEFAULT_MODEL: &str = default_model(cfg!(feature = "bundled-models"));

/// The same in a build with models, which takes the one that is part of it, and in one without,
/// which takes the published one of the same name: that can be pulled.
pub(crate) const fn default_model(bundled: bool) -> &'static str {
    if bundled {
        "tiny.en-q8_0-speakr"
    } else {
        "tiny.en-q8_0"
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// The configuration file, at this line.
    File(PathBuf, usize),
    /// This environment variable.
    Environment(String),
    /// This option of the command line.
    Flag(&'static str),
}

impl Origin {
    /// The word for it in JSON.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(..) => "file",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }

    /// The place within it: file and line, variable, option.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Default => None,
            Self::File(path, line) => Some(format!("{}:{line}", path.display())),
            Self::Environment(name) => Some(name.clone()),
            Self::Flag(name) => Some((*name).to_owned()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place().unwrap_or_else(|| "default".to_owned()))
    }
}

/// One setting, as the table tells of it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in the configuration file.
    pub(crate) key: &'static str,
    /// The lines that explain it.
    doc: &'static [&'static str],
    /// A value as one would write it into the file.
    example: &'static str,
}

impl Setting {
    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        let name = self.key.to_ascii_uppercase();
        // Those of the bus are called as every program calls them.
        if self.key.starts_with("nats_") {
            name
        } else {
            format!("SPEAKR_{name}")
        }
    }
}

/// Makes [`Settings`] and [`TABLE`] from one list: what it is, its key, its type, its default, and
/// an example as it stands in the file.
macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $example:literal; )+) => {
        /// The settings of this process.
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct Settings {
            $( $(#[doc = $doc])+ pub(crate) $key: $type, )+
            origins: BTreeMap<&'static str, Origin>,
        }

        /// Every setting, in the order of the example.
        pub(crate) const TABLE: &[Setting] = &[
            $( Setting { key: stringify!($key), doc: &[$($doc),+], example: $example }, )+
        ];

        impl Settings {
            fn defaults() -> Self {
                Self { $( $key: $default, )+ origins: BTreeMap::new() }
            }

            fn set_text(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $( stringify!($key) => self.$key = Value::from_text(text)?, )+
                    other => return Err(format!("there is no setting \"{other}\"")),
                }
                Ok(())
            }

            fn set_toml(&mut self, key: &str, value: &toml::de::DeValue<'_>, folder: &Path)
                -> Result<(), String>
            {
                match key {
                    $( stringify!($key) => self.$key = Value::from_toml(value, folder)?, )+
                    other => return Err(format!("there is no setting \"{other}\"")),
                }
                Ok(())
            }

            /// The value of the setting `key` as JSON; null where it isn't set.
            pub(crate) fn json(&self, key: &str) -> Json {
                match key {
                    $( stringify!($key) => self.$key.to_json(), )+
                    _ => Json::Null,
                }
            }
        }
    };
}

settings! {
    /// The microphone, by a name that `speakr devices` lists, or `file:PATH` to play a file in real
    /// time as if it were one. The system's default where absent.
    device: Option<String> = None, "\"file:speech.wav\"";
    /// The speech model, by a name that `speakr models list` lists. The bundled one, which knows
    /// English, where absent.
    model: String = DEFAULT_MODEL.to_owned(), "\"base\"";
    /// The model that search finds meaning with, by a name that `speakr models list` lists. The
    /// bundled one, which knows English, where absent. After a change, the next search reads all
    /// texts anew with it.
    embedding_model: Option<String> = None, "\"paraphrase-multilingual-minilm-l12-v2\"";
    /// The language spoken, as a code such as "de". Detected where absent or "auto".
    language: Option<String> = None, "\"en\"";
    /// Tags of every new recording, unless the command line names others.
    tags: Tags = Tags::default(), "[\"work\", \"ideas\"]";
    /// Whether the text of a recording goes to the clipboard.
    clipboard: bool = true, "true";
    /// How `speakr transcribe` prints text: txt, srt, vtt, json or tsv.
    format: Option<FormatArg> = None, "\"txt\"";
    /// The silence that ends a recording, such as "2s". Off where absent or "off".
    stop_on_silence: Option<Duration> = None, "\"2s\"";
    /// The greatest length of a recording, such as "1h". No limit where absent or "off".
    max_duration: Option<Duration> = None, "\"1h\"";
    /// Recordings older than this many days are deleted: sound, text and vectors. 0 keeps
    /// everything, and so does leaving it out.
    retention_days: Option<u32> = None, "0";
    /// Threads of the speech engine. 0 chooses by the machine, and so does leaving it out.
    threads: Option<usize> = None, "0";
    /// The ffmpeg program. Found on the search path where absent.
    ffmpeg: Option<PathBuf> = None, "\"/usr/bin/ffmpeg\"";
    /// A further folder with models. `speakr models pull` doesn't write to it.
    models_dir: Option<PathBuf> = None, "\"~/models\"";
    /// The folder of recordings, index and pulled models. The platform's place for the data of
    /// programs where absent.
    home: PathBuf = PathBuf::new(), "\"~/speakr\"";
    /// Servers of a platform's bus, separated by commas: nats://, tls://, ws:// or wss://. Where it
    /// is set, sound goes there and the platform makes and keeps the text; where it is absent,
    /// nothing leaves this machine. `--local` works alone all the same.
    nats_url: Servers = Servers::default(), "\"tls://nats.example:4222\"";
    /// A credentials file (JWT and seed) for the bus.
    nats_creds: Option<PathBuf> = None, "\"~/.config/speakr/cli.creds\"";
    /// The user of the bus, and below its password.
    nats_user: Option<String> = None, "\"cli\"";
    /// The password of nats_user. Better in the environment than in a file that others read.
    nats_password: Secret = Secret::default(), "\"\"";
    /// The seed of an nkey for the bus.
    nats_nkey: Secret = Secret::default(), "\"\"";
    /// A PEM file of who vouches for the bus's certificate; the system's own where absent.
    nats_ca: Option<PathBuf> = None, "\"ca.pem\"";
    /// A PEM file of our certificate, where the bus asks for one.
    nats_cert: Option<PathBuf> = None, "\"cert.pem\"";
    /// A PEM file of the key of nats_cert.
    nats_key: Option<PathBuf> = None, "\"key.pem\"";
    /// The first part of the subjects on which the bus answers. `_INBOX_cli` where absent.
    nats_inbox_prefix: Option<String> = None, "\"_INBOX_cli\"";
    /// The platform's query API: where search, list, show, export, tag, rm and play look.
    api_url: Servers = Servers::default(), "\"https://speakr.example\"";
    /// The token of the query API. Better in the environment, in api_token_file, or in the system's
    /// keychain (`speakr token set`), which is asked where neither is set.
    api_token: Secret = Secret::default(), "\"\"";
    /// A file with the token of the query API.
    api_token_file: Option<PathBuf> = None, "\"~/.config/speakr/token\"";
    /// The collector that is told of what this program asks of a platform: one trace from here to the
    /// index, by OTLP over HTTP, with ids and times and no word that was said. Where it is absent,
    /// nothing is told; OTEL_EXPORTER_OTLP_ENDPOINT, which other programs go by, isn't read.
    otlp_endpoint: Servers = Servers::default(), "\"http://localhost:4318\"";
    /// What is logged to standard error: error, warn, info, debug, trace, or a filter such as
    /// "warn,speakr=debug". -v on the command line wins.
    log: LogFilter = LogFilter::default(), "\"warn\"";
}

/// The variables and folders that settings come from; a test brings its own.
pub(crate) struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    config_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Surroundings<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    /// The configuration file, and whether it must exist: the option names a file, the variable
    /// and the platform only where one would be.
    fn file(&self, global: &GlobalArgs) -> Result<(PathBuf, bool), Failure> {
        if let Some(path) = &global.config {
            return Ok((path.clone(), true));
        }
        if let Some(path) = self.variable("SPEAKR_CONFIG") {
            return Ok((path.into(), false));
        }
        self.config_dir
            .as_ref()
            .map(|dir| (dir.join("config.toml"), false))
            .ok_or_else(|| {
                Failure::new(
                    ExitCode::Usage,
                    "there is no home folder to look for settings in",
                )
                .hint("set SPEAKR_CONFIG to a file, or HOME")
            })
    }
}

/// The platform's folders: those of the XDG convention; on macOS Application Support, which holds
/// both; on Windows the roaming folder for settings and the local one for data.
fn with_platform<T>(run: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let dirs = etcetera::base_strategy::choose_native_strategy().ok();
    let config_dir = dirs.as_ref().map(|dirs| {
        if cfg!(target_os = "macos") {
            dirs.data_dir()
        } else {
            dirs.config_dir()
        }
    });
    let data_dir = dirs.as_ref().map(|dirs| {
        if cfg!(windows) {
            dirs.cache_dir()
        } else {
            dirs.data_dir()
        }
    });
    run(&Surroundings {
        variable: &|name| std::env::var_os(name),
        config_dir: config_dir.map(|dir| dir.join("speakr")),
        data_dir: data_dir.map(|dir| dir.join("speakr")),
    })
}

/// The configuration file that is read, whether it exists or not.
pub(crate) fn path(global: &GlobalArgs) -> Result<PathBuf, Failure> {
    with_platform(|around| around.file(global)).map(|(path, _)| path)
}

impl Settings {
    /// Reads the settings: options before environment before file before defaults.
    pub(crate) fn load(global: &GlobalArgs) -> Result<Self, Failure> {
        with_platform(|around| Self::from_surroundings(global, around))
    }

    fn from_surroundings(global: &GlobalArgs, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let mut settings = Self::defaults();
        // Without a home folder there is no file to read either, unless somebody names one.
        if let Ok((path, required)) = around.file(global) {
            settings.read_file(&path, required)?;
        }
        for setting in TABLE {
            settings.read_variable(setting, around)?;
        }
        settings.read_flags(global);
        if settings.home.as_os_str().is_empty() {
            settings.home = around.data_dir.clone().ok_or_else(|| {
                Failure::new(
                    ExitCode::Usage,
                    "there is no home folder to keep recordings in",
                )
                .hint("set SPEAKR_HOME to a folder")
            })?;
        }
        Ok(settings)
    }

    fn read_variable(
        &mut self,
        setting: &'static Setting,
        around: &Surroundings<'_>,
    ) -> Result<(), Failure> {
        let name = setting.variable();
        let Some(value) = around.variable(&name) else {
            return Ok(());
        };
        let text = value
            .to_str()
            .ok_or_else(|| "that is no UTF-8 text".to_owned());
        text.and_then(|text| self.set_text(setting.key, text))
            .map_err(|reason| {
                Failure::new(
                    ExitCode::Usage,
                    format!("the variable {name} is wrong: {reason}"),
                )
            })?;
        self.origins.insert(setting.key, Origin::Environment(name));
        Ok(())
    }

    /// The options of every command. A command's own options win in that command.
    fn read_flags(&mut self, global: &GlobalArgs) {
        if let Some(home) = &global.home {
            self.home.clone_from(home);
            self.origins.insert("home", Origin::Flag("--home"));
        }
        if let Some(url) = &global.nats_url {
            self.nats_url = Servers::new(url);
            self.origins.insert("nats_url", Origin::Flag("--nats-url"));
        }
        if global.local {
            self.nats_url = Servers::default();
            self.origins.insert("nats_url", Origin::Flag("--local"));
        }
        if let Some(filter) = LogFilter::for_verbosity(global.verbose) {
            self.log = filter;
            self.origins.insert("log", Origin::Flag("--verbose"));
        }
    }

    /// Where the value of `key` came from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }
}

/// The example of a configuration file, made from the table of settings: every line of it that
/// sets something is commented out.
pub(crate) fn example() -> String {
    let mut text = String::from(
        "# The settings of speakr. `speakr config path` tells where this file belongs, and\n\
         # `speakr config show` what is in force and why. Options of the command line win over\n\
         # environment variables, and those over this file.\n",
    );
    for setting in TABLE {
        text.push('\n');
        for line in setting.doc {
            text.push_str(&format!("#{line}\n"));
        }
        text.push_str(&format!("# Environment: {}\n", setting.variable()));
        text.push_str(&format!("#{} = {}\n", setting.key, setting.example));
    }
    text
}

#[cfg(test)]
mod tests;
