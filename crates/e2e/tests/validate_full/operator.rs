//! The operator of a platform, whose commands a test carries out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use speakr_e2e::{
    platform::{Platform, Role},
    validation::Seen,
};

/// Says "please" to the test with a file, and waits for its answer: what a command of an operator does.
const ASK: &str = "ask() { : >\"$1.want\"; until [ -e \"$1.done\" ]; do sleep 0.1; done; \
                   rm \"$1.done\"; }; cd \"$FOLDER\"; ask";

/// The operator.
pub struct Operator {
    folder: tempfile::TempDir,
}

impl Operator {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes one of its files; gives its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let file = self.file(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// A shell's command that asks for `what`.
    pub fn command(&self, what: &str) -> String {
        format!("FOLDER='{}'; {ASK} {what}", self.folder().display())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// What is asked for now.
    fn asked(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder()).unwrap().flatten();
        let names = files.map(|file| file.file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_suffix(".want").map(str::to_owned))
            .collect()
    }

    fn done(&self, what: &str) {
        fs::remove_file(self.file(&format!("{what}.want"))).unwrap();
        fs::write(self.file(&format!("{what}.done")), "").unwrap();
    }

    /// Runs `command` to its end, and does what it asks for meanwhile.
    pub fn run(&self, command: &mut Command, mut carry_out: impl FnMut(&str)) -> Seen {
        let (printed, said) = (self.file("printed"), self.file("said"));
        let mut child = command
            .stdout(fs::File::create(&printed).unwrap())
            .stderr(fs::File::create(&said).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let status = loop {
            for what in self.asked() {
                carry_out(&what);
                self.done(&what);
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let read = |path| fs::read_to_string(path).unwrap();
        Seen::of(status.code(), &read(&printed), read(&said))
    }
}

/// The service that an operator calls so.
fn role(service: &str) -> Role {
    match service {
        "transcriber" => Role::Transcriber,
        "embedder" => Role::Embedder,
        "query_svc" => Role::QuerySvc,
        other => panic!("no service {other}"),
    }
}

/// Stops and starts services as it is asked to.
pub fn stop_and_start(platform: &mut Platform, what: &str) {
    if let Some(service) = what.strip_prefix("stop-") {
        platform.service_mut(role(service)).kill();
    } else if what.starts_with("start-") {
        platform.revive();
    } else {
        panic!("nobody knows how to \"{what}\"");
    }
}
