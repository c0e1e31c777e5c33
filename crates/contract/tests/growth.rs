//! The schemas against those of the last release.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "test code"
)]

use std::process::Command;

use speakr_contract::{catalogue, growth};

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).expect("git speaks UTF-8"))
}

#[test]
fn released_schemas_only_grow() {
    let Some(tag) = git(&["describe", "--tags", "--match", "v*", "--abbrev=0"]) else {
        eprintln!("there is no release yet (no tag v*): no schema to compare with");
        return;
    };
    let tag = tag.trim();
    let folder = format!("{tag}:./schemas");
    let Some(names) = git(&["ls-tree", "--name-only", &folder]) else {
        eprintln!("{tag} has no schemas: nothing to compare with");
        return;
    };
    let now = catalogue::all();
    let mut broken = Vec::new();
    for name in names.lines() {
        let text = git(&["show", &format!("{tag}:./schemas/{name}")]).expect("a listed file");
        let old = serde_json::from_str(&text).expect("a released schema is JSON");
        match now.iter().find(|entry| entry.schema_file() == name) {
            None => broken.push(format!("{name} is gone")),
            Some(entry) => broken.extend(
                growth::breaks(entry.kind, &old, &entry.schema)
                    .into_iter()
                    .map(|what| format!("{name}: {what}")),
            ),
        }
    }
    assert!(broken.is_empty(), "since {tag}: {broken:#?}");
}
