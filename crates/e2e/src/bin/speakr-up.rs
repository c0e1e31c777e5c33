//! `make up`: the whole platform on this machine, every part of it real, until Ctrl-C.

#[cfg(unix)]
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
        fs::{self, File, TryLockError},
        io,
        os::unix::fs::DirBuilderExt,
        path::{Path, PathBuf},
        process::ExitCode,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
            mpsc::{self, Receiver, RecvTimeoutError},
        },
        thread,
        time::Duration,
    };

    use clap::Parser;
    use speakr_testkit::{
        certificates::write_closed,
        platform::{Options, Platform, Role},
        process::{StartError, tie_children},
        s3::Kind,
    };
    use tokio::signal::unix::{SignalKind, signal};

    /// Where other shells find how to use it.
    const ENVIRONMENT: &str = ".speakr/up.env";

    /// Names the folder of what is kept.
    const DATA_VARIABLE: &str = "SPEAKR_UP_DATA";

    /// Where it is kept else.
    const DATA: &str = ".speakr/data";

    /// The same for root: PostgreSQL refuses to run as root, and whom it runs as must get there.
    const DATA_OF_ROOT: &str = "/var/lib/speakr-up";

    /// What the token of an earlier start is called.
    const TOKEN_NAME: &str = "make up";

    /// How often the services are looked after.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    /// Starts the whole platform on this machine, every part of it real: NATS, PostgreSQL with pgvector, an S3 server and
    /// the three services. Ctrl-C ends it.
    #[derive(Parser)]
    #[command(
        name = "speakr-up",
        version,
        after_help = "Once it is ready, `. .speakr/up.env` lets another shell use it. What is stored is kept in .speakr/data, \
                      or, for root, in /var/lib/speakr-up; SPEAKR_UP_DATA names another folder."
    )]
    struct Arguments {}

    /// Why it doesn't go on.
    #[derive(Debug, thiserror::Error)]
    enum UpError {
        #[error(transparent)]
        Start(#[from] StartError),
        #[error("{what}: {source}")]
        File { what: String, source: io::Error },
        #[error("another \"make up\" has its data in {}; end it first, or name another folder with {DATA_VARIABLE}", .0.display())]
        Taken(PathBuf),
        #[error("what speakr-query-svc says of its tokens can't be read: {0}")]
        Tokens(#[from] serde_json::Error),
        #[error("signals can't be heard: {0}")]
        Signals(io::Error),
    }

    /// What a shell gives for a program that Ctrl-C ended.
    const INTERRUPTED: i32 = 130;

    pub(super) fn run() -> ExitCode {
        // Ends by itself where it is asked for help, or for what there isn't.
        let Arguments {} = Arguments::parse();
        match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Everything is started by this thread, which lives as long as the process: what it starts ends
    /// with it.
    fn serve() -> Result<(), UpError> {
        let ready = Arc::new(AtomicBool::new(false));
        let asked = listen(Arc::clone(&ready)).map_err(UpError::Signals)?;
        // Nothing goes on where this is killed, to be in the way of the next start.
        tie_children();
        let data = data_folder()?;
        let _taken = take(&data)?;
        eprintln!("Starting the bus, the database, the store and the three services…");
        eprintln!("What is stored is kept in {}.", data.display());
        if Kind::installed()?.first() == Some(&Kind::Moto) {
            eprintln!(
                "warning: but not the sound and the texts: versitygw isn't installed, and moto, \
                 which serves in its place, keeps nothing from one start to the next."
            );
        }
        let options = Options {
            data: Some(data),
            with_tls: true,
            ..Options::default()
        };
        let mut platform = Platform::start(&options)?;
        ready.store(true, Ordering::Release);
        let token = renew_token(&platform)?;
        let environment = platform.environment(&token);
        write(Path::new(ENVIRONMENT), &environment)?;
        for (name, value) in &environment {
            // They are in the file, which is closed to others.
            let secret = ["PASSWORD", "TOKEN", "KEY", "KEY_ID", "DATABASE_URL"];
            if !secret.iter().any(|end| name.ends_with(end)) {
                println!("{name}={value}");
            }
        }
        eprintln!("Ready. `. {ENVIRONMENT}` lets another shell use it. Ctrl-C ends it.");
        while asked.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let mut revived = platform.revive_servers()?;
            revived.extend(platform.revive()?);
            for name in revived {
                eprintln!("{name} had died and was started again.");
            }
        }
        eprintln!("Ending…");
        let removed = fs::remove_file(ENVIRONMENT);
        platform.end();
        removed.map_err(failed(|| format!("{ENVIRONMENT} can't be removed")))
    }

    /// Tells of SIGINT and SIGTERM; before everything is `ready` they end the process, and with it
    /// what has started.
    fn listen(ready: Arc<AtomicBool>) -> io::Result<Receiver<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            )
        };
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    if !ready.load(Ordering::Acquire) {
                        std::process::exit(INTERRUPTED);
                    }
                    if tell.send(()).is_err() {
                        return;
                    }
                }
            });
        });
        Ok(told)
    }

    fn failed(what: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> UpError {
        |source| UpError::File {
            what: what(),
            source,
        }
    }

    /// The folder of what is kept, made where it isn't there.
    fn data_folder() -> Result<PathBuf, UpError> {
        let (folder, mode) = match std::env::var_os(DATA_VARIABLE) {
            Some(named) => (PathBuf::from(named), 0o711),
            None if rustix::process::geteuid().is_root() => (PathBuf::from(DATA_OF_ROOT), 0o711),
            None => (PathBuf::from(DATA), 0o700),
        };
        let cant = || format!("{} can't be made", folder.display());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&folder)
            .map_err(failed(cant))?;
        fs::canonicalize(&folder).map_err(failed(cant))
    }

    /// Has `folder` for this process alone, as long as the file lives.
    fn take(folder: &Path) -> Result<File, UpError> {
        let path = folder.join("lock");
        let file =
            File::create(&path).map_err(failed(|| format!("{} can't be made", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(UpError::Taken(folder.to_owned())),
            Err(TryLockError::Error(source)) => Err(UpError::File {
                what: format!("{} can't be locked", path.display()),
                source,
            }),
        }
    }

    /// A new token that allows everything; those of earlier starts are revoked.
    fn renew_token(platform: &Platform) -> Result<String, UpError> {
        let listed = platform.run(Role::QuerySvc, &["token", "list"])?;
        for line in listed.lines() {
            let grant: serde_json::Value = serde_json::from_str(line)?;
            if grant["name"] == TOKEN_NAME
                && let Some(id) = grant["token_id"].as_str()
            {
                platform.run(Role::QuerySvc, &["token", "revoke", id])?;
            }
        }
        Ok(platform.new_token(TOKEN_NAME, "read,write,transcribe")?)
    }

    /// Writes `environment` as lines that a shell reads, for its owner alone.
    fn write(path: &Path, environment: &[(&'static str, String)]) -> Result<(), UpError> {
        let cant = || format!("{} can't be written", path.display());
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed(cant))?;
        }
        let lines: String = environment
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"))
            .collect();
        write_closed(path, &lines).map_err(failed(cant))
    }
}
