//! A real PostgreSQL with pgvector.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::process::{Server, StartError, find, free_port, is_root};

const PROGRAM: &str = "postgres";
const INITDB: &str = "initdb";
const PSQL: &str = "psql";
/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who may do everything in the database.
const USER: &str = "speakr";

/// Whom the server runs as when root starts it: it refuses to run as root.
const NOBODY: u32 = 65_534;

/// A running PostgreSQL server. It ends with this.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Server>,
    folder: TempDir,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes a database cluster with a password of its own and starts a server on it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|e| failed(INITDB, e))?;
        let random = folder.path().file_name().unwrap_or_default();
        let password = random
            .to_string_lossy()
            .replace(|c: char| !c.is_alphanumeric(), "");
        let mut postgres = Self {
            server: None,
            port: free_port().map_err(|e| failed(PROGRAM, e))?,
            password,
            folder,
        };
        postgres.initialise()?;
        postgres.restart()?;
        Ok(postgres)
    }

    fn initialise(&self) -> Result<(), StartError> {
        let file = self.folder.path().join("password");
        std::fs::write(&file, &self.password).map_err(|e| failed(INITDB, e))?;
        for path in [self.folder.path(), &file] {
            give_away(path).map_err(|e| failed(INITDB, e))?;
        }
        let output = as_nobody(INITDB)?
            .args(["--username", USER, "--auth", "scram-sha-256", "--pwfile"])
            .arg(&file)
            // The same order and the same letters on every system.
            .args(["--encoding", "UTF8", "--locale-provider", "builtin"])
            .args(["--locale", "C.UTF-8", "--no-sync", "--pgdata"])
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .map_err(|e| failed(INITDB, e))?;
        complain(INITDB, &output)
    }

    /// Ends the server at once, as a crash would. What it stored is kept.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the server again, on the same port and with what it stored.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        let port = self.port.to_string();
        let mut command = as_nobody(PROGRAM)?;
        command
            .args(["-h", "127.0.0.1", "-p", &port, "-k"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(self.data())
            .current_dir(self.folder.path());
        let isready = find("pg_isready")?;
        let ready = || {
            Command::new(&isready)
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()
                .is_ok_and(|status| status.success())
        };
        let log = self.folder.path().join("log");
        self.server = Some(Server::start(PROGRAM, &mut command, log, PATIENCE, ready)?);
        Ok(())
    }

    /// Makes an empty database with pgvector in it; gives its URL.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn create_database(&self, name: &str) -> Result<String, StartError> {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        self.query(name, "CREATE EXTENSION vector")?;
        Ok(self.url(name))
    }

    /// The URL of database `name`, with user and password.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{name}",
            self.password, self.port
        )
    }

    /// What `sql` gives in database `name`, as `psql` prints it without frame.
    ///
    /// # Errors
    /// [`StartError::NotReady`] with what the server said.
    pub fn query(&self, name: &str, sql: &str) -> Result<String, StartError> {
        let output = Command::new(find(PSQL)?)
            .env("PGPASSWORD", &self.password)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER])
            .args(["-d", name, "-v", "ON_ERROR_STOP=1", "-XAtc", sql])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| failed(PSQL, e))?;
        complain(PSQL, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The folder with all that the server stores.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// The command that runs `program`: as itself, or as nobody where this is root.
fn as_nobody(program: &'static str) -> Result<Command, StartError> {
    let path = find(program)?;
    if !is_root() {
        return Ok(Command::new(path));
    }
    let id = NOBODY.to_string();
    let mut command = Command::new(find("setpriv")?);
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
        .arg(path);
    Ok(command)
}

/// Lets nobody own `path`, where this is root.
fn give_away(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    if is_root() {
        return std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY));
    }
    let _ = path;
    Ok(())
}

fn complain(program: &'static str, output: &std::process::Output) -> Result<(), StartError> {
    if output.status.success() {
        return Ok(());
    }
    Err(StartError::NotReady {
        program,
        what: format!("ended with {}", output.status),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn failed(program: &'static str, source: std::io::Error) -> StartError {
    StartError::Start { program, source }
}
