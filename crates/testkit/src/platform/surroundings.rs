//! What the services are started with.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{Options, role::Role};
use crate::{
    process::{StartError, free_port},
    s3::S3,
    service::ServiceProcess,
};

/// What the services are started with.
#[derive(Debug)]
pub(super) struct Surroundings {
    variables: Vec<(String, String)>,
    passwords: Vec<(&'static str, String)>,
    pub(super) api_port: u16,
    /// Whom to trust of the bus, where it is encrypted.
    pub(super) ca: Option<PathBuf>,
    /// Where the services' programs lie, where it isn't beside this one.
    pub(super) programs: Option<PathBuf>,
    folder: TempDir,
}

impl Surroundings {
    pub(super) fn new(
        options: &Options,
        passwords: Vec<(&'static str, String)>,
        mut own: Vec<(&'static str, String)>,
        s3: &S3,
        ca: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().map_err(|source| StartError::Start {
            program: Role::Transcriber.program(),
            source,
        })?;
        let api_port = port()?;
        let path = |path: &Path| path.display().to_string();
        own.extend([
            ("S3_BUCKET", S3::BUCKET.to_owned()),
            ("S3_REGION", S3::REGION.to_owned()),
            ("S3_PATH_STYLE", "1".to_owned()),
            ("S3_ACCESS_KEY_ID", s3.access_key().to_owned()),
            ("S3_SECRET_ACCESS_KEY", s3.secret_key().to_owned()),
            ("SPEAKR_MODELS_DIR", path(&folder.path().join("models"))),
            ("SPEAKR_SCRATCH_DIR", path(folder.path())),
            ("SPEAKR_API_ADDR", format!("127.0.0.1:{api_port}")),
        ]);
        let mut variables: Vec<_> = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        variables.extend(options.settings.iter().cloned());
        Ok(Self {
            variables,
            passwords,
            api_port,
            ca,
            programs: None,
            folder,
        })
    }

    pub(super) fn password(&self, user: &str) -> &str {
        let found = self.passwords.iter().find(|(of, _)| *of == user);
        found.map_or("", |(_, password)| password.as_str())
    }

    /// The program of `role` with its settings; on one processor alone where `cpu` names it.
    pub(super) fn command(&self, role: Role, cpu: Option<usize>) -> Command {
        let program = match &self.programs {
            Some(folder) => folder.join(role.program()),
            None => beside(role.program()),
        };
        let mut command = match cpu {
            None => Command::new(program),
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &cpu.to_string()]).arg(program);
                command
            }
        };
        command
            .env("NATS_USER", role.user())
            .env("NATS_PASSWORD", self.password(role.user()))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, role: Role, arguments: &[&str]) -> Result<String, StartError> {
        output_of(role.program(), self.command(role, None).args(arguments))
    }

    pub(super) fn service(
        &self,
        role: Role,
        settings: &[(&str, &str)],
    ) -> Result<ServiceProcess, StartError> {
        self.service_on(role, port()?, settings, None)
    }

    pub(super) fn service_on(
        &self,
        role: Role,
        health_port: u16,
        settings: &[(&str, &str)],
        cpu: Option<usize>,
    ) -> Result<ServiceProcess, StartError> {
        let name = role.program();
        let log = self.folder.path().join(format!("{name}-{health_port}.log"));
        let mut command = self.command(role, cpu);
        command.envs(settings.iter().copied());
        ServiceProcess::start(name, &mut command, log, health_port)
    }
}

/// What `command`, the program `program`, prints when it succeeds.
pub(super) fn output_of(
    program: &'static str,
    command: &mut Command,
) -> Result<String, StartError> {
    let output = command
        .output()
        .map_err(|source| StartError::Start { program, source })?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(StartError::NotReady {
        program,
        what: format!("ended with {}", output.status),
        log: said + &String::from_utf8_lossy(&output.stderr),
    })
}

pub(super) fn port() -> Result<u16, StartError> {
    free_port().map_err(|source| StartError::Start {
        program: Role::QuerySvc.program(),
        source,
    })
}

/// A program of this workspace. It lies beside other programs, and above tests.
fn beside(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let mut folders = this.ancestors().skip(1).map(|folder| folder.join(name));
    let beside = folders.next().unwrap_or_default();
    if beside.exists() {
        return beside;
    }
    folders.next().unwrap_or(beside)
}
