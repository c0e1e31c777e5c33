//! `speakr-validate`: whether an environment does what it should. Each group of checks is a file here;
//! docs/validation.md says what each needs, and which criterion of the plan it shows.

mod alerts;
mod api;
mod architecture;
mod bus;
mod check;
mod cli;
mod contract;
mod fault;
mod health;
mod infra;
mod load;
mod observability;
mod recovery;
mod report;
mod secrets;
mod settings;
mod source;
mod system;
mod webhook;

use std::{
    collections::{BTreeSet, HashMap},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use settings::Arguments;

use api::Api;
use bus::Spoken;
use check::{Group, Ledger, Runner, Seen, Unseen};
use fault::Fault;
use report::{Form, Report};
use settings::{Level, Settings};

/// A check failed.
const FAILED: u8 = 1;
/// It was called in the wrong way.
const USAGE: u8 = 2;
/// Nobody is there.
const UNREACHABLE: u8 = 3;
/// Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How long an address that has just been made may take to answer.
const TRIES: usize = 5;

/// The speech as a recording of this validation.
#[derive(Debug, Clone)]
struct Stored {
    id: Uuid,
    correlation_id: Uuid,
    told: Value,
}

/// What the checks share.
struct Context {
    settings: Settings,
    api: Api,
    webhook: Option<webhook::Heard>,
    stored: OnceCell<Seen<Stored>>,
    spoken: OnceCell<Seen<Spoken>>,
    faults: tokio::sync::Mutex<HashMap<String, Seen<Fault>>>,
    /// Services that have to be started, and whether a token has to be revoked.
    owed: Mutex<Owed>,
}

#[derive(Debug, Default)]
struct Owed {
    starts: BTreeSet<String>,
    token: Option<String>,
    command: Option<String>,
}

impl Context {
    /// The speech, sent over HTTP and kept; once, however many checks look at it.
    async fn stored(&self) -> Seen<Stored> {
        let store = async {
            self.api.need_token()?;
            let correlation_id = Uuid::new_v4();
            let (id, told) = self.api.store(correlation_id).await?;
            Ok(Stored {
                id,
                correlation_id,
                told,
            })
        };
        self.stored.get_or_init(|| store).await.clone()
    }

    /// The speech, spoken over the bus; once, however many checks look at it.
    async fn spoken(&self) -> Seen<Spoken> {
        let speak = async {
            // Without one it couldn't be deleted again.
            self.api.need_token()?;
            bus::speak(&self.settings, &self.api.own).await
        };
        self.spoken.get_or_init(|| speak).await.clone()
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owe_start(&self, service: &str) {
        self.owed().starts.insert(service.to_owned());
    }

    fn paid_start(&self, service: &str) {
        self.owed().starts.remove(service);
    }

    fn owe_token(&self, name: &str) {
        self.owed().token = Some(name.to_owned());
    }

    fn paid_token(&self) {
        self.owed().token = None;
    }

    fn owe_command(&self, command: Option<&str>) {
        self.owed().command = command.map(str::to_owned);
    }

    fn paid_command(&self) {
        self.owed().command = None;
    }

    /// Puts back what a check that was broken off or failed left otherwise; gives what can't be.
    async fn put_back(&self) -> Vec<String> {
        let owed = std::mem::take(&mut *self.owed());
        let (starts, token) = (owed.starts, owed.token);
        let mut wrong = Vec::new();
        let mut note = |what: String, done: Seen<()>| {
            if let Err(Unseen::Failed(why) | Unseen::NotChecked(why)) = done {
                wrong.push(format!("{what}: {why}"));
            }
        };
        for service in starts {
            let command = self.settings.asked.start.clone().unwrap_or_default();
            let command = source::filled(&command, &[("service", service.as_str())]);
            let done = source::shell(&command, self.settings.patience())
                .await
                .map(drop);
            note(format!("{service} isn't started again"), done);
        }
        if let Some(command) = owed.command {
            let done = source::shell(&command, self.settings.patience())
                .await
                .map(drop);
            note("what was made beside isn't taken away".to_owned(), done);
        }
        if let (Some(name), Some(command)) = (token, &self.settings.asked.token_command) {
            let done = secrets::revoke(command, &name, self.settings.patience()).await;
            note(format!("the token {name} isn't revoked"), done);
        }
        wrong
    }
}

/// Validates, writes the report, and gives the exit code.
#[allow(clippy::print_stderr, reason = "that is what it is for")]
pub async fn run(arguments: Arguments) -> ExitCode {
    let began = Instant::now();
    let now = jiff::Timestamp::now();
    let settings = match Settings::of(arguments) {
        Ok(settings) => settings,
        Err(error) => return ended(USAGE, &error),
    };
    let context = match context(settings).await {
        Ok(context) => context,
        Err(error) => return ended(USAGE, &error),
    };
    if let Err(Unseen::Failed(why) | Unseen::NotChecked(why)) = reach(&context).await {
        return ended(
            UNREACHABLE,
            &format!("{} can't be reached: {why}", context.api.url),
        );
    }
    let ledger = Ledger::default();
    let interrupted = tokio::select! {
        () = groups(&context, &ledger) => false,
        () = asked_to_end() => true,
    };
    if interrupted {
        eprintln!("Broken off; what was made is taken back…");
        let ids = context.api.own.unfinished();
        if !ids.is_empty() {
            let _ = bus::take_back(&context.settings, &ids).await;
        }
    }
    let runner = context.runner(&ledger, system::GROUP);
    let wrong = context.put_back().await;
    if !wrong.is_empty() {
        runner
            .check("put-back", "what was changed is as it was", async {
                Err(check::failed(wrong.join("\n")))
            })
            .await;
    }
    system::clean(&context, &runner).await;

    let asked = &context.settings.asked;
    let report = Report {
        environment: asked.environment.clone(),
        url: context.settings.url.clone(),
        level: match asked.level {
            Level::Smoke => "smoke".to_owned(),
            Level::Full => "full".to_owned(),
        },
        began: now.to_string(),
        seconds: began.elapsed().as_secs_f64(),
        interrupted,
        ..Report::of(ledger.all())
    };
    if let Err(error) = write(&context.settings, &report) {
        return ended(USAGE, &error);
    }
    if interrupted {
        return ExitCode::from(INTERRUPTED);
    }
    let failed = report.has_failures() || asked.strict && !report.is_complete();
    ExitCode::from(if failed { FAILED } else { 0 })
}

#[allow(clippy::print_stderr, reason = "that is what it is for")]
fn ended(code: u8, why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(code)
}

async fn context(settings: Settings) -> Result<Context, String> {
    let client = api::client(&settings)?;
    let webhook = match &settings.asked.webhook {
        None => None,
        Some(address) => Some(
            webhook::Heard::listen(address)
                .await
                .map_err(|error| format!("--webhook {address}: {error}"))?,
        ),
    };
    Ok(Context {
        api: Api::new(&settings, client),
        settings,
        webhook,
        stored: OnceCell::new(),
        spoken: OnceCell::new(),
        faults: tokio::sync::Mutex::default(),
        owed: Mutex::default(),
    })
}

/// Whether anybody is there at all. Another answer than 200 is for the checks to judge.
async fn reach(context: &Context) -> Seen<()> {
    let api = &context.api;
    let mut last = Ok(());
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let request = api.bare(reqwest::Method::GET, "/health");
        last = api
            .once(request.timeout(Duration::from_secs(10)))
            .await
            .map(drop);
        if last.is_ok() {
            break;
        }
    }
    last
}

impl Context {
    fn runner<'a>(&'a self, ledger: &'a Ledger, group: Group) -> Runner<'a> {
        // A fault waits for an alert twice, and a load runs as long as its file says.
        let alerts = Duration::from_secs(self.settings.asked.alert_patience);
        let longest = self.settings.patience() * 5 + alerts * 4;
        let left_out = &self.settings.asked.left_out;
        Runner::new(ledger, group, criteria(group), longest, left_out)
    }
}

/// The criteria that each group shows.
const fn criteria(group: Group) -> &'static [&'static str] {
    match group {
        Group::System => &["P3-PROD1.1"],
        Group::Contract => &["P3-PROD1.2"],
        Group::Architecture => &["P3-PROD1.3"],
        Group::Observability => &["P3-PROD1.4"],
        Group::Health => &["P3-PROD1.5"],
        Group::Secrets => &["P3-PROD1.6"],
        Group::Load => &["P3-PROD1.7"],
        Group::Recovery => &["P3-PROD1.8"],
        Group::Cli => &["P3-PROD1.9"],
        Group::Alerts => &["P3-PROD1.10"],
        Group::Infra => &["P3-IAC1.9", "P3-IAC1.10"],
    }
}

async fn groups(context: &Context, ledger: &Ledger) {
    for group in context.settings.groups() {
        let runner = &context.runner(ledger, group);
        match group {
            Group::System => system::run(context, runner).await,
            Group::Contract => contract::run(context, runner).await,
            Group::Architecture => architecture::run(context, runner).await,
            Group::Observability => observability::run(context, runner).await,
            Group::Health => health::run(context, runner).await,
            Group::Secrets => secrets::run(context, runner).await,
            Group::Load => load::run(context, runner).await,
            Group::Recovery => recovery::run(context, runner).await,
            Group::Cli => cli::run(context, runner).await,
            Group::Alerts => alerts::run(context, runner).await,
            Group::Infra => infra::run(context, runner).await,
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Writes the report in every form that was asked for.
#[allow(clippy::print_stdout, reason = "that is what it is for")]
fn write(settings: &Settings, report: &Report) -> Result<(), String> {
    let forms: &[Form] = &settings.asked.reports;
    for form in forms {
        let text = report.written(*form);
        let Some(path) = &settings.asked.output else {
            print!("{text}");
            continue;
        };
        let path = if forms.len() == 1 {
            path.clone()
        } else {
            path.with_extension(form.ending())
        };
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
