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

use std::path::Path;

use serde_json::{Value, json};
use speakr_e2e::house::House;

/// What Cargo tells of this workspace.
fn metadata() -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    speakr_e2e::house::metadata(&root).unwrap()
}

fn house(metadata: Value) -> House {
    House::of(metadata).unwrap()
}

#[test]
fn only_apps_know_adapters_and_the_core_knows_no_technology() {
    let breaks = house(metadata()).breaks();
    assert!(breaks.is_empty(), "{breaks:#?}");
}

#[test]
fn every_place_of_the_house_is_inhabited() {
    let places = house(metadata()).places();
    assert_eq!(places.len(), 10, "{places:?}");
}

/// The house with one dependency more.
fn with(who: &str, dependency: Value) -> House {
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
        ("speakr-telemetry", ours("speakr-core")),
        ("speakr-nats", ours("speakr-telemetry")),
    ] {
        let breaks = with(who, dependency.clone()).breaks();
        assert_eq!(breaks.len(), 1, "{who} with {dependency}: {breaks:?}");
    }
}

#[test]
fn every_crate_is_described_licensed_and_linted() {
    for package in house(metadata()).packages() {
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
