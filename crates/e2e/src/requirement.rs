//! What a test needs on the machine.

use std::path::PathBuf;

/// Path of a program that a test needs; `None` where `SPEAKR_TEST_SKIP` (names with commas) lists
/// it, and the test has nothing to do.
///
/// # Panics
/// When it isn't installed; the message names the Debian package.
#[must_use]
pub fn need(program: &str, package: &str) -> Option<PathBuf> {
    let skipped = std::env::var("SPEAKR_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|name| name.trim() == program) {
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = found.into_iter().find(|candidate| candidate.is_file());
    assert!(
        found.is_some(),
        "this test needs {program}: install the package {package} (make test does), or list \
         {program} in SPEAKR_TEST_SKIP"
    );
    found
}

/// Path of a program that `scripts/tools.sh TOOL` fetches; `None` where `SPEAKR_TEST_SKIP` lists
/// the tool.
///
/// # Panics
/// When it wasn't fetched; the message names the line that does.
#[must_use]
pub fn fetched(tool: &str, program: &str) -> Option<PathBuf> {
    let skipped = std::env::var("SPEAKR_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|name| name.trim() == tool) {
        return None;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools");
    let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.strip_prefix(tool)
                .is_some_and(|rest| rest.starts_with('-'))
        })
        .map(|entry| entry.path().join("bin").join(program))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    assert!(
        !found.is_empty(),
        "this test needs {program} of {tool}: \"scripts/tools.sh {tool}\" fetches it (make test does), \
         or list {tool} in SPEAKR_TEST_SKIP"
    );
    found.pop()
}

/// A command that runs what follows with mounts of its own, which go with it; `None` where
/// `SPEAKR_TEST_SKIP` lists `mount`.
///
/// # Panics
/// When this system lets its user mount nothing, not even for itself.
#[cfg(target_os = "linux")]
#[must_use]
pub fn own_mounts() -> Option<std::process::Command> {
    let skipped = std::env::var("SPEAKR_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|name| name.trim() == "mount") {
        return None;
    }
    let with_mounts = || {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--map-root-user"]);
        command
    };
    let mounts = with_mounts()
        .args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"])
        .output();
    assert!(
        mounts.is_ok_and(|done| done.status.success()),
        "this test needs a small disk of its own, and this system lets its user mount none: run it \
         as root, or list mount in SPEAKR_TEST_SKIP (make test does where it has to)"
    );
    Some(with_mounts())
}
