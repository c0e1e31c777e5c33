//! Real desktops without a screen: an X server, and a Wayland compositor.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::requirement::need;

/// The plain user that a compositor runs as when the tests run as root ("nobody" and its group).
const NOBODY: u32 = 65_534;

/// An X server of a test's own; it ends with the value.
pub struct XServer {
    server: Child,
    /// `DISPLAY` for its clients.
    pub display: String,
}

impl XServer {
    /// Starts Xvfb; `None` where the machine is excused from having it.
    ///
    /// # Panics
    /// When it isn't installed or doesn't start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = need("Xvfb", "xvfb")?;
        // It picks a free display itself and tells it.
        let mut server = Command::new(program)
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "64x64x24",
                "-nolisten",
                "tcp",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        let stdout = server.stdout.take().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut number)
            .expect("a display number");
        let started = Self {
            server,
            display: format!(":{}", number.trim()),
        };
        assert!(started.display.len() > 1, "Xvfb gave no display");
        Some(started)
    }

    /// What is on the clipboard, through `xclip`.
    ///
    /// # Panics
    /// When there is nothing.
    #[must_use]
    pub fn paste(&self) -> String {
        let mut command = Command::new("xclip");
        command
            .args(["-selection", "clipboard", "-out"])
            .env("DISPLAY", &self.display);
        output(command)
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// A Wayland compositor of a test's own; it ends with the value.
pub struct Compositor {
    folder: TempDir,
    server: Child,
    /// `WAYLAND_DISPLAY` for its clients.
    pub display: String,
}

impl Compositor {
    /// Starts sway without a screen; `None` where the machine is excused from having it.
    ///
    /// # Panics
    /// When it isn't installed or doesn't start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = need("sway", "sway")?;
        need("wl-paste", "wl-clipboard")?;
        let folder = tempfile::tempdir().expect("a scratch folder");
        let runtime = folder.path().join("runtime");
        let settings = folder.path().join("settings");
        let log = folder.path().join("log");
        fs::create_dir(&runtime).expect("a runtime folder");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("mode");
        fs::File::create(&settings)
            .and_then(|mut file| file.write_all(b"xwayland disable\n"))
            .expect("settings");
        let complaints = fs::File::create(&log).expect("a log");
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&settings)
            .env("HOME", folder.path())
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("WLR_BACKENDS", "headless")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .env("WLR_RENDERER", "pixman")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            .current_dir("/");
        if fs::metadata(folder.path()).expect("a folder").uid() == 0 {
            // sway refuses to run as root.
            for path in [folder.path(), &runtime, &settings] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("owner");
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        let server = command.spawn().expect("sway starts");
        let mut started = Self {
            folder,
            server,
            display: String::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while started.display.is_empty() {
            assert!(
                Instant::now() < deadline,
                "no compositor:\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
            started.display = socket_in(&runtime).unwrap_or_default();
        }
        Some(started)
    }

    /// `XDG_RUNTIME_DIR` for its clients.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.path().join("runtime")
    }

    /// What is on the clipboard, through `wl-paste`.
    ///
    /// # Panics
    /// When there is nothing.
    #[must_use]
    pub fn paste(&self) -> String {
        let mut command = Command::new("wl-paste");
        command
            .arg("--no-newline")
            .env("WAYLAND_DISPLAY", &self.display)
            .env("XDG_RUNTIME_DIR", self.runtime_dir());
        output(command)
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// The name of the Wayland socket in a folder.
fn socket_in(folder: &Path) -> Option<String> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (name.starts_with("wayland-") && !name.ends_with(".lock")).then_some(name)
    })
}

fn output(mut command: Command) -> String {
    let done = command
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("UTF-8 on the clipboard")
}
