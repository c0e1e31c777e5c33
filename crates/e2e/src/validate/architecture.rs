//! The rule of the house, read from Cargo's own graph, and every use case with substitutes for its ports.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use tokio::process::Command;

use super::{
    Context,
    check::{Group, Runner, Seen, ensure, failed, not_checked},
    settings::Level,
};
use crate::house::{House, metadata};

/// Compiling the core and its tests may take so long.
const BUILD: Duration = Duration::from_secs(1200);

/// Where the core names its use cases, a module each.
const USE_CASES: &str = "crates/core/src/usecases/mod.rs";

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
    let declared = std::fs::read_to_string(source.join(USE_CASES))
        .map_err(|error| failed(format!("{USE_CASES}: {error}")))?;
    let declared = public_modules(&declared);
    ensure(!declared.is_empty(), || {
        format!("{USE_CASES} names no use case")
    })?;
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
    let untested = untested(&declared, &said);
    ensure(untested.is_empty(), || {
        format!("no test passed of the use case {}", untested.join(", "))
    })?;
    Ok(format!(
        "{passed} tests of the core, which links no adapter; some of each of {}",
        declared.join(", ")
    ))
}

/// The modules that a source file opens to others.
fn public_modules(source: &str) -> Vec<&str> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect()
}

/// Those of `use_cases` of which no test passed, by what cargo said.
fn untested<'a>(use_cases: &[&'a str], said: &str) -> Vec<&'a str> {
    let tested: HashSet<&str> = said
        .lines()
        .filter_map(|line| {
            line.strip_prefix("test usecases::")?
                .strip_suffix(" ... ok")
        })
        .filter_map(|test| Some(test.split_once("::")?.0))
        .collect();
    use_cases
        .iter()
        .copied()
        .filter(|use_case| !tested.contains(use_case))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_cases_are_those_that_the_core_names() {
        let declared = public_modules(include_str!("../../../core/src/usecases/mod.rs"));
        for known in [
            "capture",
            "library",
            "recordings",
            "remembered",
            "silence",
            "transcribe",
        ] {
            assert!(declared.contains(&known), "{known} in {declared:?}");
        }
        let source = "//! pub mod no;\npub mod yes;\nmod own;\n    pub mod deeper;\n";
        assert_eq!(public_modules(source), ["yes"]);
    }

    #[test]
    fn a_use_case_is_tested_when_one_of_its_tests_passed() {
        let said = "\
running 8 tests
test search::tests::a_rare_name_beats_what_is_merely_alike ... ok
test usecases::capture::tests::sound_is_kept ... ok
test usecases::library::tests::upkeep::all_is_found ... ok
test usecases::library::tests::upkeep::it_is_quick ... FAILED
test usecases::recordings::tests::it_goes_on ... FAILED
test usecases::silence::tests::it_ends ... ignored, takes long
test usecases::transcribe::drafts::tests::words_stay - should panic ... ok
test crates/core/src/usecases/remembered.rs - usecases::remembered (line 3) ... ok

test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
";
        let wanted = [
            "capture",
            "library",
            "recordings",
            "transcribe",
            "remembered",
            "silence",
            "search",
            "tran",
        ];
        let expected = ["recordings", "remembered", "silence", "search", "tran"];
        assert_eq!(untested(&wanted, said), expected);
        assert_eq!(untested(&wanted, ""), wanted);
    }
}
