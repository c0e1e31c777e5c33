//! The schemas against those of every release. A release's schemas are kept in `released/VERSION`
//! (scripts/keep-contract.sh puts them there before the tag), so that nothing but the files is needed to
//! compare: no tags, no history.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use speakr_contract::{catalogue, growth};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The names in a folder; none where there is no such folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The versions whose schemas are kept. (What else lies there says what this is.)
fn kept() -> BTreeSet<String> {
    let folder = root().join("released");
    let mut names = names(&folder);
    names.retain(|name| folder.join(name).is_dir());
    names
}

/// Every way in which the types break what the schemas of `folder` promised.
fn broken_since(folder: &Path) -> Vec<String> {
    let now = catalogue::all();
    let mut broken = Vec::new();
    for name in names(folder) {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
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
    broken
}

/// The versions that the changelog and the tags call released. What precedes a release ("1.2.3-rc.1")
/// promises nothing yet.
fn released(changelog: &str, tags: &str) -> BTreeSet<String> {
    let sections = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## [")?.split(']').next());
    let tags = tags.lines().filter_map(|line| line.strip_prefix('v'));
    sections
        .chain(tags)
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .filter(|version| !version.contains('-'))
        .map(str::to_owned)
        .collect()
}

/// The tags of this checkout; none where it is no clone. The changelog and the folder tell of releases too.
fn tags() -> String {
    let git = Command::new("git")
        .args(["tag", "--list", "v*", "--merged", "HEAD"])
        .current_dir(root())
        .output();
    git.map(|output| String::from_utf8(output.stdout).expect("git speaks UTF-8"))
        .unwrap_or_default()
}

#[test]
fn released_schemas_only_grow() {
    for version in kept() {
        let folder = root().join("released").join(&version);
        assert!(!names(&folder).is_empty(), "{} is empty", folder.display());
        let broken = broken_since(&folder);
        assert!(broken.is_empty(), "since {version}: {broken:#?}");
    }
}

#[test]
fn every_release_has_its_schemas_kept() {
    let changelog = fs::read_to_string(root().join("../../CHANGELOG.md")).unwrap();
    let released = released(&changelog, &tags());
    let missing: Vec<_> = released.difference(&kept()).cloned().collect();
    assert!(
        missing.is_empty(),
        "released, and crates/contract/released has no schemas of it: {missing:?}. \
         scripts/keep-contract.sh keeps those of Cargo.toml's version; of an older release: \
         git show vVERSION:crates/contract/schemas/NAME"
    );
}

#[test]
fn a_release_is_known_by_its_section_or_its_tag() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n## [1.1.0-rc.1] - 2027-01-02\n\n## [1.0.0] - 2027-01-01\n";
    let of = |changelog, tags| Vec::from_iter(released(changelog, tags));
    assert_eq!(of("## [Unreleased]\n", ""), Vec::<String>::new());
    assert_eq!(of(changelog, ""), ["1.0.0"]);
    assert_eq!(
        of(changelog, "v0.9.0\nv1.0.0\nv1.1.0-rc.1\nvalidated\n"),
        ["0.9.0", "1.0.0"]
    );
}

/// The comparison finds something: schemas as a release with one field, one subject and one form more
/// would have kept them.
#[test]
fn what_a_release_had_and_this_one_has_not_is_found() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("released");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for entry in catalogue::all() {
        fs::write(folder.join(entry.schema_file()), entry.schema.to_string()).unwrap();
    }
    assert_eq!(broken_since(&folder), Vec::<String>::new());

    fs::write(folder.join("event.recording.paused.json"), "{}").unwrap();
    let run = catalogue::find("speakr.command.transcription.run").unwrap();
    let mut schema = run.schema.clone();
    schema["properties"]["speed"] = serde_json::json!({"type": "number"});
    let form = serde_json::json!({"properties": {"url": {"type": "string"}}, "required": ["url"]});
    schema["oneOf"].as_array_mut().unwrap().push(form);
    fs::write(folder.join(run.schema_file()), schema.to_string()).unwrap();
    let broken = broken_since(&folder);
    let found = |what: &str| broken.iter().any(|line| line.contains(what));
    assert!(found("speed is gone"), "{broken:#?}");
    assert!(found("may no longer be"), "{broken:#?}");
    assert!(found("event.recording.paused.json is gone"), "{broken:#?}");
    assert_eq!(broken.len(), 3, "{broken:#?}");
}
