//! The rule of the house, read from Cargo's own graph: the core knows no technology, adapters know
//! the core and not each other, and only the apps know adapters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{collections::HashSet, path::PathBuf, process::Command};

use serde::Deserialize;
use serde_json::{Value, json};

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

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    description: Option<String>,
    license: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
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
enum Place {
    Contract,
    Core,
    Adapter,
    /// What adapters share of running programs; knows nothing of ours.
    Programs,
    /// What every service's `main` shares: knows nothing of what a service does.
    Service,
    App,
    /// What the apps that are services share of composing themselves. Only they know it.
    Composition,
    /// Starts real servers for the others' tests; knows nothing of ours.
    Testkit,
    /// Measures and drives the rest; nothing depends on it.
    Outside,
}

impl Package {
    fn place(&self) -> Place {
        let folder = self
            .manifest_path
            .parent()
            .expect("a manifest is in a folder");
        let parts: Vec<_> = folder
            .components()
            .rev()
            .map(|part| part.as_os_str().to_string_lossy())
            .take_while(|part| part != "crates")
            .collect();
        match parts.iter().rev().map(AsRef::as_ref).collect::<Vec<_>>()[..] {
            ["contract"] => Place::Contract,
            ["core"] => Place::Core,
            ["service"] => Place::Service,
            ["programs"] => Place::Programs,
            ["testkit"] => Place::Testkit,
            ["adapters", _] => Place::Adapter,
            ["apps", "platform"] => Place::Composition,
            ["apps", _] => Place::App,
            ["bench" | "e2e"] => Place::Outside,
            ref other => panic!("{} lives in no place of the house: {other:?}", self.name),
        }
    }
}

/// What Cargo tells of the workspace.
fn metadata() -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
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
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo tells its graph")
}

fn house(metadata: Value) -> Vec<Package> {
    let metadata: Metadata = serde_json::from_value(metadata).expect("packages");
    assert!(metadata.packages.len() >= 12, "the whole workspace is read");
    metadata.packages
}

fn place_of(name: &str, house: &[Package]) -> Place {
    let found = house.iter().find(|package| package.name == name);
    found.unwrap_or_else(|| panic!("{name} is unknown")).place()
}

/// What a crate that lives here may know of the house. What its tests use is free, as long as it
/// is no app: a test may take another adapter to feed its own.
fn may_know(place: Place) -> &'static [Place] {
    match place {
        Place::Contract | Place::Core | Place::Programs | Place::Service | Place::Testkit => &[],
        Place::Adapter => &[Place::Contract, Place::Core, Place::Programs],
        Place::Composition => &[Place::Contract, Place::Core, Place::Adapter, Place::Service],
        Place::App => &[
            Place::Contract,
            Place::Core,
            Place::Adapter,
            Place::Service,
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

/// Every break of the rule, as a sentence.
fn breaks(house: &[Package]) -> Vec<String> {
    let mut breaks = Vec::new();
    for package in house {
        let place = package.place();
        for dependency in &package.dependencies {
            let dev = dependency.kind.as_deref() == Some("dev");
            let (who, what) = (&package.name, &dependency.name);
            if dependency.path.is_some() {
                let of = place_of(what, house);
                let known = may_know(place).contains(&of);
                if !(known || dev && matches!(of, Place::Adapter | Place::Testkit)) {
                    breaks.push(format!(
                        "{who} ({place:?}) may not depend on {what} ({of:?})"
                    ));
                }
            } else if place == Place::Core && !dev {
                breaks.extend(breaks_of_core(who, dependency));
            }
        }
    }
    breaks
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

#[test]
fn only_apps_know_adapters_and_the_core_knows_no_technology() {
    let breaks = breaks(&house(metadata()));
    assert!(breaks.is_empty(), "{breaks:#?}");
}

#[test]
fn every_place_of_the_house_is_inhabited() {
    let house = house(metadata());
    let places: HashSet<Place> = house.iter().map(Package::place).collect();
    assert_eq!(places.len(), 9, "{places:?}");
}

/// The house with one dependency more.
fn with(who: &str, dependency: Value) -> Vec<Package> {
    let mut metadata = metadata();
    let packages = metadata["packages"].as_array_mut().expect("packages");
    let package = packages.iter_mut().find(|p| p["name"] == who);
    let dependencies = &mut package.expect("a crate of that name")["dependencies"];
    dependencies
        .as_array_mut()
        .expect("dependencies")
        .push(dependency);
    house(metadata)
}

fn ours(name: &str) -> Value {
    json!({"name": name, "kind": null, "path": "/", "features": [], "uses_default_features": true})
}

fn foreign(name: &str, features: &[&str]) -> Value {
    json!({"name": name, "kind": null, "path": null, "features": features,
        "uses_default_features": false})
}

#[test]
fn each_way_to_break_the_rule_is_noticed() {
    for (who, dependency) in [
        ("speakr-core", ours("speakr-sqlite")),
        ("speakr-core", foreign("sqlx", &[])),
        ("speakr-core", foreign("tokio", &["fs"])),
        ("speakr-contract", ours("speakr-core")),
        ("speakr-core", ours("speakr-contract")),
        ("speakr-sqlite", ours("speakr-local")),
        ("speakr-sqlite", ours("speakr")),
        ("speakr-bench", ours("speakr-e2e")),
        ("speakr-sqlite", ours("speakr-service")),
        ("speakr-service", ours("speakr-core")),
        ("speakr-platform", ours("speakr-embedder")),
        ("speakr-postgres", ours("speakr-platform")),
        ("speakr-sqlite", ours("speakr-testkit")),
        ("speakr-core", ours("speakr-programs")),
        ("speakr-programs", ours("speakr-core")),
    ] {
        let breaks = breaks(&with(who, dependency.clone()));
        assert_eq!(breaks.len(), 1, "{who} with {dependency}: {breaks:?}");
    }
}

#[test]
fn every_crate_is_described_licensed_and_linted() {
    for package in house(metadata()) {
        let described = package
            .description
            .as_deref()
            .is_some_and(|d| !d.trim().is_empty());
        assert!(described, "{} has no description", package.name);
        assert_eq!(
            package.license.as_deref(),
            Some("MIT OR Apache-2.0"),
            "the licence of {}",
            package.name
        );
        let text = std::fs::read_to_string(&package.manifest_path).expect("a manifest is readable");
        let manifest: toml::Table = toml::from_str(&text).expect("a manifest is TOML");
        let linted = manifest.get("lints").and_then(|l| l.get("workspace"));
        assert_eq!(
            linted.and_then(toml::Value::as_bool),
            Some(true),
            "{} doesn't take the lints of the workspace",
            package.name
        );
    }
}
