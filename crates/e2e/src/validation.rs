//! `speakr-validate` as an operator runs it, and its report.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{platform::Platform, program::binary_of};

/// The program, with what a client and an operator know of `platform`. Its report is JSON.
///
/// # Panics
/// When it isn't built.
#[must_use]
pub fn validator(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary_of("speakr-validate"));
    command
        .args(["--report", "json"])
        .args(arguments)
        .envs(platform.environment())
        .stdin(Stdio::null());
    command
}

/// What a run gave.
#[derive(Debug)]
pub struct Seen {
    /// Its exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// How each check ended, by `group.name`.
    pub checks: BTreeMap<String, String>,
    /// What each check says of that.
    pub details: BTreeMap<String, String>,
    /// The whole report.
    pub report: Value,
    /// What it said on the way.
    pub said: String,
}

impl Seen {
    /// Reads what it printed and said. Where it printed no report there are no checks.
    ///
    /// # Panics
    /// When a check lacks a part that each has.
    #[must_use]
    pub fn of(code: Option<i32>, printed: &str, said: String) -> Self {
        let report: Value = serde_json::from_str(printed).unwrap_or_default();
        let (mut checks, mut details) = (BTreeMap::new(), BTreeMap::new());
        for check in report["checks"].as_array().into_iter().flatten() {
            let part = |key: &str| check[key].as_str().expect("a text").to_owned();
            let name = part("group") + "." + &part("name");
            checks.insert(name.clone(), part("outcome"));
            details.insert(name, part("detail"));
        }
        Self {
            code,
            checks,
            details,
            report,
            said,
        }
    }

    /// Runs `command` to its end.
    ///
    /// # Panics
    /// When it can't be run.
    #[must_use]
    pub fn by(command: &mut Command) -> Self {
        let output = command.output().expect("speakr-validate runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stderr);
        Self::of(output.status.code(), &text(&output.stdout), said)
    }

    /// The checks that ended so: `passed`, `failed` or `not_checked`.
    #[must_use]
    pub fn that(&self, outcome: &str) -> Vec<&str> {
        let found = self.checks.iter().filter(|(_, of)| *of == outcome);
        found.map(|(name, _)| name.as_str()).collect()
    }

    /// Sees that all passed but these, which couldn't be looked at.
    ///
    /// # Panics
    /// When it isn't so.
    #[track_caller]
    pub fn passes_but(&self, not_checked: &[&str]) {
        let failed = self.that("failed");
        assert!(failed.is_empty(), "{}\n{:#?}", self.said, self.details);
        assert_eq!(self.that("not_checked"), not_checked, "{}", self.said);
        assert_eq!(self.code, Some(0), "{}", self.said);
        assert!(!self.that("passed").is_empty(), "{}", self.said);
    }

    /// Sees that these failed, whatever else did.
    ///
    /// # Panics
    /// When one didn't.
    #[track_caller]
    pub fn fails(&self, wanted: &[&str]) {
        let failed = self.that("failed");
        for name in wanted {
            assert!(
                failed.contains(name),
                "{name}: {}\n{:#?}",
                self.said,
                self.details
            );
        }
        assert_eq!(self.code, Some(1), "{}", self.said);
    }
}
