//! Which files the words on the command line mean.

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

use speakr_core::ports::sound::SoundInput;

use crate::failure::{ExitCode, Failure};

/// What counts as sound or video inside a folder. A file that is named itself is tried whatever
/// its ending.
const MEDIA_EXTENSIONS: &[&str] = &[
    "3gp", "aac", "ac3", "aif", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dts", "flac",
    "flv", "m2ts", "m4a", "m4b", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpeg", "mpg",
    "mts", "oga", "ogg", "ogv", "opus", "qta", "ra", "spx", "tta", "voc", "wav", "weba", "webm",
    "wma", "wmv", "wv",
];

/// One thing to transcribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    File(PathBuf),
    Stdin,
}

impl Input {
    pub(super) fn sound(&self) -> SoundInput {
        match self {
            Self::File(path) => SoundInput::File(path.clone()),
            Self::Stdin => SoundInput::Stdin,
        }
    }

    /// Where the file is, whatever folder a later process stands in.
    pub(super) fn absolute_path(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(
                std::path::absolute(path)
                    .unwrap_or_else(|_| path.clone())
                    .display()
                    .to_string(),
            ),
            Self::Stdin => None,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// The inputs that `paths` mean, in order, each once; and what can't be one.
pub(super) fn expand(paths: &[PathBuf], recursive: bool) -> (Vec<Input>, Vec<(String, Failure)>) {
    let mut inputs = Vec::new();
    let mut failures = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            if recursive {
                walk(path, &mut inputs, &mut failures);
            } else {
                let name = path.display().to_string();
                let failure = Failure::new(ExitCode::Usage, format!("{name} is a folder"))
                    .hint("--recursive takes all sound and video files in it");
                failures.push((name, failure));
            }
        } else {
            match globbed(path) {
                Some(found) => inputs.extend(found.into_iter().map(Input::File)),
                None => inputs.push(Input::File(path.clone())),
            }
        }
    }
    let mut seen = HashSet::new();
    inputs.retain(|input| seen.insert(input.to_string()));
    (inputs, failures)
}

/// What a pattern finds, for shells that leave patterns to the program. A file that has such a
/// name wins over what the name would mean as a pattern.
fn globbed(path: &Path) -> Option<Vec<PathBuf>> {
    let pattern = path.to_str()?;
    if path.exists() || !pattern.contains(['*', '?', '[']) {
        return None;
    }
    let found: Vec<PathBuf> = glob::glob(pattern)
        .ok()?
        .filter_map(Result::ok)
        .filter(|p| p.is_file())
        .collect();
    (!found.is_empty()).then_some(found)
}

fn walk(folder: &Path, inputs: &mut Vec<Input>, failures: &mut Vec<(String, Failure)>) {
    let entries = walkdir::WalkDir::new(folder)
        .follow_links(false)
        .sort_by_file_name();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_media(entry.path()) => {
                inputs.push(Input::File(entry.into_path()));
            }
            Ok(_) => {}
            Err(error) => {
                let name = error.path().unwrap_or(folder).display().to_string();
                let why = error
                    .io_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                failures.push((
                    name.clone(),
                    Failure::new(ExitCode::Failed, format!("can't read {name}: {why}")),
                ));
            }
        }
    }
}

fn is_media(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| MEDIA_EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Names of written files: NAME.txt, and NAME.wav.txt where NAME.mp3 had the short one already.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn unique(&mut self, input: &Input, extension: &str) -> String {
        let (stem, full) = match input {
            Input::Stdin => ("stdin".to_owned(), "stdin".to_owned()),
            Input::File(path) => (
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            ),
        };
        let numbered = (2_u32..).map(|n| format!("{full}.{n}.{extension}"));
        let names = [format!("{stem}.{extension}"), format!("{full}.{extension}")];
        for name in names.into_iter().chain(numbered) {
            // Some file systems don't tell cases apart.
            if self.0.insert(name.to_lowercase()) {
                return name;
            }
        }
        format!("{full}.{extension}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_only_when_asked_and_only_its_media() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a b 🎙");
        std::fs::create_dir(&deep).unwrap();
        for name in ["two.MP3", "notes.txt", "-one.wav"] {
            std::fs::write(deep.join(name), b"").unwrap();
        }
        let paths = [folder.path().to_owned()];
        assert_eq!(expand(&paths, false).1.len(), 1);
        let (inputs, failures) = expand(&paths, true);
        assert!(failures.is_empty());
        let names: Vec<_> = inputs.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("-one.wav") && names[1].ends_with("two.MP3"));
    }

    #[test]
    fn a_file_named_twice_is_taken_once() {
        let paths = ["a.wav", "a.wav", "-"].map(PathBuf::from);
        assert_eq!(expand(&paths, false).0.len(), 2);
    }

    #[test]
    fn a_pattern_finds_files_and_a_file_with_such_a_name_is_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wav"), b"").unwrap();
        std::fs::write(folder.path().join("b.wav"), b"").unwrap();
        let pattern = folder.path().join("*.wav");
        assert_eq!(expand(std::slice::from_ref(&pattern), false).0.len(), 2);
        let odd = folder.path().join("[a].wav");
        std::fs::write(&odd, b"").unwrap();
        assert_eq!(
            expand(std::slice::from_ref(&odd), false).0,
            [Input::File(odd)]
        );
    }

    #[test]
    fn two_inputs_of_one_name_get_two_files() {
        let mut names = Names::default();
        let inputs = ["x/talk.wav", "x/talk.mp3", "y/talk.mp3", "TALK.ogg"];
        let written: Vec<_> = inputs
            .iter()
            .map(|p| names.unique(&Input::File(p.into()), "txt"))
            .collect();
        assert_eq!(
            written,
            ["talk.txt", "talk.mp3.txt", "talk.mp3.2.txt", "TALK.ogg.txt"]
        );
    }
}
