//! The documentation names what is there: commands, variables, files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use speakr_e2e::Speakr;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The commands that `speakr --help` lists.
fn commands() -> BTreeSet<String> {
    let help = Speakr::new().run(["--help"]).success().stdout;
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let commands: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert!(commands.contains("search"), "{help}");
    commands
}

/// The words that follow `speakr ` where code calls it: in backticks, or at a line's start.
fn called_in(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut called = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        // Prose may begin a line with the name; in a block of code such a line is a command.
        let whole = fenced.then_some(line);
        let in_code = line.split('`').skip(1).step_by(2);
        called.extend(in_code.chain(whole).filter_map(|code| {
            let code = code.trim_start_matches("$ ");
            code.strip_prefix("speakr ")?.split_whitespace().next()
        }));
    }
    called
        .into_iter()
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

const DOCUMENTS: [&str; 5] = [
    "README.md",
    "CHANGELOG.md",
    "docs/cli.md",
    "docs/ARCHITECTURE.md",
    "docs/config.example.toml",
];

#[test]
fn every_command_is_documented() {
    let documented = called_in(&read("docs/cli.md"));
    for command in commands() {
        assert!(
            command == "help" || documented.contains(&command),
            "docs/cli.md says nothing of `speakr {command}`"
        );
    }
}

#[test]
fn every_command_that_is_documented_exists() {
    let commands = commands();
    for document in DOCUMENTS {
        let called = called_in(&read(document));
        for command in called {
            assert!(
                commands.contains(&command),
                "{document} promises `speakr {command}`, which doesn't exist"
            );
        }
    }
}

#[test]
fn every_setting_has_its_variable_in_the_example_of_the_environment() {
    let shown = Speakr::new()
        .run(["config", "show", "--json"])
        .success()
        .json();
    let mut variables: BTreeSet<String> = shown["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| setting["variable"].as_str().unwrap().to_owned())
        .collect();
    variables.insert("SPEAKR_CONFIG".to_owned());
    let example = read(".env.example");
    let named: BTreeSet<String> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("SPEAKR_") || name.starts_with("NATS_"))
        .collect();
    assert_eq!(named, variables);
}

#[test]
fn exit_codes_are_documented_as_the_help_tells_them() {
    let help = Speakr::new().run(["--help"]).success().stdout;
    let documented = read("docs/cli.md");
    let told = help
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .skip(1)
        .map_while(|line| line.split_whitespace().next()?.parse::<u8>().ok());
    let codes: Vec<u8> = told.collect();
    assert!(codes.len() >= 5, "{help}");
    for code in codes {
        assert!(documented.contains(&format!("\n| {code} | ")), "{code}");
    }
}

/// Scripts of `.github/scripts` that `text` calls or names.
fn release_scripts_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-./_".contains(c)));
    words
        .filter_map(|word| word.rsplit('/').next())
        .filter(|name| name.ends_with(".sh"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_step_of_a_release_is_told_and_no_other() {
    let workflow = read(".github/workflows/release.yml");
    let steps: String = workflow
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("run: "))
        .map(|step| step.to_owned() + "\n")
        .collect();
    let run = release_scripts_in(&steps);
    assert!(run.contains("promote.sh"), "{run:?}");
    let document = read("docs/release.md");
    let rows = document
        .lines()
        .skip_while(|line| *line != "## What happens")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    let told: BTreeSet<String> = rows.flat_map(release_scripts_in).collect();
    assert_eq!(told, run);
}

#[test]
fn links_lead_to_files_that_exist() {
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/cli.md",
        "docs/ARCHITECTURE.md",
        "docs/plan.md",
    ] {
        let folder = root().join(document);
        let folder = folder.parent().unwrap();
        for link in read(document).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(folder.join(target).exists(), "{document} links to {target}");
        }
    }
}
