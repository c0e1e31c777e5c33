//! The rule of the house, read from Cargo's own graph: the core knows no technology, adapters know
//! the core and not each other, and only the apps know adapters.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

/// What the core may depend on: data, time, ids, errors, futures. No engine, file, bus or database.
const ALLOWED_IN_CORE: [&str; 11] = [
    "async-trait",
    "futures",
    "jiff",
    "lru",
    "serde",
    "serde_json",
    "thiserror",
    "tokio",
    "tokio-util",
    "tracing",
    "uuid",
];

/// What the core may use of tokio: channels and `select!`, no runtime, no files, no network.
const ALLOWED_OF_TOKIO_IN_CORE: [&str; 2] = ["macros", "sync"];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// Its manifest.
    pub manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
    path: Option<PathBuf>,
    features: Vec<String>,
    uses_default_features: bool,
}

/// Where a crate lives in the house, and with that what it may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// What goes over the wire.
    Contract,
    /// The hexagon.
    Core,
    /// One technology.
    Adapter,
    /// What adapters share of running programs; knows nothing of ours.
    Programs,
    /// What services and the command-line program tell a collector of their work; knows nothing of ours.
    Telemetry,
    /// What every service's `main` shares: knows nothing of what a service does.
    Service,
    /// A composition root.
    App,
    /// What the apps that are services share of composing themselves. Only they know it.
    Composition,
    /// Starts real servers for the others' tests; knows nothing of ours.
    Testkit,
    /// Measures and drives the rest; nothing depends on it.
    Outside,
}

impl Package {
    /// Where it lives.
    fn place(&self) -> Result<Place, String> {
        let folder = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        let parts: Vec<_> = folder
            .components()
            .rev()
            .map(|part| part.as_os_str().to_string_lossy())
            .take_while(|part| part != "crates")
            .collect();
        match parts.iter().rev().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
            ["contract"] => Ok(Place::Contract),
            ["core"] => Ok(Place::Core),
            ["service"] => Ok(Place::Service),
            ["programs"] => Ok(Place::Programs),
            ["telemetry"] => Ok(Place::Telemetry),
            ["testkit"] => Ok(Place::Testkit),
            ["adapters", _] => Ok(Place::Adapter),
            ["apps", "platform"] => Ok(Place::Composition),
            ["apps", _] => Ok(Place::App),
            ["bench" | "e2e"] => Ok(Place::Outside),
            ref other => Err(format!(
                "{} lives in no place of the house: {other:?}",
                self.name
            )),
        }
    }
}

/// What Cargo tells of the workspace at `root`.
///
/// # Errors
/// Why it tells nothing.
pub fn metadata(root: &Path) -> Result<Value, String> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args([
            "metadata",
            "--offline",
            "--no-deps",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// The whole workspace.
#[derive(Debug)]
pub struct House(Vec<(Package, Place)>);

impl House {
    /// Reads what Cargo told.
    ///
    /// # Errors
    /// When it isn't the whole workspace, or a crate lives where none should.
    pub fn of(metadata: Value) -> Result<Self, String> {
        let metadata: Metadata = serde_json::from_value(metadata).map_err(|e| e.to_string())?;
        let packages = metadata.packages.into_iter();
        let house: Vec<_> = packages
            .map(|package| package.place().map(|place| (package, place)))
            .collect::<Result<_, _>>()?;
        if house.len() < 12 {
            return Err(format!(
                "{} crates are not the whole workspace",
                house.len()
            ));
        }
        Ok(Self(house))
    }

    /// How many crates.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All crates.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.0.iter().map(|(package, _)| package)
    }

    /// The places where somebody lives.
    #[must_use]
    pub fn places(&self) -> HashSet<Place> {
        self.0.iter().map(|(_, place)| *place).collect()
    }

    fn place_of(&self, name: &str) -> Option<Place> {
        let found = self.0.iter().find(|(package, _)| package.name == name);
        found.map(|(_, place)| *place)
    }

    /// Every break of the rule, as a sentence.
    #[must_use]
    pub fn breaks(&self) -> Vec<String> {
        let mut breaks = Vec::new();
        for (package, place) in &self.0 {
            for dependency in &package.dependencies {
                let dev = dependency.kind.as_deref() == Some("dev");
                let (who, what) = (&package.name, &dependency.name);
                if dependency.path.is_some() {
                    let Some(of) = self.place_of(what) else {
                        breaks.push(format!("{who} depends on {what}, which isn't of the house"));
                        continue;
                    };
                    let known = may_know(*place).contains(&of);
                    if !(known || dev && matches!(of, Place::Adapter | Place::Testkit)) {
                        breaks.push(format!(
                            "{who} ({place:?}) may not depend on {what} ({of:?})"
                        ));
                    }
                } else if *place == Place::Core && !dev {
                    breaks.extend(breaks_of_core(who, dependency));
                }
            }
        }
        breaks
    }
}

/// What a crate that lives here may know of the house. What its tests use is free, as long as it
/// is no app: a test may take another adapter to feed its own.
fn may_know(place: Place) -> &'static [Place] {
    match place {
        Place::Contract | Place::Core | Place::Programs | Place::Telemetry | Place::Testkit => &[],
        Place::Service => &[Place::Telemetry],
        Place::Adapter => &[Place::Contract, Place::Core, Place::Programs],
        Place::Composition => &[Place::Contract, Place::Core, Place::Adapter, Place::Service],
        Place::App => &[
            Place::Contract,
            Place::Core,
            Place::Adapter,
            Place::Service,
            Place::Telemetry,
            Place::Composition,
        ],
        Place::Outside => &[
            Place::Contract,
            Place::Core,
            Place::Adapter,
            Place::Service,
            Place::Testkit,
        ],
    }
}

fn breaks_of_core(who: &str, dependency: &Dependency) -> Vec<String> {
    let what = dependency.name.as_str();
    if !ALLOWED_IN_CORE.contains(&what) {
        return vec![format!("{who} may not depend on {what}")];
    }
    if what != "tokio" {
        return Vec::new();
    }
    let mut breaks = Vec::new();
    if dependency.uses_default_features {
        breaks.push(format!("{who} may not use tokio's default features"));
    }
    for feature in &dependency.features {
        if !ALLOWED_OF_TOKIO_IN_CORE.contains(&feature.as_str()) {
            breaks.push(format!("{who} may not use tokio's \"{feature}\""));
        }
    }
    breaks
}
