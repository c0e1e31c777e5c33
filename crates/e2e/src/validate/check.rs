//! What a check gives, and where that is kept.

use std::{
    fmt::{self, Display},
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::Serialize;

/// What is looked at. Each is a file beside this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Group {
    /// Speech in, text out, found by meaning, gone when deleted
    System,
    /// Answers and events are what the documents say
    Contract,
    /// The rule of the house, in a checkout of the source
    Architecture,
    /// A log line and a trace by their ids
    Observability,
    /// /health and /health/ready, of what runs and of what was stopped
    Health,
    /// Who has no right is sent away; nothing secret is shown
    Secrets,
    /// The expected load, with its limits
    Load,
    /// Backups come back, and answer the same
    Recovery,
    /// The released program with this environment
    Cli,
    /// Alerts go off, reach somebody, and end
    Alerts,
    /// From inside: replicas, versions, encryption, addresses
    Infra,
}

impl Group {
    /// Its name as it is given.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// Why a check didn't pass.
#[derive(Debug, Clone)]
pub(super) enum Unseen {
    /// It isn't as it has to be.
    Failed(String),
    /// It couldn't be looked at.
    NotChecked(String),
}

/// What a look gave.
pub(super) type Seen<T = String> = Result<T, Unseen>;

/// It isn't as it has to be.
pub(super) fn failed(what: impl Display) -> Unseen {
    Unseen::Failed(what.to_string())
}

/// It couldn't be looked at.
pub(super) fn not_checked(why: impl Display) -> Unseen {
    Unseen::NotChecked(why.to_string())
}

/// Nothing, when `holds`; else what is wrong.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Seen<()> {
    if holds { Ok(()) } else { Err(failed(what())) }
}

/// An error with all its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

macro_rules! from_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for Unseen {
            fn from(error: $error) -> Self {
                failed(chain(&error))
            }
        }
    )*};
}

from_errors!(
    reqwest::Error,
    std::io::Error,
    serde_json::Error,
    speakr_nats::BusError,
    async_nats::SubscribeError
);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is as it has to be.
    Passed,
    /// It isn't.
    Failed,
    /// It couldn't be looked at.
    NotChecked,
}

impl Outcome {
    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotChecked => "not checked",
        }
    }
}

/// One check that has ended.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    /// Where it belongs.
    pub(super) group: Group,
    /// Its name in its group.
    pub(super) name: String,
    /// What has to hold, in a sentence.
    pub(super) title: String,
    /// The criteria of the plan that it shows.
    pub(super) criteria: Vec<&'static str>,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What was seen, or why not.
    pub(super) detail: String,
    /// How long it took.
    pub(super) seconds: f64,
}

/// Checks that have ended, also when the rest is broken off.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<Check>>);

impl Ledger {
    /// All of them, in order.
    pub(super) fn all(&self) -> Vec<Check> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, check: Check) {
        tell(&check);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(check);
    }
}

/// Says on the way how a check ended.
#[allow(clippy::print_stderr, reason = "progress")]
fn tell(check: &Check) {
    let detail = match check.outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed | Outcome::NotChecked => format!(": {}", first_line(&check.detail)),
    };
    eprintln!(
        "  {:<12} {}.{}{detail}",
        check.outcome.words(),
        check.group,
        check.name
    );
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Runs the checks of one group.
pub(super) struct Runner<'a> {
    ledger: &'a Ledger,
    group: Group,
    criteria: &'static [&'static str],
    longest: Duration,
    left_out: &'a [(String, String)],
}

impl<'a> Runner<'a> {
    /// Checks of `group` show `criteria`, and none may take longer than `longest`. Those of `left_out`
    /// aren't looked at; each has its reason.
    pub(super) const fn new(
        ledger: &'a Ledger,
        group: Group,
        criteria: &'static [&'static str],
        longest: Duration,
        left_out: &'a [(String, String)],
    ) -> Self {
        Self {
            ledger,
            group,
            criteria,
            longest,
            left_out,
        }
    }

    /// Why the check `name` isn't looked at here.
    fn why_left_out(&self, name: &str) -> Option<&'a str> {
        let name = format!("{}.{name}", self.group);
        let found = self.left_out.iter().find(|(left_out, _)| *left_out == name);
        found.map(|(_, why)| why.as_str())
    }

    /// Runs one, which has to show what `title` says; gives whether it passed.
    pub(super) async fn check(
        &self,
        name: &str,
        title: &str,
        look: impl Future<Output = Seen>,
    ) -> bool {
        let began = Instant::now();
        let seen = match self.why_left_out(name) {
            Some(why) => Err(not_checked(format!("left out here: {why}"))),
            None => tokio::time::timeout(self.longest, look)
                .await
                .unwrap_or_else(|_| Err(failed(format!("it took longer than {:?}", self.longest)))),
        };
        let (outcome, detail) = match seen {
            Ok(detail) => (Outcome::Passed, detail),
            Err(Unseen::Failed(detail)) => (Outcome::Failed, detail),
            Err(Unseen::NotChecked(detail)) => (Outcome::NotChecked, detail),
        };
        self.ledger.add(Check {
            group: self.group,
            name: name.to_owned(),
            title: title.to_owned(),
            criteria: self.criteria.to_vec(),
            outcome,
            detail,
            seconds: began.elapsed().as_secs_f64(),
        });
        outcome == Outcome::Passed
    }

    /// Says that one couldn't be looked at.
    pub(super) async fn skip(&self, name: &str, title: &str, why: &str) {
        self.check(name, title, async { Err(not_checked(why)) })
            .await;
    }
}
