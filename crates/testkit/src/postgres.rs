//! A real PostgreSQL with pgvector: PyPI's, else the system's.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::process::{
    Folder, Server, StartError, children_are_tied, find, free_port, is_root, secret, tools,
};

const PROGRAM: &str = "postgres";
const INITDB: &str = "initdb";
const PSQL: &str = "psql";
/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where systems put PostgreSQL's programs: Debian a folder a version, Homebrew one a formula.
const SYSTEM: [&str; 3] = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];

/// What a server says that finds another's processes on its data.
const STILL_GOING: &str = "is still in use";

/// Who may do everything in the database.
const USER: &str = "speakr";

/// Whom the server runs as when root starts it: it refuses to run as root.
const NOBODY: u32 = 65_534;

/// A running PostgreSQL server. It ends with this.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Server>,
    folder: Folder,
    /// The folder of its programs.
    programs: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes a database cluster with a password of its own and starts a server on it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        Self::start_in(Folder::scratch().map_err(|e| failed(INITDB, e))?)
    }

    /// The same in `folder`, or with the cluster that is there already. Whom the server runs as must
    /// get there: it refuses to be root.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_in(folder: Folder) -> Result<Self, StartError> {
        let programs = reachable(programs()?, folder.path())?;
        let mut postgres = Self {
            server: None,
            programs,
            port: free_port().map_err(|e| failed(PROGRAM, e))?,
            password: secret(),
            folder,
        };
        let file = postgres.folder.path().join("password");
        if postgres.data().join("PG_VERSION").is_file() {
            postgres.password = fs::read_to_string(file).map_err(|e| failed(PROGRAM, e))?;
        } else {
            postgres.initialise(&file)?;
        }
        postgres.start_again()?;
        Ok(postgres)
    }

    /// Makes a cluster; its password goes into `file`.
    fn initialise(&self, file: &Path) -> Result<(), StartError> {
        fs::write(file, &self.password).map_err(|e| failed(INITDB, e))?;
        #[cfg(unix)]
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(|e| failed(INITDB, e))?;
        for path in [self.folder.path(), file] {
            give_away(path).map_err(|e| failed(INITDB, e))?;
        }
        let output = self
            .as_nobody(INITDB)?
            .args(["--username", USER, "--auth", "scram-sha-256", "--pwfile"])
            .arg(file)
            // The same order and the same letters on every system.
            .args(["--encoding", "UTF8", "--locale-provider", "builtin"])
            .args(["--locale", "C.UTF-8", "--no-sync", "--pgdata"])
            .arg(self.data())
            .stdin(Stdio::null())
            .output()
            .map_err(|e| failed(INITDB, e))?;
        complain(INITDB, &output)
    }

    /// Ends the server in order, with what is on its way to disk.
    #[cfg(unix)]
    pub fn end(&mut self) {
        if let Some(server) = &mut self.server {
            // SIGTERM waits for clients; there are none when this is called.
            server.end(PATIENCE);
        }
        self.server = None;
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::has_ended)
    }

    /// Ends the server at once, as a crash would. What it stored is kept.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the server again, on the same port and with what it stored.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_again(&mut self) -> Result<(), StartError> {
        self.kill();
        let port = self.port.to_string();
        let mut command = self.as_nobody(PROGRAM)?;
        command
            .args(["-h", "127.0.0.1", "-p", &port, "-k"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(self.data())
            .current_dir(self.folder.path());
        let isready = self.programs.join("pg_isready");
        let ready = || {
            Command::new(&isready)
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()
                .is_ok_and(|status| status.success())
        };
        let log = self.folder.path().join("log");
        let began = Instant::now();
        loop {
            match Server::start(PROGRAM, &mut command, log.clone(), PATIENCE, ready) {
                // What the one that was killed has left behind is still going.
                Err(StartError::NotReady { log, .. })
                    if log.contains(STILL_GOING) && began.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                started => {
                    self.server = Some(started?);
                    return Ok(());
                }
            }
        }
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

    /// Whether there is a database called `name`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn has_database(&self, name: &str) -> Result<bool, StartError> {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
        Ok(self.query("postgres", &sql)? == "1")
    }

    /// A client program of this server (`pg_dump`, `pg_restore`), set up to reach it.
    #[must_use]
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("PGPASSWORD", &self.password)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER])
            .stdin(Stdio::null());
        command
    }

    /// The URL of database `name`, with user and password.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        self.url_of(USER, &self.password, name)
    }

    /// The URL of database `name` for the user `user` with `password`.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str, name: &str) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{}/{name}",
            self.port
        )
    }

    /// What `sql` gives in database `name`, as `psql` prints it without frame.
    ///
    /// # Errors
    /// [`StartError::NotReady`] with what the server said.
    pub fn query(&self, name: &str, sql: &str) -> Result<String, StartError> {
        let output = self
            .client(PSQL)
            .args(["-d", name, "-v", "ON_ERROR_STOP=1", "-XAtc", sql])
            .output()
            .map_err(|e| failed(PSQL, e))?;
        complain(PSQL, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a script of `psql` in database `name`, with `environment` for its `\getenv`.
    ///
    /// # Errors
    /// [`StartError::NotReady`] with what the server said.
    pub fn run_script(
        &self,
        name: &str,
        script: &str,
        environment: &[(&str, &str)],
    ) -> Result<(), StartError> {
        let mut psql = self
            .client(PSQL)
            .args(["-d", name, "-X", "--quiet", "--file", "-"])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(PSQL, e))?;
        // Who hangs up has said why.
        if let Some(mut stdin) = psql.stdin.take() {
            let _ = stdin.write_all(script.as_bytes());
        }
        let output = psql.wait_with_output().map_err(|e| failed(PSQL, e))?;
        complain(PSQL, &output)
    }

    fn as_nobody(&self, program: &str) -> Result<Command, StartError> {
        as_nobody(&self.programs.join(program))
    }

    /// The processor time that the server and all of its processes have used, where the system tells.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        self.server.as_ref()?.cpu_time()
    }

    /// The port of clients.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder with all that the server stores.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// The folder with the programs of a PostgreSQL that has pgvector: ours first.
