//! The released program, out of its archive, with this environment.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;
use uuid::Uuid;

use super::{
    Context,
    api::SPEECH,
    check::{Runner, Seen, chain, ensure, failed, not_checked},
    settings::variable,
};

/// What a release has (docs/installation.md).
const TARGETS: [&str; 6] = [
    "x86_64-linux-musl.tar.gz",
    "x86_64-linux-musl-baseline.tar.gz",
    "aarch64-linux-musl.tar.gz",
    "x86_64-windows.zip",
    "x86_64-darwin.tar.gz",
    "aarch64-darwin.tar.gz",
];

/// What `speakr search` ends with when it finds nothing (docs/cli.md).
const FOUND_NOTHING: i32 = 3;

/// A release whose sums are right.
struct Release {
    version: String,
    folder: PathBuf,
}

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    runner
        .check(
            "checksums",
            "a release has all its archives, and each is what SHA256SUMS says",
            async {
                let release = release(context)?;
                let sums = sums(&release.folder)?;
                for target in TARGETS {
                    let name = format!("speakr-{}-{target}", release.version);
                    ensure(sums.contains_key(&name), || {
                        format!("SHA256SUMS has no {name}")
                    })?;
                }
                for (name, wanted) in &sums {
                    let is = sum(&release.folder.join(name))?;
                    ensure(is == *wanted, || {
                        format!("{name} has another sum than SHA256SUMS says")
                    })?;
                }
                Ok(format!("speakr {}, {} files", release.version, sums.len()))
            },
        )
        .await;
    let unpacked = tokio::sync::OnceCell::new();
    let program = || async {
        let unpacked: &Seen<(tempfile::TempDir, PathBuf)> =
            unpacked.get_or_init(|| unpack(context)).await;
        unpacked
            .as_ref()
            .map(|(_, path)| path.clone())
            .map_err(Clone::clone)
    };
    runner
        .check(
            "version",
            "the archive for this system has the program, of the release's version",
            async {
                let release = release(context)?;
                let path = program().await?;
                let said = Cli::new(context, &path)?.run(&["--version"]).await?;
                ensure(said.trim() == format!("speakr {}", release.version), || {
                    format!(
                        "it says \"{}\" and is released as {}",
                        said.trim(),
                        release.version
                    )
                })?;
                Ok(said.trim().to_owned())
            },
        )
        .await;
    runner
        .check(
            "drive",
            "the program sends speech, finds it, exports it and deletes it",
            async {
                let path = program().await?;
                drive(context, &Cli::new(context, &path)?).await
            },
        )
        .await;
}

fn release(context: &Context) -> Seen<Release> {
    let folder = context.settings.asked.release.clone().ok_or_else(|| {
        not_checked("no release: --release FOLDER, with its archives and SHA256SUMS")
    })?;
    let names = sums(&folder)?;
    // speakr-VERSION-TARGET, and a version has a dash itself where it is none yet.
    let version = names
        .keys()
        .find_map(|name| {
            let rest = name.strip_prefix("speakr-")?;
            TARGETS
                .iter()
                .find_map(|target| rest.strip_suffix(target)?.strip_suffix('-'))
        })
        .ok_or_else(|| failed("SHA256SUMS names no archive of speakr"))?;
    Ok(Release {
        version: version.to_owned(),
        folder,
    })
}

/// Sums by names.
fn sums(folder: &Path) -> Seen<BTreeMap<String, String>> {
    let path = folder.join("SHA256SUMS");
    let text = fs::read_to_string(&path)
        .map_err(|error| failed(format!("{}: {error}", path.display())))?;
    text.lines()
        .map(|line| {
            let (sum, name) = line
                .split_once(' ')
                .ok_or_else(|| failed(format!("SHA256SUMS has the line \"{line}\"")))?;
            let name = name.trim_start_matches([' ', '*']);
            ensure(!name.contains('/') && sum.len() == 64, || {
                format!("SHA256SUMS has the line \"{line}\"")
            })?;
            Ok((name.to_owned(), sum.to_owned()))
        })
        .collect()
}

