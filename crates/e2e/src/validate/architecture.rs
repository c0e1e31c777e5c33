//! The rule of the house, read from Cargo's own graph, and every use case with substitutes for its ports.

use std::{path::PathBuf, time::Duration};

use tokio::process::Command;

use super::{
    Context,
    check::{Group, Runner, Seen, ensure, failed, not_checked},
    settings::Level,
};
use crate::house::{House, metadata};

/// Compiling the core and its tests may take so long.
const BUILD: Duration = Duration::from_secs(1200);

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "graph",
            "the core knows no technology, adapters know no app, and services link what is theirs",
            async {
                let source = source(context)?;
                let house = tokio::task::spawn_blocking(move || House::of(metadata(&source)?))
                    .await
                    .map_err(failed)?
                    .map_err(failed)?;
                let breaks = house.breaks();
                ensure(breaks.is_empty(), || breaks.join("\n"))?;
                Ok(format!(
                    "{} crates in {} places",
                    house.len(),
                    house.places().len()
                ))
            },
        )
        .await;
    runner
        .check(
            "use-cases",
            "every use case runs with substitutes for its ports",
            use_cases(context),
        )
        .await;
}

fn source(context: &Context) -> Seen<PathBuf> {
    let source = context.settings.asked.source.clone();
    let source = source.ok_or_else(|| not_checked("no checkout of the source: --source FOLDER"))?;
    if !source.join("Cargo.toml").is_file() {
        return Err(failed(format!(
            "{} is no checkout: there is no Cargo.toml",
            source.display()
        )));
    }
    Ok(source)
}

async fn use_cases(context: &Context) -> Seen {
    let source = source(context)?;
    if context.settings.asked.level != Level::Full && !context.settings.names(Group::Architecture) {
        return Err(not_checked(
            "it compiles the core: --level full, or --group architecture",
        ));
    }
    let run = Command::new("cargo")
        .args([
            "test",
            "--locked",
            "--package",
            "speakr-core",
            "--",
            "--test-threads=2",
        ])
        .current_dir(&source)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BUILD, run)
        .await
        .map_err(|_| failed(format!("cargo took longer than {BUILD:?}")))?
        .map_err(|error| not_checked(format!("cargo: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let passed: u64 = said
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
        .sum();
    ensure(output.status.success() && passed > 0, || {
        let tail: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("FAILED") || line.contains("failed"))
            .take(8)
            .collect();
        format!(
            "cargo test ended with {}: {}",
            output.status,
            tail.join(" / ")
        )
    })?;
    Ok(format!(
        "{passed} tests of the core, which links no adapter"
    ))
}
