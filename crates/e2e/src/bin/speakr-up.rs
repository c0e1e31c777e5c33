//! `make up`: the whole platform on this machine, every part of it real, until Ctrl-C.

#[cfg(unix)]
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is what it is for"
)]
fn main() -> std::process::ExitCode {
    unix::run()
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}

#[cfg(unix)]
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is what it is for"
)]
mod unix {
    use std::{
        fs, io,
        os::unix::fs::{DirBuilderExt, OpenOptionsExt},
        path::Path,
        process::ExitCode,
        time::Duration,
    };

    use speakr_e2e::platform::Platform;
    use tokio::signal::unix::{SignalKind, signal};

    /// Where other shells find how to use it.
    const ENVIRONMENT: &str = ".speakr/up.env";

    /// How often the services are looked after.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    pub(super) fn run() -> ExitCode {
        let ended = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(serve()));
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    async fn serve() -> io::Result<()> {
        eprintln!("Starting the bus, the database, the store and the three services…");
        let mut platform = Platform::start();
        let environment = platform.environment();
        write(Path::new(ENVIRONMENT), &environment)?;
        for (name, value) in &environment {
            // They are in the file, which is closed to others.
            if !name.ends_with("PASSWORD") && !name.ends_with("TOKEN") && *name != "DATABASE_URL" {
                println!("{name}={value}");
            }
        }
        eprintln!(
            "Ready. `set -a; . {ENVIRONMENT}; set +a` lets another shell use it. What is stored here \
             goes when it ends. Ctrl-C ends it."
        );
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = look.tick() => {
                    for name in platform.revive() {
                        eprintln!("{name} had died and was started again.");
                    }
                }
            }
        }
        eprintln!("Ending…");
        fs::remove_file(ENVIRONMENT)
    }

    /// Writes `environment` as lines that a shell reads, for its owner alone.
    fn write(path: &Path, environment: &[(&'static str, String)]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let lines: String = environment
            .iter()
            .map(|(name, value)| format!("{name}='{value}'\n"))
            .collect();
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        io::Write::write_all(&mut file, lines.as_bytes())
    }
}
