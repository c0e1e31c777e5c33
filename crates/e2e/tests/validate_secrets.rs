//! `speakr-validate` where a secret lies open, or where somebody may do what they shouldn't: each turns the check red
//! that is meant for it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use speakr_e2e::{
    platform::Platform,
    program::binary_of,
    validation::{Seen, validator},
};
use speakr_testkit::nats::Nats;

/// What the group says with these arguments, and with the environment changed by `change`.
fn secrets_with(
    platform: &Platform,
    arguments: &[&str],
    change: impl FnOnce(&mut Command),
) -> Seen {
    let arguments = [&["--group", "secrets"], arguments].concat();
    let mut command = validator(platform, &arguments);
    change(&mut command);
    Seen::by(&mut command)
}

/// An executable of these lines.
fn script(folder: &Path, name: &str, lines: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(identity)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_secret_that_was_committed_once_is_found_though_it_is_gone() {
    let platform = Platform::start();
    // Put together here, so that it isn't in this file.
    let of_aws = format!("AKIA{}", "Q7".repeat(8));
    for (secret, form) in [
        (platform.token(), "the API's token"),
        (of_aws.as_str(), "a key of AWS"),
    ] {
        let source = tempfile::tempdir().unwrap();
        let source = source.path();
        git(source, &["init", "--quiet"]);
        let settings = source.join("settings.txt");
        fs::write(&settings, "nothing\n").unwrap();
        git(source, &["add", "."]);
        git(source, &["commit", "--quiet", "--message", "good"]);
        let arguments = ["--source", source.to_str().unwrap()];
        let seen = secrets_with(&platform, &arguments, |_| {});
        assert_eq!(seen.checks["secrets.history"], "passed", "{}", seen.said);

        for text in [format!("key = {secret}\n"), "nothing\n".to_owned()] {
            fs::write(&settings, text).unwrap();
            git(source, &["commit", "--quiet", "--all", "--message", "more"]);
        }
        let seen = secrets_with(&platform, &arguments, |_| {});
        assert_eq!(seen.that("failed"), ["secrets.history"], "{}", seen.said);
        let detail = &seen.details["secrets.history"];
        assert!(detail.contains(form), "{detail}");
        assert!(detail.contains("settings.txt"), "{detail}");
        assert!(!seen.said.contains(secret), "the report shows it itself");
    }
}

#[test]
fn a_dump_of_settings_that_shows_a_secret_or_nothing_is_red() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    let shown = format!("echo token: {}", platform.token());
    for (name, lines) in [("shows", shown.as_str()), ("says-nothing", "")] {
        let dump = script(folder.path(), name, lines);
        let arguments = ["--config-dump", dump.to_str().unwrap()];
        let seen = secrets_with(&platform, &arguments, |_| {});
        assert_eq!(seen.that("failed"), ["secrets.config"], "{}", seen.said);
        assert!(!seen.said.contains(platform.token()), "{name}");
    }
}

#[test]
fn tokens_that_allow_more_or_outlive_their_end_are_red() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    let real = format!("{} token", binary_of("speakr-query-svc").display());
    let generous = format!(
        "[ \"$1\" = create ] || exec {real} \"$@\"\nexec {real} create --name \"$3\" --scopes read,write"
    );
    // It says that it was done.
    let forgetful = format!("[ \"$1\" = revoke ] || exec {real} \"$@\"");
    for (name, lines, why) in [
        ("generous", generous, "and not 403"),
        ("forgetful", forgetful, "a revoked token goes on"),
    ] {
        let command = script(folder.path(), name, &lines);
        let arguments = ["--token-command", command.to_str().unwrap()];
        let seen = secrets_with(&platform, &arguments, |_| {});
        assert_eq!(seen.that("failed"), ["secrets.rotation"], "{}", seen.said);
        let detail = &seen.details["secrets.rotation"];
        assert!(detail.contains(why), "{name}: {detail}");
    }
}

#[test]
fn a_bus_that_takes_anybody_and_answers_everything_is_red() {
    let platform = Platform::start();
    let open = Nats::start().unwrap();
    let seen = secrets_with(&platform, &[], |command| {
        for name in ["NATS_USER", "NATS_PASSWORD", "NATS_CA"] {
            command.env_remove(name);
        }
        command.env("NATS_URL", open.url());
    });
    let red = ["secrets.bus-rights", "secrets.bus-strangers"];
    assert_eq!(seen.that("failed"), red, "{}", seen.said);
}
