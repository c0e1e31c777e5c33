//! The `speakr` program as a person or a script uses it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The longest time that a test waits for anything to happen. Generous: two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One data folder and the program over it. The folder goes with the value.
pub struct Speakr {
    program: Option<PathBuf>,
    scratch: TempDir,
    environment: Vec<(String, String)>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Finished {
    /// This, after checking that it succeeded.
    ///
    /// # Panics
    /// When it failed; the message is what it said.
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        // It isn't a terminal that it writes to: nothing is coloured or drawn in place.
        assert!(!self.stdout.contains('\x1b'), "stdout: {:?}", self.stdout);
        assert!(!self.stderr.contains('\x1b'), "stderr: {:?}", self.stderr);
        self
    }

    /// This, after checking that it succeeded, or found nothing.
    ///
    /// # Panics
    /// When it failed; the message is what it said.
    #[must_use]
    pub fn answered(self) -> Self {
        if self.code == Some(3) {
            return self.failure(3);
        }
        self.success()
    }

    /// This, after checking that it failed with `code`.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[must_use]
    pub fn failure(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// The one JSON value on standard output.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}\nstdout: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// Where cargo put the program.
///
/// # Panics
/// As [`binary_of`].
#[must_use]
pub fn binary() -> PathBuf {
    binary_of("speakr")
}

/// Where cargo put the program `name` of this workspace: beside the folder that holds the test.
///
/// # Panics
/// When it isn't built; a run over the whole workspace builds it.
#[must_use]
pub fn binary_of(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in target/*/deps");
    let binary = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} isn't built: cargo build --workspace --bins",
        binary.display()
    );
    binary
}

/// Runs `command`, of another program, to its end.
///
/// # Panics
/// When it fails; the message is what it said.
pub fn succeed(command: &mut Command) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// A clip of the bundled speech.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn clip(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../assets/speech")
        .join(name);
    assert!(path.is_file(), "no bundled clip {name}");
    path.canonicalize().expect("a file has a path")
}

/// The same, as an argument.
///
/// # Panics
/// As [`clip`].
#[must_use]
pub fn path_of(clip_name: &str) -> String {
    clip(clip_name).display().to_string()
}

/// The device that plays a bundled clip as a microphone.
///
/// # Panics
/// As [`clip`].
#[must_use]
pub fn microphone(clip_name: &str) -> String {
    format!("file:{}", path_of(clip_name))
}

impl Default for Speakr {
    fn default() -> Self {
        Self::new()
    }
}

/// What variables begin with that the program reads, and that whoever runs the tests may have set: a
/// platform, a model, a display.
const OWN: [&str; 8] = [
    "SPEAKR_",
    "NATS_",
    "OTEL_",
    "HF_",
    "TRACEPARENT",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "NO_COLOR",
];

impl Speakr {
    /// The program over an empty data folder, with no clipboard, no display and no settings of
    /// the person who runs the tests.
    ///
    /// # Panics
    /// When no scratch folder can be made.
    #[must_use]
    pub fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        Self {
            program: None,
            scratch,
            environment: Vec::new(),
        }
    }

    /// The same by another program than that of this workspace.
    #[must_use]
    pub fn by(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The data folder.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("home")
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The command with `args`, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.program.clone().unwrap_or_else(binary));
        for (name, _) in std::env::vars_os() {
            let called = name.to_string_lossy();
            if OWN.iter().any(|own| called.starts_with(own)) {
                command.env_remove(&name);
            }
        }
        command
            .args(args)
            .env("SPEAKR_HOME", self.home())
            .env("SPEAKR_CONFIG", self.scratch.path().join("config.toml"))
            .env("HOME", self.scratch.path())
            .envs(self.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it can't be started or doesn't end in time.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Finished {
        Running::start(self.command(args)).wait()
    }

    /// Runs `command` (of [`Speakr::command`], changed by the test) to its end.
    ///
    /// # Panics
    /// As [`Speakr::run`].
    #[must_use]
    pub fn run_command(&self, command: Command) -> Finished {
        Running::start(command).wait()
    }

    /// Starts the program.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        Running::start(self.command(args))
    }
}

/// A program that runs. It is killed when dropped.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: String,
    stdout: Option<thread::JoinHandle<String>>,
    started: Instant,
}

impl Running {
    /// Starts `command`, whose output is piped.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        Self::of(command.spawn().expect("the program starts"))
    }

    /// A program that was started already, with its output piped.
    #[must_use]
    pub fn of(mut child: Child) -> Self {
        let (lines_in, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if lines_in.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stdout = child.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stdout.read_to_end(&mut bytes).ok();
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Self {
            child,
            lines,
            said: String::new(),
            stdout,
            started: Instant::now(),
        }
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says a line with `text`.
    ///
    /// # Panics
    /// When it ends or time runs out before.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("it never said \"{text}\", but:\n{}", self.said),
            }
        }
    }

    /// Sends it a signal, by name (`TERM`, `INT`, `KILL`).
    ///
    /// # Panics
    /// When the signal can't be sent.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(done.success(), "kill -{name} failed");
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system can't tell.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be asked")
            .is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it doesn't end in time.
    #[must_use]
    pub fn wait(mut self) -> Finished {
        let deadline = self.started + PATIENCE * 3;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            while let Ok(line) = self.lines.try_recv() {
                self.said.push_str(&line);
                self.said.push('\n');
            }
            assert!(
                Instant::now() < deadline,
                "it doesn't end; it said:\n{}",
                self.said
            );
            thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(500)) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        let stdout = self
            .stdout
            .take()
            .and_then(|t| t.join().ok())
            .unwrap_or_default();
        Finished {
            code: status.code(),
            stdout,
            stderr: std::mem::take(&mut self.said),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
