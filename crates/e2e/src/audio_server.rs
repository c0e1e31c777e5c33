//! A real sound server without a sound card: a private `PulseAudio` whose microphone hears what
//! the test plays into it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::requirement::need;

/// The microphone's name.
pub const MICROPHONE: &str = "vmic";

/// What people would call it.
pub const DESCRIPTION: &str = "Virtual microphone";

/// A sound server of a test's own; it ends with the value.
pub struct AudioServer {
    folder: TempDir,
    server: Child,
    /// Silence in the room. Without any player a null sink works in blocks of two seconds, and
    /// who listens hears nothing until the next block.
    silence: Option<Child>,
}

/// Which sound hardware the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// A loudspeaker and a microphone that hears it.
    Microphone,
    /// A loudspeaker only.
    Loudspeaker,
}

impl AudioServer {
    /// Starts a server; `None` where the machine is excused from having one.
    ///
    /// # Panics
    /// When `PulseAudio` isn't installed or doesn't start.
    #[must_use]
    pub fn start(hardware: Hardware) -> Option<Self> {
        let program = need("pulseaudio", "pulseaudio")?;
        need("pactl", "pulseaudio-utils")?;
        need("pacat", "pulseaudio-utils")?;
        need("ffmpeg", "ffmpeg")?;
        let folder = tempfile::tempdir().expect("a scratch folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("mode");
        let socket = folder.path().join("native");
        let mut script = format!(
            "load-module module-native-protocol-unix socket={} auth-anonymous=1\n\
             load-module module-null-sink sink_name=room rate=48000 channels=1 format=s16le\n\
             set-default-sink room\n",
            socket.display()
        );
        if hardware == Hardware::Microphone {
            script.push_str(&format!(
                "load-module module-remap-source master=room.monitor source_name={MICROPHONE} \
                 source_properties='device.description=\"{DESCRIPTION}\"'\n\
                 set-default-source {MICROPHONE}\n"
            ));
        }
        let start = folder.path().join("start.pa");
        fs::write(&start, script).expect("a script");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let server = Command::new(program)
            .args([
                "-n",
                "--exit-idle-time=-1",
                "--daemonize=no",
                "--use-pid-file=no",
            ])
            .args([
                "--realtime=no",
                "--high-priority=no",
                "--log-target=stderr",
                "-F",
            ])
            .arg(&start)
            .env("PULSE_RUNTIME_PATH", folder.path())
            .env("PULSE_STATE_PATH", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("HOME", folder.path())
            .env_remove("PULSE_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("pulseaudio starts");
        let mut started = Self {
            folder,
            server,
            silence: None,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !started.answers() {
            assert!(
                Instant::now() < deadline,
                "no sound server:\n{}",
                started.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
        started.silence = Some(started.player(Path::new("/dev/zero")));
        Some(started)
    }

    /// `PULSE_SERVER` for whoever is to hear this server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.path().join("native").display())
    }

    /// Plays raw sound (16 kHz mono s16le) into the room, once, beginning now.
    ///
    /// # Panics
    /// When the player can't be started.
    #[must_use]
    pub fn play(&self, samples: &[i16]) -> Playing {
        let file = self.folder.path().join(format!("{}.pcm", samples.len()));
        fs::write(
            &file,
            samples
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect::<Vec<u8>>(),
        )
        .expect("a file to play");
        Playing(self.player(&file))
    }

    /// Runs `pactl`; what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn control(&self, arguments: &[&str]) -> String {
        let done = self
            .client("pactl")
            .args(arguments)
            .output()
            .expect("pactl runs");
        assert!(done.status.success(), "pactl {arguments:?}: {done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Ends the server, as a crash would.
    pub fn kill(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PULSE_SERVER", self.address())
            .env("PULSE_COOKIE", self.folder.path().join("cookie"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn player(&self, file: &Path) -> Child {
        self.client("pacat")
            .args([
                "--playback",
                "--raw",
                "--rate=16000",
                "--channels=1",
                "--format=s16le",
            ])
            .args(["--latency-msec=20", "--device=room"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pacat starts")
    }

    fn answers(&self) -> bool {
        let asked = self
            .client("pactl")
            .args(["info"])
            .output()
            .expect("pactl runs");
        asked.status.success()
    }

    fn log(&self) -> String {
        let path: PathBuf = self.folder.path().join("log");
        fs::read_to_string(path).unwrap_or_default()
    }
}

impl Drop for AudioServer {
    fn drop(&mut self) {
        if let Some(silence) = &mut self.silence {
            silence.kill().ok();
            silence.wait().ok();
        }
        self.kill();
    }
}

/// Sound that is being played.
pub struct Playing(Child);

impl Playing {
    /// Waits until it was heard to its end.
    ///
    /// # Panics
    /// When the player fails.
    pub fn wait(mut self) {
        assert!(
            self.0.wait().expect("a child").success(),
            "the player failed"
        );
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
