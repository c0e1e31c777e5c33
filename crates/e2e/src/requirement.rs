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
