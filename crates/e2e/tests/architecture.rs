//! The rule of the house, read from Cargo's own graph: the core knows no technology, adapters know
//! the core and not each other, and only the apps know adapters.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde::Deserialize;

/// What the core may depend on: data, time, ids, errors, futures. No engine, file, bus or database.
const ALLOWED_IN_CORE: [&str; 10] = [
    "async-trait",
    "futures",
    "jiff",
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Contract,
    Core,
    Adapter,
    App,
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
            ["adapters", _] => Place::Adapter,
            ["apps", _] => Place::App,
            ["bench" | "e2e"] => Place::Outside,
            ref other => panic!("{} lives in no place of the house: {other:?}", self.name),
        }
    }

    fn ships(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|d| d.kind.as_deref() != Some("dev"))
    }
}

fn house() -> Vec<Package> {
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
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo tells its graph");
    assert!(metadata.packages.len() >= 12, "the whole workspace is read");
    metadata.packages
}

fn packages_in(place: Place) -> Vec<Package> {
    let packages: Vec<_> = house().into_iter().filter(|p| p.place() == place).collect();
    assert!(!packages.is_empty(), "there is nothing in {place:?}");
    packages
}

/// The crates of the house that `package` depends on and that live in one of `places`.
fn depends_on(package: &Package, places: &[Place], with_dev: bool) -> BTreeSet<String> {
    let house = house();
    package
        .dependencies
        .iter()
        .filter(|d| d.path.is_some() && (with_dev || d.kind.as_deref() != Some("dev")))
        .filter(|d| {
            let found = house.iter().find(|p| p.name == d.name);
            places.contains(
                &found
                    .unwrap_or_else(|| panic!("{} is unknown", d.name))
                    .place(),
            )
        })
        .map(|d| d.name.clone())
        .collect()
}

#[test]
fn core_depends_on_nothing_but_an_allow_list() {
    for core in packages_in(Place::Core) {
        for dependency in core.ships() {
            assert!(
                ALLOWED_IN_CORE.contains(&dependency.name.as_str()),
                "{} may not depend on {}",
                core.name,
                dependency.name
            );
        }
    }
}

#[test]
fn core_takes_no_runtime_from_tokio() {
    for core in packages_in(Place::Core) {
        for dependency in core.ships().filter(|d| d.name == "tokio") {
            assert!(!dependency.uses_default_features);
            for feature in &dependency.features {
                assert!(
                    ALLOWED_OF_TOKIO_IN_CORE.contains(&feature.as_str()),
                    "{} may not use tokio's \"{feature}\"",
                    core.name
                );
            }
        }
    }
}

#[test]
fn the_contract_depends_on_nothing_of_ours() {
    for contract in packages_in(Place::Contract) {
        let ours: Vec<_> = contract
            .dependencies
            .iter()
            .filter(|d| d.path.is_some())
            .collect();
        assert!(
            ours.is_empty(),
            "{} depends on {}",
            contract.name,
            ours[0].name
        );
    }
}

#[test]
fn adapters_depend_on_core_and_contract_alone() {
    for adapter in packages_in(Place::Adapter) {
        let forbidden = depends_on(
            &adapter,
            &[Place::Adapter, Place::App, Place::Outside],
            false,
        );
        assert!(
            forbidden.is_empty(),
            "{} may not depend on {forbidden:?}",
            adapter.name
        );
    }
}

#[test]
fn nothing_depends_on_an_app_or_on_what_measures_it() {
    for package in house() {
        let forbidden = depends_on(&package, &[Place::App, Place::Outside], true);
        assert!(
            forbidden.is_empty(),
            "{} may not depend on {forbidden:?}",
            package.name
        );
    }
}

#[test]
fn only_apps_and_what_measures_them_know_adapters() {
    for package in house() {
        if matches!(package.place(), Place::App | Place::Outside) {
            continue;
        }
        let forbidden = depends_on(&package, &[Place::Adapter], false);
        assert!(
            forbidden.is_empty(),
            "{} may not depend on {forbidden:?}",
            package.name
        );
    }
}

#[test]
fn every_crate_is_described_licensed_and_linted() {
    for package in house() {
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
