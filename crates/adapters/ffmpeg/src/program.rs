//! Where ffmpeg is, and how to get it where it isn't.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use speakr_core::ports::sound::SoundError;
use speakr_programs::{install_line, is_program, on_path};

use crate::{process::run, sandbox::Bounds};

/// The variable that names another ffmpeg than the one on `PATH`.
pub const FFMPEG_VARIABLE: &str = "SPEAKR_FFMPEG";

/// How long it may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ffmpeg to run. Looked for when it is needed, so that commands without sound work where it
/// isn't installed.
#[derive(Debug, Clone, Default)]
pub struct Ffmpeg {
    configured: Option<PathBuf>,
    variables: Vec<(String, OsString)>,
}

impl Ffmpeg {
    /// The program that `configured` names, else the one on `PATH`.
    #[must_use]
    pub fn new(configured: Option<PathBuf>) -> Self {
        Self {
            configured,
            variables: Vec::new(),
        }
    }

    /// The program that `SPEAKR_FFMPEG` names, else the one on `PATH`.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(
            std::env::var_os(FFMPEG_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
        )
    }

    /// The same with an environment variable of its own (`PULSE_SERVER`, …).
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A variable as the program will see it; an empty one counts as absent.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn variable(&self, name: &str) -> Option<OsString> {
        let own = self.variables.iter().rfind(|(own, _)| own == name);
        own.map(|(_, value)| value.clone())
            .or_else(|| std::env::var_os(name))
            .filter(|value| !value.is_empty())
    }

    /// The variables given to it alone.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_os_str()))
    }

    /// Path of the program.
    ///
    /// # Errors
    /// [`SoundError::MissingProgram`] with the line that installs it.
    pub fn path(&self) -> Result<PathBuf, SoundError> {
        match &self.configured {
            Some(path) if path.components().count() > 1 => {
                if is_program(path) {
                    return Ok(path.clone());
                }
                Err(SoundError::MissingProgram {
                    program: path.display().to_string(),
                    mend: format!(
                        "{FFMPEG_VARIABLE} or the config file names it: correct or remove that, \
                         or install ffmpeg with: {}",
                        install_line("ffmpeg")
                    ),
                })
            }
            Some(name) => on_path(name.as_os_str()).ok_or_else(|| missing(name.as_os_str())),
            None => on_path(OsStr::new("ffmpeg")).ok_or_else(|| missing(OsStr::new("ffmpeg"))),
        }
    }

    /// Its version, as it tells it ("7.1.1", "n8.0-19-gdd00a614e1", …).
    ///
    /// # Errors
    /// [`SoundError::MissingProgram`]; [`SoundError::Broken`] when it doesn't run.
    pub async fn version(&self) -> Result<String, SoundError> {
        let name = self.path()?.display().to_string();
        let mut command = self.command()?;
        command.arg("-version");
        let broken = |cause: std::io::Error| SoundError::Broken {
            input: name.clone(),
            cause: Box::new(cause),
        };
        let output = run(command, Bounds::default(), PATIENCE)
            .await
            .map_err(broken)?;
        version_in(&output.text)
            .map(str::to_owned)
            .ok_or_else(|| broken(std::io::Error::other("it doesn't tell its version")))
    }

    /// A command that runs it with nothing of the caller's environment changing what it does.
    pub(crate) fn command(&self) -> Result<Command, SoundError> {
        let mut command = Command::new(self.path()?);
        command
            .env_remove("FFREPORT")
            .env_remove("AV_LOG_FORCE_COLOR")
            .env("AV_LOG_FORCE_NOCOLOR", "1")
            .envs(self.variables())
            .arg("-hide_banner");
        Ok(command)
    }
}

/// "ffmpeg version 5.1.9-0+deb12u1 Copyright …".
fn version_in(text: &str) -> Option<&str> {
    text.strip_prefix("ffmpeg version ")?.split(' ').next()
}

fn missing(program: &OsStr) -> SoundError {
    SoundError::MissingProgram {
        program: program.to_string_lossy().into_owned(),
        mend: format!("install it with: {}", install_line("ffmpeg")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_program_that_is_not_there_says_who_named_it_and_how_to_install() {
        let error = Ffmpeg::new(Some("/nowhere/ffmpeg".into()))
            .path()
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/ffmpeg isn't installed"), "{error}");
        assert!(error.contains("SPEAKR_FFMPEG"), "{error}");
        assert!(error.contains("install"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_run_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ffmpeg");
        std::fs::write(&path, "text").unwrap();
        if cfg!(unix) {
            assert!(matches!(
                Ffmpeg::new(Some(path)).path(),
                Err(SoundError::MissingProgram { .. })
            ));
        }
    }

    #[test]
    fn the_version_is_the_third_word() {
        let said = "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\n";
        assert_eq!(version_in(said), Some("5.1.9-0+deb12u1"));
        assert_eq!(version_in("something else 1 2 3"), None);
    }

    #[test]
    fn a_bare_name_is_looked_for_on_the_path() {
        let error = Ffmpeg::new(Some("no-such-ffmpeg".into()))
            .path()
            .unwrap_err();
        assert!(
            matches!(error, SoundError::MissingProgram { ref program, .. } if program == "no-such-ffmpeg")
        );
    }
}
