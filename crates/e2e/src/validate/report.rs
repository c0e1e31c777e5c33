//! What was seen, for people (table) and for programs (JSON, JUnit).

use std::{collections::BTreeMap, fmt::Write as _};

use clap::ValueEnum;
use serde::Serialize;

use super::check::{Check, Group, Outcome};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// For what shows tests
    Junit,
}

impl Form {
    /// How the name of its file ends.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Json => "json",
            Self::Junit => "xml",
        }
    }
}

/// What a criterion of the plan got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    passed: usize,
    failed: usize,
    not_checked: usize,
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::NotChecked => self.not_checked += 1,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "does not hold",
            Self { passed: 0, .. } => "not shown",
            Self { not_checked: 0, .. } => "shown here",
            Self { .. } => "shown in part",
        }
    }
}

/// All that was seen.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Of which environment.
    pub(super) environment: String,
    /// Where it is.
    pub(super) url: String,
    /// "smoke" or "full".
    pub(super) level: String,
    /// The version of this program.
    pub(super) version: &'static str,
    /// When it began.
    pub(super) began: String,
    /// How long it took.
    pub(super) seconds: f64,
    /// Whether somebody broke it off.
    pub(super) interrupted: bool,
    /// How many passed, failed and couldn't be looked at.
    pub(super) totals: Tally,
    /// The same for each criterion of the plan that was to be shown.
    pub(super) criteria: BTreeMap<&'static str, Tally>,
    /// Each check.
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// Counts `checks`; the rest is filled in by who knows it.
    pub(super) fn of(checks: Vec<Check>) -> Self {
        let mut totals = Tally::default();
        let mut criteria: BTreeMap<&'static str, Tally> = BTreeMap::new();
        for check in &checks {
            totals.count(check.outcome);
            for criterion in &check.criteria {
                criteria.entry(criterion).or_default().count(check.outcome);
            }
        }
        Self {
            environment: String::new(),
            url: String::new(),
            level: String::new(),
            version: env!("CARGO_PKG_VERSION"),
            began: String::new(),
            seconds: 0.0,
            interrupted: false,
            totals,
            criteria,
            checks,
        }
    }

    /// Whether any check failed.
    pub(super) const fn has_failures(&self) -> bool {
        self.totals.failed > 0
    }

    /// Whether everything was looked at.
    pub(super) const fn is_complete(&self) -> bool {
        self.totals.not_checked == 0 && !self.interrupted
    }

    /// The report in this form.
    pub(super) fn written(&self, form: Form) -> String {
        match form {
            Form::Table => self.table(),
            Form::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Form::Junit => self.junit(),
        }
    }

    fn table(&self) -> String {
        let mut out = format!(
            "Validation of {} ({}), level {}, {}\n\n",
            self.environment, self.url, self.level, self.began
        );
        let width = self
            .checks
            .iter()
            .map(|c| c.name.len() + c.group.name().len() + 1)
            .max()
            .unwrap_or(0);
        for check in &self.checks {
            let name = format!("{}.{}", check.group, check.name);
            let _ = writeln!(
                out,
                "{:<12} {name:<width$}  {}  [{}] ({:.1} s)",
                check.outcome.words(),
                check.title,
                check.criteria.join(", "),
                check.seconds
            );
            for line in check.detail.lines() {
                let _ = writeln!(out, "{:<12} {:<width$}  | {line}", "", "");
            }
        }
        let _ = writeln!(out, "\nCriteria of the plan (docs/plan.md)");
        for (criterion, tally) in &self.criteria {
            let _ = writeln!(
                out,
                "  {criterion:<13} {:<14} {} passed, {} failed, {} not checked",
                tally.words(),
                tally.passed,
                tally.failed,
                tally.not_checked
            );
        }
        if self.interrupted {
            let _ = writeln!(
                out,
                "\nBroken off: what comes after the last check wasn't looked at."
            );
        }
        let _ = writeln!(
            out,
            "\n{} passed, {} failed, {} not checked, in {:.0} s",
            self.totals.passed, self.totals.failed, self.totals.not_checked, self.seconds
        );
        out
    }

    fn junit(&self) -> String {
        let mut groups: BTreeMap<Group, Vec<&Check>> = BTreeMap::new();
        for check in &self.checks {
            groups.entry(check.group).or_default().push(check);
        }
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(
            out,
            "<testsuites name=\"speakr-validate\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            self.checks.len(),
            self.totals.failed,
            self.totals.not_checked,
            self.seconds
        );
        for (group, checks) in groups {
            let of = |outcome| checks.iter().filter(|c| c.outcome == outcome).count();
            let _ = writeln!(
                out,
                "  <testsuite name=\"{group}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\" timestamp=\"{}\" hostname=\"{}\">",
                checks.len(),
                of(Outcome::Failed),
                of(Outcome::NotChecked),
                checks.iter().map(|c| c.seconds).sum::<f64>(),
                escaped(&self.began),
                escaped(&self.environment)
            );
            for check in checks {
                let _ = writeln!(
                    out,
                    "    <testcase classname=\"{group}\" name=\"{}: {}\" time=\"{:.3}\">",
                    escaped(&check.name),
                    escaped(&check.title),
                    check.seconds
                );
                let detail = escaped(&check.detail);
                let _ = match check.outcome {
                    Outcome::Passed => writeln!(out, "      <system-out>{detail}</system-out>"),
                    Outcome::Failed => writeln!(
                        out,
                        "      <failure message=\"{}\">{detail}</failure>",
                        escaped(check.detail.lines().next().unwrap_or_default())
                    ),
                    Outcome::NotChecked => {
                        writeln!(out, "      <skipped message=\"{detail}\"/>")
                    }
                };
                let _ = writeln!(out, "    </testcase>");
            }
            let _ = writeln!(out, "  </testsuite>");
        }
        out.push_str("</testsuites>\n");
        out
    }
}

/// `text` as XML takes it: what it can't hold at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&c) => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, outcome: Outcome, criterion: &'static str) -> Check {
        Check {
            group: Group::System,
            name: name.to_owned(),
            title: "it holds".to_owned(),
            criteria: vec![criterion],
            outcome,
            detail: "<seen> & \u{1}\"said\"".to_owned(),
            seconds: 0.5,
        }
    }

    #[test]
    fn what_was_not_looked_at_is_never_shown() {
        let report = Report::of(vec![
            check("a", Outcome::Passed, "P3-A"),
            check("b", Outcome::NotChecked, "P3-A"),
            check("c", Outcome::NotChecked, "P3-B"),
            check("d", Outcome::Failed, "P3-C"),
            check("e", Outcome::Passed, "P3-C"),
            check("f", Outcome::Passed, "P3-D"),
        ]);
        let words: Vec<_> = report.criteria.values().map(|t| t.words()).collect();
        assert_eq!(
            words,
            ["shown in part", "not shown", "does not hold", "shown here"]
        );
        assert!(report.has_failures() && !report.is_complete());
    }

    #[test]
    fn junit_takes_any_text() {
        let report = Report::of(vec![
            check("a", Outcome::Failed, "P3-A"),
            check("b", Outcome::NotChecked, "P3-A"),
        ]);
        let xml = report.written(Form::Junit);
        assert!(
            xml.contains("<failure message=\"&lt;seen&gt; &amp; &quot;said&quot;\">"),
            "{xml}"
        );
        assert!(xml.contains("failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(!xml.contains('\u{1}'));
    }
}
