//! `speakr config`: what is set, where from, and where one sets it.

use std::{fs::OpenOptions, io, io::Write, path::Path};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    args::GlobalArgs,
    config::{self, Settings, TABLE},
    failure::{ExitCode, Failure},
    output::Output,
};

/// What to do with the settings.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Show every setting, its value, and where that came from
    Show,
    /// Print the path of the configuration file
    Path,
    /// Print an example of a configuration file, with every setting explained
    Example,
    /// Write the example to where the configuration file belongs; never over one that exists
    Init,
}

#[derive(Serialize)]
struct Shown {
    config_path: String,
    config_exists: bool,
    settings: Vec<ShownSetting>,
}

#[derive(Serialize)]
struct ShownSetting {
    key: &'static str,
    value: Json,
    /// default, file, environment or flag.
    origin: &'static str,
    /// File and line, variable, or option; null for a default.
    place: Option<String>,
    /// The environment variable that sets it.
    variable: String,
}

#[derive(Serialize)]
struct ShownPath<'a> {
    config_path: &'a str,
    config_exists: bool,
}

/// Runs `speakr config`. Only `show` reads the configuration, so that the others help to mend one
/// that is broken.
pub(crate) fn run(output: Output, global: &GlobalArgs, args: &ConfigArgs) -> Result<(), Failure> {
    match args.action {
        Action::Show => show(output, global),
        Action::Path => print_path(output, &config::path(global)?),
        Action::Example => {
            output.refuse_json("an example of a configuration file")?;
            output.print_raw(&config::example())
        }
        Action::Init => init(output, &config::path(global)?),
    }
}

fn show(output: Output, global: &GlobalArgs) -> Result<(), Failure> {
    let settings = Settings::load(global)?;
    let path = config::path(global)?;
    let shown = Shown {
        config_exists: path.exists(),
        config_path: path.display().to_string(),
        settings: TABLE
            .iter()
            .map(|setting| {
                let origin = settings.origin(setting.key);
                ShownSetting {
                    key: setting.key,
                    value: settings.json(setting.key),
                    origin: origin.kind(),
                    place: origin.place(),
                    variable: setting.variable(),
                }
            })
            .collect(),
    };
    if output.is_json() {
        return output.print_json(&shown);
    }
    let missing = if shown.config_exists {
        ""
    } else {
        " (doesn't exist)"
    };
    output.say(&format!(
        "Configuration file: {}{missing}",
        shown.config_path
    ));
    output.print_raw(&table(&shown.settings))
}

fn table(settings: &[ShownSetting]) -> String {
    let rows: Vec<(&str, String, &str)> = settings
        .iter()
        .map(|s| {
            (
                s.key,
                for_people(&s.value),
                s.place.as_deref().unwrap_or(s.origin),
            )
        })
        .collect();
    let keys = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let values = rows
        .iter()
        .map(|row| row.1.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter()
        .map(|(key, value, origin)| format!("{key:<keys$}  {value:<values$}  {origin}\n"))
        .collect()
}

fn for_people(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) if items.is_empty() => "-".to_owned(),
        Json::Array(items) => items.iter().map(for_people).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn print_path(output: Output, path: &Path) -> Result<(), Failure> {
    let text = path.display().to_string();
    if output.is_json() {
        return output.print_json(&ShownPath {
            config_path: &text,
            config_exists: path.exists(),
        });
    }
    output.print(&text)
}

fn init(output: Output, path: &Path) -> Result<(), Failure> {
    let failed = |e: io::Error| {
        if e.kind() == io::ErrorKind::AlreadyExists {
            let sentence = format!("{} exists; it is left as it is", path.display());
            return Failure::new(ExitCode::Failed, sentence)
                .hint("`speakr config example` prints what would be written");
        }
        Failure::new(
            ExitCode::Failed,
            format!("can't write {}: {e}", path.display()),
        )
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    file.write_all(config::example().as_bytes())
        .map_err(failed)?;
    output.say(&format!("Wrote {}", path.display()));
    if output.is_json() {
        return print_path(output, path);
    }
    Ok(())
}