fn programs() -> Result<PathBuf, StartError> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM.iter().flat_map(|folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("bin"))
    });
    tools()
        .into_iter()
        .chain(std::env::split_paths(&on_path))
        .chain(system)
        .find(|folder| has_vector(folder))
        .ok_or(StartError::NotInstalled { program: PROGRAM })
}

/// Whether a server's programs are in this folder, and it has pgvector.
fn has_vector(programs: &Path) -> bool {
    let Ok(server) = fs::canonicalize(programs.join(PROGRAM)) else {
        return false;
    };
    if !programs.join(INITDB).is_file() || !programs.join(PSQL).is_file() {
        return false;
    }
    let control = Path::new("extension/vector.control");
    let installed = server.ancestors().nth(2).map(Path::to_path_buf);
    let version = installed.as_ref().and_then(|folder| folder.file_name());
    let shared = [
        installed
            .as_ref()
            .map(|folder| folder.join("share/postgresql")),
        installed.as_ref().map(|folder| folder.join("share")),
        version.map(|version| Path::new("/usr/share/postgresql").join(version)),
    ];
    shared
        .into_iter()
        .flatten()
        .any(|shared| shared.join(control).is_file())
}

/// `programs`, or a copy in `folder` where root starts the server and whom it runs as can't get at
/// them (they may lie in a home of root's).
fn reachable(programs: PathBuf, folder: &Path) -> Result<PathBuf, StartError> {
    let failed = |e| failed(PROGRAM, e);
    give_away(folder).map_err(failed)?;
    let works = |programs: &Path| {
        let mut version = as_nobody(&programs.join(PROGRAM))?;
        let output = version.arg("--version").output().map_err(failed)?;
        complain(PROGRAM, &output)
    };
    if works(&programs).is_ok() {
        return Ok(programs);
    }
    let copy = folder.join("programs");
    if works(&copy.join("bin")).is_ok() {
        return Ok(copy.join("bin"));
    }
    let real = fs::canonicalize(programs.join(PROGRAM)).map_err(failed)?;
    let installed = real.ancestors().nth(2).unwrap_or(&real);
    let output = Command::new("cp")
        .arg("-RL")
        .args([installed, &copy])
        .output()
        .map_err(failed)?;
    complain("cp", &output)?;
    let programs = copy.join("bin");
    works(&programs)?;
    Ok(programs)
}

/// The command that runs the program at `path`: as itself, or as nobody where this is root.
fn as_nobody(path: &Path) -> Result<Command, StartError> {
    if !is_root() {
        return Ok(Command::new(path));
    }
    let id = NOBODY.to_string();
    let mut command = Command::new(find("setpriv")?);
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    if children_are_tied() {
        // The tie doesn't outlast a change of the user, so it is made behind that.
        command.args(["--pdeathsig", "TERM"]);
    }
    command.arg("--").arg(path);
    Ok(command)
}

/// Lets nobody own `path`, where this is root.
fn give_away(path: &Path) -> io::Result<()> {
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

fn failed(program: &'static str, source: io::Error) -> StartError {
    StartError::Start { program, source }
}
