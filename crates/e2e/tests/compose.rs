//! compose.yaml names what there is: images of this version, settings that the services know, users
//! of the shipped config of the bus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::{collections::BTreeSet, fs, path::PathBuf};

fn read(path: &str) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of environment variables that lines of `text` begin with.
fn variables(text: &str) -> BTreeSet<&str> {
    let is_name = |name: &&str| {
        name.len() > 3
            && name
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines()
        .filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name))
        .filter(is_name)
        .collect()
}

#[test]
fn its_images_are_of_this_version() {
    let compose = read("compose.yaml");
    let images: Vec<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    assert_eq!(images.len(), 7, "{images:?}");
    let tag = format!("${{SPEAKR_VERSION:-{}}}", env!("CARGO_PKG_VERSION"));
    for image in images {
        let (name, of) = image.split_once(':').unwrap();
        assert!(name.starts_with("speakr-"), "{image}");
        assert_eq!(of, tag, "{image}");
    }
}

#[test]
fn its_settings_are_those_of_the_services_and_the_parts() {
    let compose = read("compose.yaml");
    let documents: String = ["common", "embedder", "query_svc", "transcriber"]
        .map(|name| read(&format!("docs/config/{name}.md")))
        .concat();
    let parts = read("deploy/nats/nats-server.conf")
        + &read("deploy/nats/users.conf")
        + &read("nix/start-postgres.sh");
    // versitygw's own.
    let store = ["ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"];
    let unknown: Vec<_> = variables(&compose)
        .into_iter()
        .filter(|name| !documents.contains(&format!("`{name}`")))
        .filter(|name| {
            !parts.contains(&format!("${name}")) && !parts.contains(&format!("{{{name}"))
        })
        .filter(|name| !store.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_passwords_that_it_asks_for_are_made_by_the_script() {
    let compose = read("compose.yaml");
    let script = read("scripts/compose-env.sh");
    let asked: BTreeSet<_> = compose
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once(":?").map(|(name, _)| name))
        .collect();
    assert_eq!(asked.len(), 8, "{asked:?}");
    for name in asked {
        let made = match name.strip_prefix("SPEAKR_NATS_") {
            Some(user) => user.trim_end_matches("_PASSWORD"),
            None => name,
        };
        assert!(script.contains(made), "{name}");
    }
}