fn sum(path: &Path) -> Seen {
    let mut hash = Sha256::new();
    let mut file =
        fs::File::open(path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    std::io::copy(&mut file, &mut hash)?;
    let bytes: Vec<String> = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(bytes.concat())
}

async fn unpack(context: &Context) -> Seen<(tempfile::TempDir, PathBuf)> {
    let release = release(context)?;
    let system = match std::env::consts::OS {
        "linux" => "linux-musl",
        "macos" => "darwin",
        other => return Err(not_checked(format!("no archive can be tried on {other}"))),
    };
    let name = format!(
        "speakr-{}-{}-{system}.tar.gz",
        release.version,
        std::env::consts::ARCH
    );
    let archive = release.folder.join(&name);
    let wanted = sums(&release.folder)?;
    let is = sum(&archive)?;
    // What isn't what was released isn't run.
    ensure(wanted.get(&name) == Some(&is), || {
        format!("{name} has another sum than SHA256SUMS says, and isn't run")
    })?;
    let folder = tempfile::tempdir()?;
    let output = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path())
        .output()
        .await
        .map_err(|error| not_checked(format!("tar: {error}")))?;
    ensure(output.status.success(), || {
        format!(
            "{name} can't be unpacked: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let program = folder
        .path()
        .join(name.trim_end_matches(".tar.gz"))
        .join("speakr");
    ensure(program.is_file(), || {
        format!("{name} has no speakr in its folder")
    })?;
    Ok((folder, program))
}

/// The program over an empty home, with the environment that is validated.
struct Cli {
    program: PathBuf,
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    patience: Duration,
}

impl Cli {
    fn new(context: &Context, program: &Path) -> Seen<Self> {
        let settings = &context.settings;
        let mut variables = vec![("SPEAKR_API_URL", settings.url.clone())];
        variables.extend(
            settings
                .token
                .clone()
                .map(|token| ("SPEAKR_API_TOKEN", token)),
        );
        // It may be in a file here, which the program doesn't read.
        let password = variable("NATS_PASSWORD").map_err(failed)?;
        variables.extend(password.map(|password| ("NATS_PASSWORD", password)));
        Ok(Self {
            program: program.to_owned(),
            home: tempfile::tempdir()?,
            variables,
            patience: settings.patience(),
        })
    }

    /// What it prints, when it succeeds.
    async fn run(&self, arguments: &[&str]) -> Seen {
        self.ending_with(&[0], arguments).await
    }

    /// What it prints, when it ends with one of `codes`.
    async fn ending_with(&self, codes: &[i32], arguments: &[&str]) -> Seen {
        let mut command = Command::new(&self.program);
        for name in [
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "SPEAKR_LOG",
            "SPEAKR_MODELS_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("SPEAKR_HOME", self.home.path().join("speakr"))
            .env("SPEAKR_CONFIG", self.home.path().join("config.toml"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let what = format!("`speakr {}`", arguments.join(" "));
        let output = tokio::time::timeout(self.patience, command.output())
            .await
            .map_err(|_| failed(format!("{what} took longer than {:?}", self.patience)))?
            .map_err(|error| failed(format!("{what}: {}", chain(&error))))?;
        let code = output.status.code();
        ensure(code.is_some_and(|code| codes.contains(&code)), || {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("{what} ended with {}: {}", output.status, said.trim())
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a search answers, which ends with another code where it finds nothing.
    async fn search(&self, arguments: &[&str]) -> Seen<Value> {
        let printed = self.ending_with(&[0, FOUND_NOTHING], arguments).await?;
        Ok(serde_json::from_str(&printed)?)
    }

    async fn json(&self, arguments: &[&str]) -> Seen<Value> {
        Ok(serde_json::from_str(&self.run(arguments).await?)?)
    }
}

async fn drive(context: &Context, cli: &Cli) -> Seen {
    context.api.need_token()?;
    super::bus::access(&context.settings)?;
    let own = &context.api.own;
    let tag = format!("{}-program", own.tag);
    let tags = format!("{},{tag}", own.tags().join(","));
    let file = cli.home.path().join("speech.wav");
    fs::write(&file, SPEECH)?;
    let path = file.display().to_string();
    let told = cli
        .json(&["transcribe", "--json", "--tags", &tags, &path])
        .await?;
    let id: Uuid = told["recording_id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| failed(format!("no recording: {told}")))?;
    own.is_there(id);
    // It is on the platform, and not in a library of its own.
    context.api.get(&format!("/api/v1/recordings/{id}")).await?;
    let began = Instant::now();
    let search = [
        "search",
        "serving your nation",
        "--mode",
        "semantic",
        "--tags",
        &tag,
        "--json",
    ];
    while cli.search(&search).await?["count"] != 1 {
        ensure(began.elapsed() < cli.patience, || {
            "it isn't found by its meaning".to_owned()
        })?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let id = id.to_string();
    let text = cli.run(&["export", &id, "--format", "srt"]).await?;
    ensure(text.contains(" --> "), || format!("no subtitles: {text}"))?;
    cli.run(&["rm", "--yes", &id]).await?;
    let list = cli.json(&["list", "--tags", &tag, "--json"]).await?;
    ensure(list["count"] == 0, || {
        format!("it was deleted, and is listed: {list}")
    })?;
    Ok("transcribe, search, export, rm, list".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_and_a_path_in_them_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("SHA256SUMS"), text).unwrap();
        let zeros = "0".repeat(64);
        write(&format!("{zeros}  a.zip\n{zeros} *b.zip\n"));
        let names: Vec<String> = sums(folder.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["a.zip", "b.zip"]);
        for wrong in [format!("{zeros}  ../a"), "0  a".to_owned(), zeros] {
            write(&wrong);
            assert!(sums(folder.path()).is_err(), "{wrong}");
        }
    }
}
