//! `speakr models`: which models there are, and getting, checking and removing them.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{HumanBytes, ProgressBar};
use serde::Serialize;
use speakr_models::{
    Endpoint, ModelKind, ModelStatus, ModelStore, PullOptions, PullProgress, Pulled, Removed,
    RetryPolicy, State, Verification, VerifiedFile,
};
use tokio_util::sync::CancellationToken;

use crate::{
    compose::App,
    failure::{ExitCode, Failure},
    output::Output,
    signals,
    terminal::screen,
};

/// What to do with models.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the models that speakr knows, and where they are
    List(ListArgs),
    /// Download models; a download that broke off goes on
    Pull(PullArgs),
    /// Print the path of a model's weights
    Path(NameArgs),
    /// Remove downloaded models
    Rm(NamesArgs),
    /// Read models' files again and compare their digests; without a name, of all that are here
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only models for this
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only models that are here
    #[arg(long)]
    here: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Speech,
    VoiceActivity,
    Embedding,
}

#[derive(Debug, Args)]
struct PullArgs {
    /// The models
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Download also what is here already
    #[arg(long)]
    again: bool,
}

#[derive(Debug, Args)]
struct NamesArgs {
    /// The models
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// The model
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The models
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Serialize)]
struct ListJson {
    models: Vec<ModelStatus>,
    count: usize,
}

#[derive(Serialize)]
struct PulledJson {
    models: Vec<Pulled>,
    count: usize,
}

#[derive(Serialize)]
struct RemovedJson {
    models: Vec<Removed>,
    count: usize,
}

#[derive(Serialize)]
struct VerifiedJson {
    files: Vec<VerifiedFile>,
    count: usize,
}

#[derive(Serialize)]
struct PathJson<'a> {
    id: &'a str,
    /// Null for a model inside the program.
    path: Option<&'a std::path::Path>,
}

/// Lists, pulls, finds, removes or verifies.
pub(crate) async fn run(app: &App, args: &ModelsArgs) -> Result<(), Failure> {
    let store = app.models()?;
    match &args.command {
        ModelsCommand::List(args) => list(app.output, &store, args),
        ModelsCommand::Pull(args) => pull(app, &store, args).await,
        ModelsCommand::Path(args) => path(app, &store, &args.name),
        ModelsCommand::Rm(args) => remove(app.output, &store, &args.names),
        ModelsCommand::Verify(args) => verify(app.output, &store, &args.names),
    }
}

fn list(output: Output, store: &ModelStore, args: &ListArgs) -> Result<(), Failure> {
    let wanted = args.kind.map(|kind| match kind {
        Kind::Speech => ModelKind::Speech,
        Kind::VoiceActivity => ModelKind::VoiceActivity,
        Kind::Embedding => ModelKind::Embedding,
    });
    let models: Vec<ModelStatus> = store
        .list()
        .into_iter()
        .filter(|model| wanted.is_none_or(|kind| kind == model.kind))
        .filter(|model| !args.here || is_here(&model.state))
        .collect();
    if output.is_json() {
        return output.print_json(&ListJson {
            count: models.len(),
            models,
        });
    }
    let width = models
        .iter()
        .map(|model| model.id.len())
        .max()
        .unwrap_or_default();
    for model in &models {
        output.print(&line(model, width))?;
    }
    Ok(())
}

fn is_here(state: &State) -> bool {
    matches!(state, State::Bundled | State::Installed { .. })
}

fn line(model: &ModelStatus, width: usize) -> String {
    let languages = match model.languages.as_slice() {
        [] => "-".to_owned(),
        [one] => one.clone(),
        many => format!("{} languages", many.len()),
    };
    let state = match &model.state {
        State::Bundled => "bundled".to_owned(),
        State::Installed { path, .. } => path.display().to_string(),
        State::Damaged { reason } => format!("damaged: {reason}"),
        State::Partial { received_bytes } => format!("{} downloaded", HumanBytes(*received_bytes)),
        State::Absent if model.url.is_none() => "not here, not published".to_owned(),
        State::Absent => "not here".to_owned(),
    };
    let size = HumanBytes(model.size_bytes).to_string();
    let mut line = format!(
        "{:width$}  {size:>11}  {languages:>13}  {:10}",
        model.id, model.licence
    );
    if !model.pinned {
        line.push_str("  unpinned");
    }
    // A String takes whatever is written.
    let _ = write!(line, "  {state}");
    line
}

