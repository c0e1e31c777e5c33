//! Child processes that never outlive who started them.

use std::{
    fs::{File, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Why a server isn't there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program isn't installed.
    #[error("{program} isn't on PATH; \"scripts/setup.sh test\" installs it")]
    NotInstalled {
        /// Its name.
        program: &'static str,
    },
    /// The tool wasn't fetched.
    #[error("\"scripts/tools.sh {tool}\" wasn't run (make test does)")]
    NotFetched {
        /// Its name.
        tool: &'static str,
    },
    /// It couldn't be started.
    #[error("{program} can't be started")]
    Start {
        /// Its name.
        program: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended, or wasn't ready in time.
    #[error("{program} {what}; its log: {log}")]
    NotReady {
        /// Its name.
        program: &'static str,
        /// What happened instead.
        what: String,
        /// The end of what it printed.
        log: String,
    },
}

/// The program `name`: on PATH, or where `scripts/tools.sh` puts programs.
///
/// # Errors
/// [`StartError::NotInstalled`].
pub fn find(name: &'static str) -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(tools())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or(StartError::NotInstalled { program: name })
}

/// The folders of programs that `scripts/tools.sh` made.
pub(crate) fn tools() -> Vec<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(target.join("tools")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect()
}

/// The program `program` of what `scripts/tools.sh TOOL` fetched, where several tools have one of
/// that name.
///
/// # Errors
/// [`StartError::NotFetched`].
pub fn fetched(tool: &'static str, program: &str) -> Result<PathBuf, StartError> {
    let of_tool = |folder: &PathBuf| {
        let version = folder.parent().and_then(|f| f.file_name());
        version.is_some_and(|name| name.to_string_lossy().starts_with(&format!("{tool}-")))
    };
    let mut found: Vec<_> = tools()
        .into_iter()
        .filter(of_tool)
        .map(|folder| folder.join(program))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop().ok_or(StartError::NotFetched { tool })
}

/// Where a server keeps what it stores.
#[derive(Debug)]
pub enum Folder {
    /// Gone with the server.
    Scratch(TempDir),
    /// Found again by the next one.
    Kept(PathBuf),
}

impl Folder {
    /// A new folder that goes with its server.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn scratch() -> io::Result<Self> {
        tempfile::tempdir().map(Self::Scratch)
    }

    /// The folder `name` in `data`, which is kept; a scratch folder where `data` is none.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn of(data: Option<&Path>, name: &str) -> io::Result<Self> {
        let Some(data) = data else {
            return Self::scratch();
        };
        let folder = data.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self::Kept(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Scratch(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

/// Something that nobody guesses, for a password or a key of a server that lives here alone.
pub(crate) fn secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Whether what is started ends with the thread that starts it.
static TIED: AtomicBool = AtomicBool::new(false);

/// What is started from now on ends with the thread that starts it, even where that is killed, and
/// doesn't hear the Ctrl-C that is meant for this process. On systems other than Linux only the
/// second holds.
pub fn tie_children() {
    TIED.store(true, Ordering::Relaxed);
}

/// Whether [`tie_children`] was called.
pub(crate) fn children_are_tied() -> bool {
    TIED.load(Ordering::Relaxed)
}

/// Starts `command`, tied where [`tie_children`] says so; what it says goes into the file `log`,
/// behind what is there.
pub(crate) fn spawn(command: &mut Command, log: &Path) -> io::Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    let quiet = |command: &mut Command| {
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .spawn()
    };
    if !children_are_tied() {
        return quiet(command);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(target_os = "linux")]
    if let Ok(setpriv) = find("setpriv") {
        // It becomes the program, so that the process id is the program's.
        let mut tied = Command::new(setpriv);
        tied.args(["--pdeathsig", "TERM", "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => tied.env(name, value),
                None => tied.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            tied.current_dir(folder);
        }
        std::os::unix::process::CommandExt::process_group(&mut tied, 0);
        return quiet(&mut tied);
    }
    quiet(command)
}

/// The marks of the ports that this process was given, held until it ends.
static MARKS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of the loopback device that was free just now, and that no other process which asks here
/// is given while this one lives: tests that run side by side would else talk to each other's
/// servers now and then.
///
/// # Errors
/// Whatever the system says when there is none.
pub fn free_port() -> io::Result<u16> {
    let marks = std::env::temp_dir().join("speakr-ports");
    std::fs::create_dir_all(&marks)?;
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mark = match File::create(marks.join(port.to_string())) {
            Ok(mark) => mark,
            // Another user's: what is left of a process of theirs.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(e) => return Err(e),
        };
        match mark.try_lock() {
            Ok(()) => {
                MARKS
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(mark);
                return Ok(port);
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
}

/// Whether this process may do everything.
#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
pub(crate) fn is_root() -> bool {
    false
}

/// The processor time that the process `pid` has used, and where `family` so asks, its children too,
/// those that have ended included. Where the system tells: Linux counts it in hundredths of a second.
pub(crate) fn cpu_time(pid: u32, family: bool) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything and ends with the last bracket, state is the first
    // field; user and system time are the 12th and 13th, those of ended children the next two.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let mut used = ticks(11)? + ticks(12)?;
    if family {
        used += ticks(13)? + ticks(14)?;
    }
    let mut time = Duration::from_millis(used * 10);
    if family {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            time += cpu_time(child, true).unwrap_or_default();
        }
    }
    Some(time)
}

/// A server that is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, whose output goes into the file `log`, and waits until `ready` says so.
    ///
    /// # Errors
    /// [`StartError::Start`] and [`StartError::NotReady`].
    pub fn start(
        program: &'static str,
        command: &mut Command,
        log: PathBuf,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Start { program, source };
        let child = spawn(command, &log).map_err(failed)?;
        let mut server = Self {
            program,
            child,
            log,
        };
        let began = Instant::now();
        while !ready() {
            if let Some(status) = server.child.try_wait().map_err(failed)? {
                return Err(server.not_ready(format!("ended with {status}")));
            }
            if began.elapsed() > patience {
                return Err(server.not_ready(format!("wasn't ready after {patience:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    fn not_ready(&self, what: String) -> StartError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let start = log.len().saturating_sub(2_000);
        StartError::NotReady {
            program: self.program,
            what,
            log: log.get(start..).unwrap_or(&log).to_owned(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it and its children have used, where the system tells.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        cpu_time(self.pid(), true)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end in order, and waits until it has; one that doesn't within `patience` is
    /// killed.
    #[cfg(unix)]
    pub fn end(&mut self, patience: Duration) {
        end(&mut self.child, patience);
    }
}

/// Asks `child` to end (SIGTERM) and waits until it has; kills it after `patience`. Gives how it
/// ended, where the system tells.
#[cfg(unix)]
pub(crate) fn end(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let asked = rustix::process::kill_process(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::TERM,
    );
    let began = Instant::now();
    while asked.is_ok() && began.elapsed() < patience {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    child.wait().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
