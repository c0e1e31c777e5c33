//! Which clipboard there is, and which program reaches it.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use async_trait::async_trait;
use speakr_core::ports::clipboard::{Clipboard, ClipboardError};
use speakr_programs::{install_line_in, on_path_in};

use crate::program::{Program, ProgramError};

/// The session whose clipboard is meant: the environment's variables of these names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desktop {
    /// `WAYLAND_DISPLAY`: the compositor's socket.
    pub wayland_display: Option<OsString>,
    /// `XDG_RUNTIME_DIR`: the folder in which a relative socket lies.
    pub runtime_dir: Option<OsString>,
    /// `DISPLAY`: the X server.
    pub x11_display: Option<OsString>,
    /// `PATH`: where programs are looked for.
    pub path: OsString,
}

impl Desktop {
    /// The session that speakr runs in.
    #[must_use]
    pub fn from_env() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            wayland_display: variable("WAYLAND_DISPLAY"),
            runtime_dir: variable("XDG_RUNTIME_DIR"),
            x11_display: variable("DISPLAY"),
            path: variable("PATH").unwrap_or_default(),
        }
    }

    fn environment(&self) -> Vec<(&'static str, &OsStr)> {
        // Without a locale of UTF-8, pbcopy takes bytes for Mac Roman.
        let locale = cfg!(target_os = "macos").then_some(OsStr::new("en_US.UTF-8"));
        [
            ("WAYLAND_DISPLAY", self.wayland_display.as_deref()),
            ("XDG_RUNTIME_DIR", self.runtime_dir.as_deref()),
            ("DISPLAY", self.x11_display.as_deref()),
            ("PATH", Some(self.path.as_os_str())),
            ("LC_CTYPE", locale),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Programs that could serve here, best first.
    fn candidates(&self) -> Vec<Program> {
        if cfg!(target_os = "macos") {
            return vec![Program::Pbcopy];
        }
        let mut programs = Vec::new();
        if self.wayland_display.is_some() {
            programs.push(Program::WlCopy);
        }
        if self.x11_display.is_some() {
            // Under Wayland too: compositors share the clipboard with their X server.
            programs.extend([Program::Xclip, Program::Xsel]);
        }
        programs
    }

    /// Those of them that are installed.
    fn installed(&self) -> Result<Vec<(Program, PathBuf)>, ClipboardError> {
        let candidates = self.candidates();
        if candidates.is_empty() {
            return Err(unavailable(
                "neither WAYLAND_DISPLAY nor DISPLAY is set, so there is no desktop to paste into \
                 (over SSH, connect with ssh -X)",
            ));
        }
        let installed: Vec<_> = candidates
            .iter()
            .filter_map(|&program| {
                let path = on_path_in(&self.path, OsStr::new(program.name()))?;
                Some((program, path))
            })
            .collect();
        if installed.is_empty() {
            let (program, package) = if candidates.contains(&Program::WlCopy) {
                ("wl-copy", "wl-clipboard")
            } else {
                ("xclip", "xclip")
            };
            return Err(unavailable(&format!(
                "{program} isn't installed; install it with: {}",
                install_line_in(&self.path, package)
            )));
        }
        Ok(installed)
    }
}

fn unavailable(reason: &str) -> ClipboardError {
    ClipboardError::Unavailable {
        reason: reason.to_owned(),
    }
}

/// The clipboard of whoever runs speakr.
#[derive(Debug, Clone)]
pub struct SystemClipboard {
    desktop: Desktop,
}

impl Default for SystemClipboard {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemClipboard {
    /// The clipboard of the session that speakr runs in.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Desktop::from_env())
    }

    /// The clipboard of another session.
    #[must_use]
    pub fn of(desktop: Desktop) -> Self {
        Self { desktop }
    }

    /// Name of the program that would be used, after a look whether it reaches the clipboard.
    /// What is on the clipboard stays.
    ///
    /// # Errors
    /// [`ClipboardError::Unavailable`] with what is missing and its mend.
    pub async fn probe(&self) -> Result<&'static str, ClipboardError> {
        let mut failure = None;
        for (program, _) in self.desktop.installed()? {
            match program
                .reach(&self.desktop.path, &self.desktop.environment())
                .await
            {
                Ok(()) => return Ok(program.name()),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.map_or_else(|| unavailable("no program could be tried"), refusal))
    }
}

#[async_trait]
impl Clipboard for SystemClipboard {
    async fn set_text(&self, text: &str) -> Result<(), ClipboardError> {
        let mut failure = None;
        for (program, path) in self.desktop.installed()? {
            match program
                .place(&path, &self.desktop.environment(), text)
                .await
            {
                Ok(()) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "trying the next clipboard program");
                    failure = failure.or(Some(error));
                }
            }
        }
        Err(failure.map_or_else(|| unavailable("no program could be tried"), refusal))
    }
}

fn refusal(error: ProgramError) -> ClipboardError {
    match error {
        ProgramError::NoDisplay { .. } => unavailable(&format!(
            "{error}; is the desktop still running, and may this user reach it?"
        )),
        other => ClipboardError::Refused(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: ClipboardError) -> String {
        match error {
            ClipboardError::Unavailable { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn without_a_desktop_it_says_which_variables_are_missing() {
        let clipboard = SystemClipboard::of(Desktop::default());
        let said = reason(clipboard.set_text("text").await.unwrap_err());
        assert!(
            said.contains("WAYLAND_DISPLAY") && said.contains("DISPLAY is set"),
            "{said}"
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn without_the_program_it_names_the_package_to_install() {
        let empty = tempfile::tempdir().unwrap();
        let x11 = Desktop {
            x11_display: Some(":99".into()),
            path: empty.path().into(),
            ..Desktop::default()
        };
        let said = reason(
            SystemClipboard::of(x11.clone())
                .set_text("text")
                .await
                .unwrap_err(),
        );
        assert!(
            said.contains("xclip isn't installed; install it with: "),
            "{said}"
        );
        let wayland = Desktop {
            wayland_display: Some("wayland-9".into()),
            ..x11
        };
        let said = reason(
            SystemClipboard::of(wayland)
                .set_text("text")
                .await
                .unwrap_err(),
        );
        assert!(said.ends_with("install wl-clipboard"), "{said}");
    }

    /// A program that never ends, in place of one whose compositor hangs.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("xclip");
        std::fs::write(&program, "#!/bin/sh\nkill -STOP $$\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let desktop = Desktop {
            x11_display: Some(":99".into()),
            path: folder.path().into(),
            ..Desktop::default()
        };
        let begun = std::time::Instant::now();
        let error = SystemClipboard::of(desktop)
            .set_text("text")
            .await
            .unwrap_err();
        let ClipboardError::Refused(why) = error else {
            panic!("{error:?}")
        };
        let said = format!("{why:?}");
        assert!(said.contains("didn't answer for 5 s"), "{said}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
    }
}
