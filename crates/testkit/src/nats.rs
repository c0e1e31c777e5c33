//! A real nats-server with JetStream.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    certificates::Certificates,
    process::{Folder, Server, StartError, find, free_port},
};

const PROGRAM: &str = "nats-server";
/// The variable that the shipped config takes the server's name from.
const SERVER_NAME: &str = "SPEAKR_NATS_SERVER_NAME";
/// What the streams may be promised. Without it the server promises 75 % of what is free on the
/// disk, which on a full one is less than the streams ask for, though tests fill none of them.
const STORE: &str = "32GB";
/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running nats-server. It ends with this.
#[derive(Debug)]
pub struct Nats {
    server: Option<Server>,
    folder: Folder,
    config: PathBuf,
    environment: Vec<(String, String)>,
    port: u16,
    monitor: u16,
    /// The port of wss://, where it speaks that.
    websocket: Option<u16>,
    scheme: &'static str,
}

impl Nats {
    /// Starts a server that lets everybody do everything, and takes messages up to 8 MB.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start() -> Result<Self, StartError> {
        Self::start_with_max_payload(8 * 1024 * 1024)
    }

    /// The same, with `store` for all streams together: `"1GB"`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_with_store(store: &str) -> Result<Self, StartError> {
        Self::start_open(8 * 1024 * 1024, store)
    }

    /// The same, for messages up to `max_bytes`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_with_max_payload(max_bytes: usize) -> Result<Self, StartError> {
        Self::start_open(max_bytes, STORE)
    }

    fn start_open(max_bytes: usize, store: &str) -> Result<Self, StartError> {
        let config = |folder: &Path, port: u16, monitor: u16| {
            format!(
                "server_name: speakr-test\nhost: 127.0.0.1\nport: {port}\n\
                 http: \"127.0.0.1:{monitor}\"\nmax_payload: {max_bytes}\n\
                 jetstream {{ store_dir: \"{}\", max_file_store: {store}, sync_interval: always }}\n",
                folder.join("store").display()
            )
        };
        Self::launch(scratch()?, config, Vec::new(), "nats", None)
    }

    /// Starts `size` servers that are one cluster, and keep streams together.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_cluster(size: usize) -> Result<Vec<Self>, StartError> {
        Self::start_members(size, |number, cluster| {
            let config = |folder: &Path, port: u16, monitor: u16| {
                format!(
                    "server_name: n{number}\nhost: 127.0.0.1\nport: {port}\n\
                     http: \"127.0.0.1:{monitor}\"\nmax_payload: 8MB\n{cluster}\n\
                     jetstream {{ store_dir: \"{}\", max_file_store: {STORE}, sync_interval: always }}\n",
                    folder.join("store").display()
                )
            };
            Self::launch(scratch()?, config, Vec::new(), "nats", None)
        })
    }

    /// Starts `size` servers from the config file `shipped` that are one cluster, with `environment` as
    /// for one alone. They are called n0, n1 and so on.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_shipped_cluster(
        size: usize,
        shipped: &Path,
        environment: &[(String, String)],
    ) -> Result<Vec<Self>, StartError> {
        let text = std::fs::read_to_string(shipped).map_err(failed)?;
        Self::start_members(size, |number, cluster| {
            let text = format!("{text}\n{cluster}\n");
            let config = |_: &Path, port: u16, monitor: u16| here(&text, port, monitor);
            let mut environment = environment.to_vec();
            environment.push((SERVER_NAME.to_owned(), format!("n{number}")));
            let beside = Beside::of(shipped, None);
            Self::launch(scratch()?, config, environment, "nats", beside)
        })
    }

    /// Has `start` start each of `size` servers, given its number and what its config says of the
    /// cluster.
    fn start_members(
        size: usize,
        start: impl Fn(usize, &str) -> Result<Self, StartError> + Sync,
    ) -> Result<Vec<Self>, StartError> {
        let ports = (0..size)
            .map(|_| free_port())
            .collect::<io::Result<Vec<u16>>>()
            .map_err(failed)?;
        let routes: Vec<String> = ports
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let routes = routes.join(", ");
        // None is healthy before most are there: all start before one is waited for.
        let servers: Vec<_> = std::thread::scope(|scope| {
            let begin = |(number, port): (usize, &u16)| {
                let cluster = format!(
                    "cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
                );
                let start = &start;
                scope.spawn(move || start(number, &cluster))
            };
            let started: Vec<_> = ports.iter().enumerate().map(begin).collect();
            started
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        servers
            .into_iter()
            .map(|joined| match joined {
                Ok(server) => server,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    }

    /// Starts a server from the config file `shipped` as production does; only ports and folder
    /// are its own. `environment` has what the file takes from there.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_shipped(
        shipped: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self, StartError> {
        Self::start_shipped_in(scratch()?, shipped, environment)
    }

    /// The same, with its streams in `folder`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_shipped_in(
        folder: Folder,
        shipped: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self, StartError> {
        let text = std::fs::read_to_string(shipped).map_err(failed)?;
        let config = |_: &Path, port: u16, monitor: u16| here(&text, port, monitor);
        Self::launch(
            folder,
            config,
            environment,
            "nats",
            Beside::of(shipped, None),
        )
    }

    /// The same with the shipped `tls.conf`: encrypted alone, and wss:// beside.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_shipped_tls(
        folder: Folder,
        shipped: &Path,
        mut environment: Vec<(String, String)>,
        certificates: &Certificates,
    ) -> Result<Self, StartError> {
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        environment.extend(
            [
                ("SPEAKR_NATS_CERT", &certificates.certificate),
                ("SPEAKR_NATS_KEY", &certificates.key),
                ("SPEAKR_NATS_CA", &certificates.ca),
            ]
            .map(|(name, path)| (name.to_owned(), quoted(path))),
        );
        let text = std::fs::read_to_string(shipped).map_err(failed)?;
        let text = format!("{text}\ninclude \"tls.conf\"\n");
        let config = |_: &Path, port: u16, monitor: u16| here(&text, port, monitor);
        let websocket = free_port().map_err(failed)?;
        Self::launch(
            folder,
            config,
            environment,
            "tls",
            Beside::of(shipped, Some(websocket)),
        )
    }

    /// Starts a server that wants to see a certificate by `certificates`' CA of every client.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_mutual_tls(certificates: &Certificates) -> Result<Self, StartError> {
        let tls = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
            certificates.certificate.display(),
            certificates.key.display(),
            certificates.ca.display()
        );
        let config = move |folder: &Path, port: u16, monitor: u16| {
            format!(
                "server_name: speakr-test\nhost: 127.0.0.1\nport: {port}\n\
                 http: \"127.0.0.1:{monitor}\"\nmax_payload: 8MB\n{tls}\n\
                 jetstream {{ store_dir: \"{}\", max_file_store: {STORE} }}\n",
                folder.join("store").display()
            )
        };
        Self::launch(scratch()?, config, Vec::new(), "tls", None)
    }

    fn launch(
        folder: Folder,
        config: impl Fn(&Path, u16, u16) -> String,
        mut environment: Vec<(String, String)>,
        scheme: &'static str,
        beside: Option<Beside<'_>>,
    ) -> Result<Self, StartError> {
        let websocket = beside.as_ref().and_then(|beside| beside.websocket);
        if let Some(beside) = beside {
            beside.copy_to(folder.path()).map_err(failed)?;
        }
        let (port, monitor) = (free_port().map_err(failed)?, free_port().map_err(failed)?);
        let path = folder.path().join("nats-server.conf");
        std::fs::write(&path, config(folder.path(), port, monitor)).map_err(failed)?;
        // The server wants a text in quotes where a name alone could be taken for something else.
        let store = format!("\"{}\"", folder.path().join("store").display());
        environment.push(("SPEAKR_NATS_STORE".to_owned(), store));
        if environment.iter().all(|(name, _)| name != SERVER_NAME) {
            environment.push((SERVER_NAME.to_owned(), "speakr-test".to_owned()));
        }
        let mut nats = Self {
            server: None,
            folder,
            config: path,
            environment,
            port,
            monitor,
            websocket,
            scheme,
        };
        nats.run()?;
        Ok(nats)
    }

    fn run(&mut self) -> Result<(), StartError> {
        let program = find(PROGRAM)?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&self.config)
            .envs(self.environment.iter().cloned());
        let monitor = self.monitor;
        self.server = Some(Server::start(
            PROGRAM,
            &mut command,
            self.log(),
            PATIENCE,
            || is_healthy(monitor),
        )?);
        Ok(())
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The same over wss://, where it speaks that.
    #[must_use]
    pub fn websocket_url(&self) -> Option<String> {
        let port = self.websocket?;
        Some(format!("wss://127.0.0.1:{port}"))
    }

    /// What the server says of itself at `path` of its monitor, as in `/varz`.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn monitored(&self, path: &str) -> io::Result<String> {
        ask(self.monitor, path)
    }

    /// Has it read its config and certificates again; connections stay.
    #[cfg(unix)]
    pub fn reload(&self) {
        let pid = self.server.as_ref().and_then(|server| {
            rustix::process::Pid::from_raw(i32::try_from(server.pid()).unwrap_or_default())
        });
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::HUP);
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::has_ended)
    }

    /// The port of clients.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Everything that it has printed.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("nats-server.log")
    }

    /// Ends it at once, as a crash would; what it has stored stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Ends it in order.
    #[cfg(unix)]
    pub fn end(&mut self) {
        if let Some(server) = &mut self.server {
            server.end(PATIENCE);
        }
        self.server = None;
    }

    /// The folder of its streams.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Starts it again on the same port with what it had stored.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_again(&mut self) -> Result<(), StartError> {
        self.server = None;
        self.run()
    }
}

