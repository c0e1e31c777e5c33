//! Where logs, traces and settings are read from: files, folders, commands, addresses.

use std::{convert::Infallible, fs, path::Path, path::PathBuf, str::FromStr, time::Duration};

use super::check::{Seen, chain, failed};

/// How files with text end.
const ENDINGS: [&str; 4] = ["log", "json", "jsonl", "txt"];

/// A place that has text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// The files of a folder that have text by their endings, and of those in it.
    Folder(PathBuf),
    /// What a command prints.
    Command(String),
    /// What an address gives.
    Address(String),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Some(command) = text.strip_prefix("command:") {
            return Ok(Self::Command(command.to_owned()));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Address(text.to_owned()));
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        Ok(Self::File(path))
    }
}

impl Source {
    /// Its text now. `{name}` of an address and of a command becomes the value.
    pub(super) async fn text(
        &self,
        client: &reqwest::Client,
        values: &[(&str, &str)],
    ) -> Seen<String> {
        match self {
            Self::File(path) => read(path),
            Self::Folder(path) => folder(path),
            Self::Command(command) => {
                shell(&filled(command, values), Duration::from_secs(60)).await
            }
            Self::Address(url) => {
                let answer = client.get(filled(url, values)).send().await?;
                let status = answer.status();
                let text = answer.text().await?;
                // What isn't there yet is no text.
                if status == reqwest::StatusCode::NOT_FOUND {
                    return Ok(String::new());
                }
                if !status.is_success() {
                    return Err(failed(format!("{url} answered {status}")));
                }
                Ok(text)
            }
        }
    }
}

/// `text` with `{name}` replaced.
pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

fn read(path: &Path) -> Seen<String> {
    let bytes = fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn folder(path: &Path) -> Seen<String> {
    let mut text = String::new();
    let entries =
        fs::read_dir(path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let more = if path.is_dir() {
            folder(&path)
        } else if has_text(&path) {
            read(&path)
        } else {
            continue;
        };
        text.push_str(&more?);
        text.push('\n');
    }
    Ok(text)
}

/// Whether a file has text by its ending. What lies beside logs may be anything: sockets, models.
fn has_text(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// What a shell prints when it runs `command`, which has to succeed.
pub(super) async fn shell(command: &str, patience: Duration) -> Seen<String> {
    let run = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(patience, run)
        .await
        .map_err(|_| failed(format!("`{command}` took longer than {patience:?}")))?
        .map_err(|error| failed(format!("`{command}`: {}", chain(&error))))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().take(5).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(failed(format!(
        "`{command}` ended with {}: {}",
        output.status,
        tail.join(" / ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_form() {
        let source = |text: &str| text.parse::<Source>().unwrap();
        assert_eq!(source("command:x"), Source::Command("x".into()));
        assert_eq!(source("http://x"), Source::Address("http://x".into()));
        assert_eq!(source("/"), Source::Folder("/".into()));
        assert_eq!(source("/none"), Source::File("/none".into()));
        assert_eq!(filled("a {b} {c}", &[("b", "1")]), "a 1 {c}");
    }
    #[test]
    fn of_a_folder_what_has_text_is_read_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let inside = parent.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        for name in ["a.log", "b.txt", "c", "d.bin", "inside/e.json"] {
            std::fs::write(parent.path().join(name), name).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(parent.path().join("socket")).unwrap();
        let text = folder(parent.path()).unwrap();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["a.log", "b.txt", "inside/e.json"]);
    }
}