async fn pull(app: &App, store: &ModelStore, args: &PullArgs) -> Result<(), Failure> {
    let options = PullOptions {
        endpoint: Endpoint::from_env().map_err(|e| Failure::from_error(ExitCode::Usage, &e))?,
        retry: RetryPolicy::default(),
        again: args.again,
        trust: app.trust,
    };
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let watcher = tokio::spawn(async move {
        if signals::asked_to_end().await.is_ok() {
            stop.cancel();
        }
    });
    let mut models = Vec::new();
    for name in &args.names {
        let display = PullDisplay::new(app.output, name);
        let pulled = store
            .pull(name, &options, &|progress| display.show(&progress), &cancel)
            .await;
        display.clear();
        let pulled = pulled?;
        let place = pulled.path.as_ref().map_or_else(
            || "part of the program".to_owned(),
            |path| path.display().to_string(),
        );
        app.output.say(&if pulled.already_there {
            format!("{name} is here already: {place}")
        } else {
            format!("{name} is here, checked: {place}")
        });
        models.push(pulled);
    }
    watcher.abort();
    if app.output.is_json() {
        app.output.print_json(&PulledJson {
            count: models.len(),
            models,
        })?;
    }
    Ok(())
}

fn path(app: &App, store: &ModelStore, name: &str) -> Result<(), Failure> {
    let found = store.locate(name, app.trust)?;
    let path = store.path(name, app.trust)?;
    if app.output.is_json() {
        return app.output.print_json(&PathJson {
            id: &found.id,
            path: path.as_deref(),
        });
    }
    match path {
        Some(path) => app.output.print(&path.display().to_string()),
        None => Err(Failure::new(
            ExitCode::NotFound,
            format!("\"{}\" is part of the program and has no path", found.id),
        )),
    }
}

fn remove(output: Output, store: &ModelStore, names: &[String]) -> Result<(), Failure> {
    let mut models = Vec::new();
    for name in names {
        let removed = store.remove(name)?;
        output.say(&format!(
            "Removed {name} ({})",
            HumanBytes(removed.freed_bytes)
        ));
        models.push(removed);
    }
    if output.is_json() {
        output.print_json(&RemovedJson {
            count: models.len(),
            models,
        })?;
    }
    Ok(())
}

fn verify(output: Output, store: &ModelStore, names: &[String]) -> Result<(), Failure> {
    let here = |model: ModelStatus| {
        let there = is_here(&model.state) || matches!(model.state, State::Damaged { .. });
        there.then_some(model.id)
    };
    let names = if names.is_empty() {
        store.list().into_iter().filter_map(here).collect()
    } else {
        names.to_vec()
    };
    let mut files = Vec::new();
    for name in &names {
        for file in store.verify(name)? {
            let place = file.path.as_ref().map_or_else(
                || "part of the program".to_owned(),
                |path| path.display().to_string(),
            );
            let verdict = match file.verification {
                Verification::Verified => "good",
                Verification::Unpinned => "unpinned: no digest to compare with",
                Verification::WrongDigest => "WRONG",
            };
            if !output.is_json() {
                output.print(&format!("{verdict}  {}  {place}", file.id))?;
            }
            files.push(file);
        }
    }
    let wrong = files
        .iter()
        .filter(|f| f.verification == Verification::WrongDigest)
        .count();
    if output.is_json() {
        output.print_json(&VerifiedJson {
            count: files.len(),
            files,
        })?;
    }
    if wrong == 0 {
        return Ok(());
    }
    let sentence = match wrong {
        1 => "1 file isn't what it should be".to_owned(),
        many => format!("{many} files aren't what they should be"),
    };
    Err(Failure::new(ExitCode::Failed, sentence)
        .hint("remove it and get the model again: speakr models rm NAME; speakr models pull NAME"))
}

/// What a person sees of a download: a bar on a terminal, a line for each event elsewhere.
struct PullDisplay {
    output: Output,
    bar: Arc<ProgressBar>,
    /// The last thing that was said, so that it isn't said again.
    said: Mutex<String>,
}

impl PullDisplay {
    fn new(output: Output, name: &str) -> Self {
        let bar = screen::bar(
            output,
            "{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left {msg}",
        );
        bar.set_prefix(name.to_owned());
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            output,
            bar,
            said: Mutex::default(),
        }
    }

    fn show(&self, progress: &PullProgress) {
        match progress {
            PullProgress::Waiting => self.tell("another speakr downloads it; waiting"),
            PullProgress::File { name, size_bytes } => {
                self.bar.set_length(*size_bytes);
                self.bar.set_message("");
                self.say(&format!("Downloading {name} ({})", HumanBytes(*size_bytes)));
            }
            PullProgress::Received { received_bytes } => {
                self.bar.set_position(*received_bytes);
                self.bar.set_message("");
            }
            PullProgress::Retrying { reason, delay } => {
                self.tell(&format!("{reason}; again in {:.1} s", delay.as_secs_f32()));
            }
            PullProgress::Verifying { name } => self.tell(&format!("checking {name}")),
        }
    }

    /// Beside the bar where there is one.
    fn tell(&self, message: &str) {
        if self.bar.is_hidden() {
            self.say(message);
        } else {
            self.bar.set_message(message.to_owned());
        }
    }

    fn say(&self, message: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != message {
            self.output.say(message);
            message.clone_into(&mut said);
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
