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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

    /// The file.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
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

/// What the words on the command line mean.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The inputs in order, each once.
    pub(super) inputs: Vec<Input>,
    /// What can't be one.
    pub(super) failures: Vec<(String, Failure)>,
    /// Links to folders, inside a folder: what they lead to may be anywhere.
    pub(super) left_out: Vec<PathBuf>,
}

/// What `paths` mean.
pub(super) fn expand(paths: &[PathBuf], recursive: bool) -> Found {
    let mut found = Found::default();
    for path in paths {
        if path.as_os_str() == "-" {
            found.inputs.push(Input::Stdin);
        } else if path.is_dir() {
            if recursive {
                found.walk(path);
            } else {
                let name = path.display().to_string();
                let failure = Failure::new(ExitCode::Usage, format!("{name} is a folder"))
                    .hint("--recursive takes all sound and video files in it");
                found.failures.push((name, failure));
            }
        } else {
            match globbed(path) {
                Some(files) => found.inputs.extend(files.into_iter().map(Input::File)),
                None => found.inputs.push(Input::File(path.clone())),
            }
        }
    }
    // By what they are, not by how they are shown: two names may look alike.
    let mut seen = HashSet::new();
    found.inputs.retain(|input| seen.insert(input.clone()));
    found
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

impl Found {
    fn walk(&mut self, folder: &Path) {
        let entries = walkdir::WalkDir::new(folder)
            .follow_links(false)
            .sort_by_file_name();
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let linked = entry.path_is_symlink() && entry.depth() > 0;
                    let path = entry.into_path();
                    if linked && path.is_dir() {
                        self.left_out.push(path);
                    } else if is_media(&path) && (linked || path.is_file()) {
                        self.inputs.push(Input::File(path));
                    }
                }
                Err(error) => {
                    let name = error.path().unwrap_or(folder).display().to_string();
                    let why = error
                        .io_error()
                        .map_or_else(|| error.to_string(), ToString::to_string);
                    let failure =
                        Failure::new(ExitCode::Failed, format!("can't read {name}: {why}"));
                    self.failures.push((name, failure));
                }
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
        assert_eq!(expand(&paths, false).failures.len(), 1);
        let found = expand(&paths, true);
        assert!(found.failures.is_empty());
        let names: Vec<_> = found.inputs.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("-one.wav") && names[1].ends_with("two.MP3"));
    }

    #[test]
    fn a_file_named_twice_is_taken_once() {
        let paths = ["a.wav", "a.wav", "-"].map(PathBuf::from);
        assert_eq!(expand(&paths, false).inputs.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_look_alike_are_two_files() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let paths = [&b"a\xff.wav"[..], b"a\xfe.wav"].map(|name| OsStr::from_bytes(name).into());
        assert_eq!(expand(&paths, false).inputs.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_taken_and_links_to_folders_are_told() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        let outside = folder.path().join("outside");
        for place in [&inside, &outside] {
            std::fs::create_dir(place).unwrap();
        }
        std::fs::write(outside.join("a.wav"), b"").unwrap();
        symlink(outside.join("a.wav"), inside.join("link.wav")).unwrap();
        symlink(&outside, inside.join("more")).unwrap();
        symlink("nowhere", inside.join("broken.wav")).unwrap();
        let found = expand(std::slice::from_ref(&inside), true);
        // One that leads nowhere fails by its name.
        let taken = ["broken.wav", "link.wav"].map(|name| Input::File(inside.join(name)));
        assert_eq!(found.inputs, taken);
        assert_eq!(found.left_out, [inside.join("more")]);
        // Named itself, a link to a folder is that folder.
        assert_eq!(expand(&[inside.join("more")], true).inputs.len(), 1);
    }

    #[test]
    fn a_pattern_finds_files_and_a_file_with_such_a_name_is_itself() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wav"), b"").unwrap();
        std::fs::write(folder.path().join("b.wav"), b"").unwrap();
        let pattern = folder.path().join("*.wav");
        assert_eq!(
            expand(std::slice::from_ref(&pattern), false).inputs.len(),
            2
        );
        let odd = folder.path().join("[a].wav");
        std::fs::write(&odd, b"").unwrap();
        assert_eq!(
            expand(std::slice::from_ref(&odd), false).inputs,
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
