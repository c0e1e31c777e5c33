//! One of the platform's own services, as a child process.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use crate::process::{StartError, cpu_time, spawn};

/// How long a question about health may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How much of a log an error shows, in bytes.
const SHOWN: usize = 4_000;

/// A service that runs; killed when dropped.
#[derive(Debug)]
pub struct ServiceProcess {
    name: &'static str,
    child: Child,
    log: PathBuf,
    health_port: u16,
}

impl ServiceProcess {
    /// Starts `command`, the program `name`, which serves health on `health_port` and whose log goes
    /// to the file `log`.
    ///
    /// # Errors
    /// [`StartError::Start`].
    pub fn start(
        name: &'static str,
        command: &mut Command,
        log: PathBuf,
        health_port: u16,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Start {
            program: name,
            source,
        };
        command.env("SPEAKR_HEALTH_ADDR", format!("127.0.0.1:{health_port}"));
        let child = spawn(command, &log).map_err(failed)?;
        Ok(Self {
            name,
            child,
            log,
            health_port,
        })
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// [`StartError::NotReady`] when it has ended, or isn't ready within `patience`.
    pub fn wait_until_ready(&mut self, patience: Duration) -> Result<(), StartError> {
        let began = Instant::now();
        loop {
            let state = self.get("/health/ready");
            if state.as_ref().is_some_and(|(status, _)| *status == 200) {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            if began.elapsed() > patience {
                let state = state.map_or_else(|| "doesn't answer".to_owned(), |(_, body)| body);
                return Err(self.not_ready(format!("wasn't ready after {patience:?}: {state}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn not_ready(&self, what: String) -> StartError {
        let log = self.log();
        let start = log.len().saturating_sub(SHOWN);
        StartError::NotReady {
            program: self.name,
            what,
            log: log.get(start..).unwrap_or(&log).to_owned(),
        }
    }

    /// The program's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port of health and metrics.
    #[must_use]
    pub const fn health_port(&self) -> u16 {
        self.health_port
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The file of its log.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, waits until it has, and kills it after `patience`; gives how it ended.
    #[cfg(unix)]
    pub fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        crate::process::end(&mut self.child, patience)
    }

    /// Status and body of what it serves at `path` on its port for health.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.ask(path).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, body.to_owned()))
    }

    fn ask(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.health_port))?;
        stream.set_read_timeout(Some(ANSWER))?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// The sum of the metric `name` over the label sets that contain `labels`.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let (_, metrics) = self.get("/metrics")?;
        let values: Vec<f64> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The memory that it has in use, in bytes, where the system tells.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// The processor time that it has used, where the system tells.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        cpu_time(self.pid(), false)
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