fn scratch() -> Result<Folder, StartError> {
    Folder::scratch().map_err(failed)
}

const fn failed(source: io::Error) -> StartError {
    StartError::Start {
        program: PROGRAM,
        source,
    }
}

/// The shipped config `text` for these ports of the loopback device.
fn here(text: &str, port: u16, monitor: u16) -> String {
    text.lines()
        .map(|line| match line.split(':').next() {
            Some("port") => format!("host: 127.0.0.1\nport: {port}"),
            Some("http") => format!("http: \"127.0.0.1:{monitor}\""),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Files beside a shipped config. The server looks for what it includes beside the one that includes.
struct Beside<'a> {
    folder: &'a Path,
    websocket: Option<u16>,
}

impl<'a> Beside<'a> {
    fn of(shipped: &'a Path, websocket: Option<u16>) -> Option<Self> {
        let folder = shipped.parent()?;
        Some(Self { folder, websocket })
    }

    fn copy_to(&self, folder: &Path) -> io::Result<()> {
        for file in std::fs::read_dir(self.folder)? {
            let file = file?.path();
            let Some(name) = file.file_name() else {
                continue;
            };
            if file.extension().is_none_or(|e| e != "conf") {
                continue;
            }
            let mut text = std::fs::read_to_string(&file)?;
            if let Some(port) = self.websocket {
                let own = format!("host: 127.0.0.1\n  port: {port}");
                text = text.replace("port: 4443", &own);
            }
            std::fs::write(folder.join(name), text)?;
        }
        Ok(())
    }
}

/// Whether the server says that JetStream is ready.
fn is_healthy(monitor: u16) -> bool {
    ask(monitor, "/healthz").is_ok_and(|answer| answer.contains(" 200 "))
}

fn ask(monitor: u16, path: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, monitor));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_ends_and_starts_again_where_it_was() {
        let mut nats = Nats::start().unwrap();
        let port = nats.port();
        assert!(is_healthy(nats.monitor));
        nats.kill();
        assert!(!is_healthy(nats.monitor));
        nats.start_again().unwrap();
        assert!(is_healthy(nats.monitor));
        assert_eq!(nats.port(), port);
    }
}
