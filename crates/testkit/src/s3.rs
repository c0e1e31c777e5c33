//! A real S3 server with credentials and versions: versitygw over a folder, or, where there is
//! none, PyPI's moto, which keeps everything in memory.

mod moto;
mod versitygw;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    certificates::Certificates,
    process::{Folder, Server, StartError, find, free_port, secret},
};

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which program serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Keeps objects as files; does all that we ask of S3.
    Versitygw,
    /// In memory; starts again by replaying the requests that it had.
    Moto,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Versitygw, Self::Moto];

    const fn program(self) -> &'static str {
        match self {
            Self::Versitygw => versitygw::PROGRAM,
            Self::Moto => moto::PROGRAM,
        }
    }

    /// Those that are installed here, the better first; never none.
    ///
    /// # Errors
    /// [`StartError::NotInstalled`] when there is none.
    pub fn installed() -> Result<Vec<Self>, StartError> {
        let found: Vec<_> = Self::ALL
            .into_iter()
            .filter(|kind| find(kind.program()).is_ok())
            .collect();
        if found.is_empty() {
            find(versitygw::PROGRAM)?;
        }
        Ok(found)
    }

    fn failed(self) -> impl Fn(io::Error) -> StartError {
        move |source| StartError::Start {
            program: self.program(),
            source,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// A running S3 server with one empty bucket that keeps versions. It ends with this.
#[derive(Debug)]
pub struct S3 {
    kind: Kind,
    server: Option<Server>,
    folder: Folder,
    port: u16,
    access_key: String,
    secret_key: String,
    /// Most bytes that it has room for.
    room: Option<u64>,
    /// Whether moto looks at keys.
    guarded: bool,
    /// Whether versitygw refuses writes.
    read_only: bool,
    /// What versitygw shows to clients, where it speaks TLS.
    tls: Option<Certificates>,
}

impl S3 {
    /// The bucket that is there from the start.
    pub const BUCKET: &str = "speakr";

    /// The region that the server wants in signatures.
    pub const REGION: &str = "us-east-1";

    /// Starts the best server that is installed.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        let best = Kind::installed()?.into_iter().next();
        Self::start_kind(best.unwrap_or(Kind::Versitygw))
    }

    /// Starts a server of this kind.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_kind(kind: Kind) -> Result<Self, StartError> {
        let folder = Folder::scratch().map_err(kind.failed())?;
        Self::launch(kind, folder, None, false, None)
    }

    /// Starts the best server that is installed, with its objects in `folder`. Moto keeps nothing
    /// there from one start to the next.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_in(folder: Folder) -> Result<Self, StartError> {
        let best = Kind::installed()?.into_iter().next();
        Self::launch(best.unwrap_or(Kind::Versitygw), folder, None, false, None)
    }

    /// Starts a server of this kind that looks at keys. versitygw always does; with moto, which takes
    /// many a good signature for a bad one then, only refusals can be tested.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_guarded(kind: Kind) -> Result<Self, StartError> {
        let folder = Folder::scratch().map_err(kind.failed())?;
        Self::launch(kind, folder, None, true, None)
    }

    /// Starts a versitygw that has room for `bytes` and no more: its folder is a small file system
    /// of its own. That takes the right to mount one.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_small(bytes: u64) -> Result<Self, StartError> {
        let kind = Kind::Versitygw;
        let folder = Folder::scratch().map_err(kind.failed())?;
        Self::launch(kind, folder, Some(bytes), true, None)
    }

    /// Starts a versitygw that speaks TLS with these `certificates`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_tls(certificates: &Certificates) -> Result<Self, StartError> {
        let kind = Kind::Versitygw;
        let folder = Folder::scratch().map_err(kind.failed())?;
        Self::launch(kind, folder, None, true, Some(certificates.clone()))
    }

    fn launch(
        kind: Kind,
        folder: Folder,
        room: Option<u64>,
        guarded: bool,
        tls: Option<Certificates>,
    ) -> Result<Self, StartError> {
        let port = free_port().map_err(kind.failed())?;
        let mut s3 = Self {
            kind,
            server: None,
            folder,
            port,
            access_key: format!("access{}", secret()),
            secret_key: format!("secret{}", secret()),
            room,
            guarded,
            read_only: false,
            tls,
        };
        if kind == Kind::Moto {
            s3.run()?;
            (s3.access_key, s3.secret_key) = moto::set_up(port)?;
        } else {
            versitygw::set_up(&s3.storage()).map_err(kind.failed())?;
            s3.run()?;
        }
        Ok(s3)
    }

    fn run(&mut self) -> Result<(), StartError> {
        self.server = Some(match self.kind {
            Kind::Versitygw => versitygw::start(self)?,
            Kind::Moto => moto::start(self.port, self.folder.path(), self.guarded)?,
        });
        Ok(())
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
        self.run()?;
        match self.kind {
            Kind::Versitygw => Ok(()),
            Kind::Moto => moto::replay(self.port),
        }
    }

    /// The same, with a versitygw that takes no writes from now on, or takes them again.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_again_read_only(&mut self, read_only: bool) -> Result<(), StartError> {
        self.read_only = read_only;
        self.start_again()
    }

    /// Ends the server in order.
    #[cfg(unix)]
    pub fn end(&mut self) {
        if let Some(server) = &mut self.server {
            server.end(PATIENCE);
        }
        self.server = None;
    }

    /// What serves.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The port of clients.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The access key that may do everything.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Its secret.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The folder with all that versitygw stores: data, versions, metadata. Moto has none.
    #[must_use]
    pub fn files(&self) -> Option<PathBuf> {
        (self.kind == Kind::Versitygw).then(|| self.storage())
    }

    fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    fn log(&self) -> PathBuf {
        log_in(self.folder.path())
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("log")
}
