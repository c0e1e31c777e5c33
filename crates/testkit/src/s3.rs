//! A real S3 server: versitygw over a folder, with credentials and versions.

use std::{net::TcpStream, path::Path, process::Command, time::Duration};

use tempfile::TempDir;

use crate::process::{Server, StartError, find, free_port};

const PROGRAM: &str = "versitygw";
/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running S3 server with one empty bucket. It ends with this.
#[derive(Debug)]
pub struct S3 {
    server: Option<Server>,
    folder: TempDir,
    port: u16,
    access_key: String,
    secret_key: String,
}

impl S3 {
    /// The bucket that is there from the start.
    pub const BUCKET: &str = "speakr";

    /// The region that the server wants in signatures.
    pub const REGION: &str = "us-east-1";

    /// Starts a server.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(failed)?;
        for name in ["data", "versions", "metadata", "users"] {
            std::fs::create_dir(folder.path().join(name)).map_err(failed)?;
        }
        let port = free_port().map_err(failed)?;
        // The scratch folder's random name will do: keys are made anew for each server.
        let random = folder.path().file_name().unwrap_or_default();
        let random = random
            .to_string_lossy()
            .replace(|c: char| !c.is_alphanumeric(), "");
        let mut s3 = Self {
            server: None,
            folder,
            port,
            access_key: format!("access{random}"),
            secret_key: format!("secret{random}{port}"),
        };
        s3.create_bucket(Self::BUCKET)?;
        s3.restart()?;
        Ok(s3)
    }

    /// Makes another bucket.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn create_bucket(&self, name: &str) -> Result<(), StartError> {
        std::fs::create_dir(self.folder.path().join("data").join(name)).map_err(failed)
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
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(find(PROGRAM)?);
        command
            .env("ROOT_ACCESS_KEY", &self.access_key)
            .env("ROOT_SECRET_KEY", &self.secret_key)
            .args(["--port", &address, "--region", Self::REGION, "--quiet"])
            .arg("--iam-dir")
            .arg(self.folder.path().join("users"))
            .args(["posix", "--versioning-dir"])
            .arg(self.folder.path().join("versions"))
            // Not every file system keeps attributes.
            .arg("--sidecar")
            .arg(self.folder.path().join("metadata"))
            .arg(self.data());
        let log = self.folder.path().join("log");
        let ready = || TcpStream::connect(&address).is_ok();
        self.server = Some(Server::start(PROGRAM, &mut command, log, PATIENCE, ready)?);
        Ok(())
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
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

    /// The folder with all that the server stores: data, versions, metadata.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }
}

fn failed(source: std::io::Error) -> StartError {
    StartError::Start {
        program: PROGRAM,
        source,
    }
}
