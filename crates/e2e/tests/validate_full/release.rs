//! The program of a release drives the platform; one that was changed isn't run.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};
use speakr_e2e::{
    platform::Platform,
    program::{binary, succeed},
    validation::{Seen, validator},
};

use crate::operator::Operator;

/// The version of what was built here.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a release has archives for, and how they end.
const TARGETS: [&str; 6] = [
    "x86_64-linux-musl.tar.gz",
    "x86_64-linux-musl-baseline.tar.gz",
    "aarch64-linux-musl.tar.gz",
    "x86_64-windows.zip",
    "x86_64-darwin.tar.gz",
    "aarch64-darwin.tar.gz",
];

/// The archive for this system, without its ending.
fn ours(version: &str) -> String {
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux-musl"
    };
    format!("speakr-{version}-{}-{system}", std::env::consts::ARCH)
}

/// A release of the program that was built here; the archives of other systems hold nothing.
fn release(folder: &Path, version: &str) -> PathBuf {
    let ours = ours(version);
    let inside = folder.join(&ours);
    fs::create_dir(&inside).unwrap();
    fs::copy(binary(), inside.join("speakr")).unwrap();
    let archive = folder.join(format!("{ours}.tar.gz"));
    let mut tar = Command::new("tar");
    // Lightly: the program is large.
    tar.args(["--use-compress-program", "gzip -1", "-cf"]);
    tar.arg(&archive);
    succeed(tar.arg("-C").arg(folder).arg(&ours));
    fs::remove_dir_all(inside).unwrap();
    for target in TARGETS {
        let path = folder.join(format!("speakr-{version}-{target}"));
        if !path.exists() {
            fs::write(path, target).unwrap();
        }
    }
    let mut sums = String::new();
    for file in fs::read_dir(folder).unwrap().flatten() {
        let sum = Sha256::digest(fs::read(file.path()).unwrap());
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        sums += &format!("{sum}  {}\n", file.file_name().to_str().unwrap());
    }
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
    archive
}

fn run(platform: &Platform, release: &Path) -> Seen {
    let path = release.display().to_string();
    let mut command = validator(platform, &["--group", "cli", "--release", &path]);
    // As in a cluster: a secret is a file.
    let mut password = tempfile::NamedTempFile::new().unwrap();
    writeln!(password, "{}", platform.password("cli")).unwrap();
    command
        .env_remove("NATS_PASSWORD")
        .env("NATS_PASSWORD_FILE", password.path());
    Operator::new().run(&mut command, |what| panic!("{what}"))
}

#[test]
#[ignore = "packs and unpacks the program time and again: make validate-test"]
fn a_released_program_drives_the_platform_and_one_that_was_changed_is_not_run() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    let archive = release(folder.path(), VERSION);
    run(&platform, folder.path()).passes_but(&[]);

    let mut file = fs::OpenOptions::new().append(true).open(archive).unwrap();
    file.write_all(b"more").unwrap();
    let seen = run(&platform, folder.path());
    let red = ["cli.checksums", "cli.drive", "cli.version"];
    assert_eq!(seen.that("failed"), red, "{}", seen.said);
    let detail = &seen.details["cli.drive"];
    assert!(detail.contains("isn't run"), "{detail}");

    // What says another version than its name.
    let folder = tempfile::tempdir().unwrap();
    release(folder.path(), "99.0.0");
    let seen = run(&platform, folder.path());
    assert_eq!(seen.that("failed"), ["cli.version"], "{}", seen.said);
    assert!(seen.that("passed").contains(&"cli.drive"), "{}", seen.said);
}
