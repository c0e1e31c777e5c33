//! `speakr doctor`: what speakr needs of this machine, and the mend of what is missing. It
//! changes nothing but what opening the library changes.

mod library;
mod machine;
mod platform;
mod sound;

use serde::Serialize;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// All is well.
    Ok,
    /// speakr works, with less comfort or for less long.
    Warning,
    /// Something that is needed is missing or broken.
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    /// What was looked at, in one word.
    name: &'static str,
    status: Status,
    /// What was found.
    message: String,
    /// What to do about it; null when all is well.
    mend: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            message: message.into(),
            mend: None,
        }
    }

    fn warning(name: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Warning,
            message: message.into(),
            mend: Some(mend.into()),
        }
    }

    fn failed(name: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Failed,
            message: message.into(),
            mend: Some(mend.into()),
        }
    }

    /// A check that failed as a command would; `mend` is told where the failure names none.
    fn of_failure(name: &'static str, failure: &Failure, mend: &str) -> Self {
        Self::failed(name, failure.message(), failure.hint_text().unwrap_or(mend))
    }
}

/// What `doctor --json` prints.
#[derive(Serialize)]
struct DoctorJson<'a> {
    /// Whether nothing that is needed is missing.
    ok: bool,
    checks: &'a [Check],
}

/// Runs every check, whatever the others find.
pub(crate) async fn run(app: &App) -> Result<(), Failure> {
    let mut checks = vec![sound::ffmpeg(app).await];
    checks.push(sound::microphone(app).await);
    checks.push(sound::clipboard(app).await);
    checks.extend(machine::models(app));
    checks.push(machine::processor(app));
    checks.push(machine::disk(app));
    checks.extend(library::library(app).await);
    checks.extend(platform::platform(app).await);

    let failed = checks
        .iter()
        .filter(|check| check.status == Status::Failed)
        .count();
    if app.output.is_json() {
        app.output.print_json(&DoctorJson {
            ok: failed == 0,
            checks: &checks,
        })?;
    } else {
        for check in &checks {
            app.output.print(&line(check))?;
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new(
            ExitCode::Failed,
            "one thing that speakr needs is missing",
        )),
        n => Err(Failure::new(
            ExitCode::Failed,
            format!("{n} things that speakr needs are missing"),
        )),
    }
}

/// One check for people: what was found, and below it the mend.
fn line(check: &Check) -> String {
    let mark = match check.status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failed => "MISSING",
    };
    let found = format!("{mark:8} {:12} {}", check.name, check.message);
    match &check.mend {
        None => found,
        Some(mend) => format!("{found}\n{:22}{mend}", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mend_stands_below_what_was_found() {
        assert_eq!(
            line(&Check::ok("disk", "12 GB free")),
            "ok       disk         12 GB free"
        );
        let missing = Check::failed("ffmpeg", "it isn't installed", "apt");
        assert_eq!(
            line(&missing),
            "MISSING  ffmpeg       it isn't installed\n                      apt"
        );
    }
}
