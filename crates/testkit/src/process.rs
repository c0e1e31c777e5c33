//! Child processes that never outlive who started them.

use std::{
    fs::{File, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

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
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(failed)?;
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .spawn()
            .map_err(failed)?;
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

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
