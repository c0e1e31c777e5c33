//! `make up`: the platform for other shells, which keeps what it was given from one start to the next.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use speakr_e2e::{Speakr, clip, platform::client_of, program::PATIENCE};

/// The program in a folder of its own.
struct Up {
    child: Child,
    folder: PathBuf,
}

impl Up {
    fn command(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_speakr-up"));
        command
            .current_dir(folder)
            .env("SPEAKR_UP_DATA", folder.join("data"))
            .stdout(Stdio::null());
        command
    }

    fn start(folder: &Path) -> Self {
        let said = fs::File::create(folder.join("said")).unwrap();
        let child = Self::command(folder).stderr(said).spawn().unwrap();
        let mut up = Self {
            child,
            folder: folder.to_owned(),
        };
        let began = Instant::now();
        while !up.said().contains("Ready.") {
            assert!(up.child.try_wait().unwrap().is_none(), "{}", up.said());
            assert!(began.elapsed() < PATIENCE, "{}", up.said());
            thread::sleep(Duration::from_millis(100));
        }
        up
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("said")).unwrap()
    }

    /// What it wrote for other shells.
    fn environment(&self) -> Vec<(String, String)> {
        let file = self.folder.join(".speakr/up.env");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::read_to_string(file)
            .unwrap()
            .lines()
            .map(|line| {
                let line = line.strip_prefix("export ").unwrap();
                let (name, value) = line.split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('\'').to_owned())
            })
            .collect()
    }

    fn client(&self) -> Speakr {
        client_of(self.environment())
    }

    /// The processes that it has started.
    fn children(&self) -> Vec<i32> {
        let of = self.child.id();
        let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
        listed.split(' ').filter_map(|id| id.parse().ok()).collect()
    }

    fn child_called(&self, part: &str) -> Option<i32> {
        self.children().into_iter().find(|id| {
            let name = fs::read_to_string(format!("/proc/{id}/comm"));
            name.is_ok_and(|name| name.trim() == part)
        })
    }

    fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn is_alive(process: i32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn who_asks_for_help_or_for_what_there_is_not_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (argument, code, said) in [
        ("--help", 0, "SPEAKR_UP_DATA names another folder"),
        ("--version", 0, "speakr-up "),
        ("--data", 2, "unexpected argument '--data'"),
    ] {
        let output = Up::command(folder.path())
            .arg(argument)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{argument}");
        let all = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&all).contains(said), "{argument}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "looks at processes as Linux shows them"
)]
fn the_platform_comes_up_is_used_looked_after_and_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL runs as somebody else where root starts it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let mut up = Up::start(folder.path());
    let told: Vec<String> = up.environment().into_iter().map(|(name, _)| name).collect();
    for name in [
        "NATS_URL",
        "NATS_CA",
        "NATS_WEBSOCKET_URL",
        "NATS_USER",
        "NATS_PASSWORD",
        "SPEAKR_API_URL",
        "SPEAKR_API_TOKEN",
        "S3_ENDPOINT",
        "S3_BUCKET",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
        "DATABASE_URL",
        "SPEAKR_NATS_OPERATOR_PASSWORD",
        "SPEAKR_TRANSCRIBER_HEALTH",
        "SPEAKR_EMBEDDER_HEALTH",
        "SPEAKR_QUERY_SVC_HEALTH",
    ] {
        assert!(told.iter().any(|known| known == name), "{name}: {told:?}");
    }
    let path = clip("jfk.wav");
    let speakr = up.client();
    let _ = speakr.run(["transcribe", path.to_str().unwrap()]).success();
    let found = |speakr: &Speakr| {
        let began = Instant::now();
        loop {
            let answer = speakr
                .run([
                    "search",
                    "serving your nation",
                    "--mode",
                    "semantic",
                    "--json",
                ])
                .answered()
                .json();
            if answer["count"] == 1 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{answer}");
            thread::sleep(Duration::from_millis(200));
        }
    };
    found(&speakr);

    // Its data is taken.
    let second = Up::command(folder.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another \"make up\""), "{said}");

    // What dies is started again: services, and what they stand on.
    for (part, named) in [
        ("speakr-embedder", "speakr-embedder had died"),
        ("nats-server", "nats-server had died"),
        ("versitygw", "the S3 server had died"),
    ] {
        // PyPI's moto may stand in for the S3 server.
        let Some(process) = up.child_called(part) else {
            assert_eq!(part, "versitygw");
            continue;
        };
        kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
        let began = Instant::now();
        while !up.said().contains(named) {
            assert!(began.elapsed() < PATIENCE, "{}", up.said());
            thread::sleep(Duration::from_millis(100));
        }
    }
    found(&up.client());

    // Ctrl-C ends it in order, and all that it had started.
    let children = up.children();
    assert_eq!(children.len(), 6, "{children:?}");
    up.signal(Signal::INT);
    assert!(up.child.wait().unwrap().success(), "{}", up.said());
    assert!(!children.iter().any(|id| is_alive(*id)));
    assert!(!folder.path().join(".speakr/up.env").exists());

    // What it had is there at the next start. Killed, it leaves nothing running.
    let mut up = Up::start(folder.path());
    found(&up.client());
    let children = up.children();
    up.signal(Signal::KILL);
    up.child.wait().unwrap();
    let began = Instant::now();
    while children.iter().any(|id| is_alive(*id)) {
        assert!(began.elapsed() < PATIENCE, "something goes on");
        thread::sleep(Duration::from_millis(100));
    }
}
