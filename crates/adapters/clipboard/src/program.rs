//! The programs that put text on a clipboard, and how each is run.

use std::{
    ffi::OsStr,
    io::{self, Read as _, Seek as _},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use speakr_programs::on_path_in;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// How long a program may take to accept a text. They take some 10 ms; a compositor that hangs
/// must not hang speakr.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that can put text on a clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    WlCopy,
    Xclip,
    Xsel,
    Pbcopy,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WlCopy => "wl-copy",
            Self::Xclip => "xclip",
            Self::Xsel => "xsel",
            Self::Pbcopy => "pbcopy",
        }
    }

    /// Arguments for reading a text from standard input.
    const fn set(self) -> &'static [&'static str] {
        match self {
            // Without a type it would guess one, from the content and with another program.
            Self::WlCopy => &["--type", "text/plain"],
            Self::Xclip => &["-selection", "clipboard", "-in"],
            Self::Xsel => &["--clipboard", "--input"],
            Self::Pbcopy => &[],
        }
    }

    /// A program and arguments that reach for the clipboard and change nothing.
    const fn look(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::WlCopy => ("wl-paste", &["--list-types"]),
            Self::Xclip => (
                "xclip",
                &["-selection", "clipboard", "-out", "-target", "TARGETS"],
            ),
            Self::Xsel => ("xsel", &["--clipboard", "--output"]),
            Self::Pbcopy => ("pbpaste", &[]),
        }
    }

    /// Puts `text` on the clipboard; the program stays behind to serve it, where it has to.
    pub(crate) async fn place(
        self,
        path: &Path,
        environment: &[(&'static str, &OsStr)],
        text: &str,
    ) -> Result<(), ProgramError> {
        let (status, said) = run(path, self.set(), environment, text.as_bytes())
            .await
            .map_err(|cause| ProgramError::Run {
                program: self.name(),
                cause,
            })?;
        if status.success() {
            return Ok(());
        }
        Err(self.failure(status, &said))
    }

    /// Whether the clipboard can be reached.
    pub(crate) async fn reach(
        self,
        search: &OsStr,
        environment: &[(&'static str, &OsStr)],
    ) -> Result<(), ProgramError> {
        let (name, arguments) = self.look();
        let Some(path) = on_path_in(search, OsStr::new(name)) else {
            return Ok(());
        };
        let (status, said) = run(&path, arguments, environment, b"")
            .await
            .map_err(|cause| ProgramError::Run {
                program: self.name(),
                cause,
            })?;
        // An empty clipboard makes some of them fail too; that is no fault.
        match self.failure(status, &said) {
            error @ ProgramError::NoDisplay { .. } if !status.success() => Err(error),
            _ => Ok(()),
        }
    }

    fn failure(self, status: ExitStatus, said: &str) -> ProgramError {
        let said = said.trim().to_owned();
        let no_display = [
            "Can't open display",
            "an't open display",
            "Failed to connect to a Wayland",
        ];
        if no_display.iter().any(|words| said.contains(words)) {
            return ProgramError::NoDisplay {
                program: self.name(),
                said,
            };
        }
        ProgramError::Failed {
            program: self.name(),
            status,
            said,
        }
    }
}

/// Why a program didn't place a text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// It couldn't be run, or didn't end in time.
    #[error("{program} couldn't be run")]
    Run {
        program: &'static str,
        #[source]
        cause: io::Error,
    },
    /// It didn't reach the display.
    #[error("{program} can't reach the display: {said}")]
    NoDisplay { program: &'static str, said: String },
    /// It failed.
    #[error("{program} failed ({status}): {said}")]
    Failed {
        program: &'static str,
        status: ExitStatus,
        said: String,
    },
}

/// Runs a program that may leave a copy of itself behind. Its complaints go to a file: the copy
/// keeps whatever it was given, so a pipe would stay open as long as the text is served.
async fn run(
    path: &Path,
    arguments: &[&str],
    environment: &[(&'static str, &OsStr)],
    input: &[u8],
) -> io::Result<(ExitStatus, String)> {
    let mut complaints = tempfile::tempfile()?;
    let mut command = Command::new(path);
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(complaints.try_clone()?)
        // Not in the terminal's group: Ctrl-C there must not take the text from the clipboard.
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take();
    let serve = async {
        if let Some(mut stdin) = stdin {
            // A program that ends without reading tells why itself.
            match stdin.write_all(input).await {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
            drop(stdin);
        }
        child.wait().await
    };
    let status = tokio::time::timeout(PATIENCE, serve)
        .await
        .unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it didn't answer for {} s", PATIENCE.as_secs()),
            ))
        })?;
    let mut said = Vec::new();
    complaints.rewind()?;
    complaints.take(4096).read_to_end(&mut said)?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}
