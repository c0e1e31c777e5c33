//! The configuration file.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{Origin, Settings, TABLE};
use crate::failure::{ExitCode, Failure};

/// How alike a wrong key must be to a right one to be taken for it (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

impl Settings {
    /// Reads the configuration file at `path`. One that isn't `required` may be missing.
    pub(super) fn read_file(&mut self, path: &Path, required: bool) -> Result<(), Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !required => return Ok(()),
            Err(e) => {
                let sentence = format!("can't read the configuration {}: {e}", path.display());
                return Err(Failure::new(ExitCode::Usage, sentence));
            }
        };
        self.read_toml(&text, path)
    }

    fn read_toml(&mut self, text: &str, path: &Path) -> Result<(), Failure> {
        let wrong = |span: Option<Range<usize>>, reason: String| {
            let line = line_of(text, span.map_or(0, |s| s.start));
            Failure::new(
                ExitCode::Usage,
                format!("{}:{line}: {reason}", path.display()),
            )
        };
        let table = DeTable::parse(text).map_err(|e| wrong(e.span(), e.message().to_owned()))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().map_or_else(PathBuf::new, Path::to_owned);
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            let Some(setting) = TABLE.iter().find(|setting| setting.key == name) else {
                return Err(unknown(
                    name,
                    wrong(Some(key.span()), unknown_sentence(name)),
                ));
            };
            self.set_toml(setting.key, value.get_ref(), &folder)
                .map_err(|reason| {
                    wrong(
                        Some(value.span()),
                        format!("the setting \"{name}\" is wrong: {reason}"),
                    )
                })?;
            let line = line_of(text, key.span().start);
            self.origins
                .insert(setting.key, Origin::File(path.to_owned(), line));
        }
        Ok(())
    }
}

fn unknown_sentence(name: &str) -> String {
    match nearest(name) {
        Some(known) => format!("there is no setting \"{name}\"; did you mean \"{known}\"?"),
        None => format!("there is no setting \"{name}\""),
    }
}

fn unknown(name: &str, failure: Failure) -> Failure {
    match nearest(name) {
        Some(_) => failure,
        None => failure.hint("`speakr config example` shows all settings"),
    }
}

/// The setting whose name is most like `name`, if one is like it at all.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    TABLE
        .iter()
        .map(|setting| (strsim::jaro_winkler(&name, setting.key), setting.key))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}

/// The line, from 1, in which byte `at` of `text` lies.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
