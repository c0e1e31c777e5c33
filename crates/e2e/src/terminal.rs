//! The program on a terminal: keys in, and what a person would see on the screen out.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    num::NonZeroU16,
    os::unix::fs::OpenOptionsExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::OFlags,
    ioctl::{Getter, Opcode, Setter, ioctl, opcode},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::program::PATIENCE;

/// Size of the screen.
const ROWS: NonZeroU16 = NonZeroU16::new(40).expect("more than none");
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("more than none");
/// How long the screen may take to show what was sent to it.
const SETTLES_WITHIN: Duration = Duration::from_millis(300);

/// A program on a terminal of its own. It is killed when dropped.
pub struct Terminal {
    child: Child,
    keys: File,
    /// Kept open, so that the terminal outlives the program and can be looked at.
    line: File,
    before: Termios,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    screen: vt100::Parser,
    sent: Vec<u8>,
}

/// What is left when the program has ended.
pub struct Left {
    /// Its exit code; absent where a signal ended it.
    pub code: Option<i32>,
    /// All that it sent to the terminal.
    pub sent: String,
    /// What stands on the screen.
    pub screen: String,
    /// Whether keys are echoed and lines edited as they were before.
    pub as_before: bool,
}

impl Terminal {
    /// Starts `command` on a terminal: standard input, output and error are it.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program can't be started.
    #[must_use]
    pub fn start(command: Command) -> Self {
        Self::start_as(command, "xterm-256color")
    }

    /// The same on one that can only print.
    ///
    /// # Panics
    /// As [`Terminal::start`].
    #[must_use]
    pub fn start_dumb(command: Command) -> Self {
        Self::start_as(command, "dumb")
    }

    fn start_as(mut command: Command, kind: &str) -> Self {
        let (keys, line) = open();
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keys, size).expect("a terminal has a size");
        let before = tcgetattr(&line).expect("a terminal has modes");
        let stdio = || Stdio::from(line.try_clone().expect("a second handle"));
        let child = command
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .env("TERM", kind)
            .spawn()
            .expect("the program starts");
        let shown = Arc::new(Mutex::new(Shown {
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            sent: Vec::new(),
        }));
        let (mut reader, writes) = (keys.try_clone().expect("a second handle"), shown.clone());
        // Ends with the terminal: when both of its ends are closed.
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                let mut shown = writes.lock().unwrap_or_else(PoisonError::into_inner);
                shown.screen.process(&bytes[..n]);
                shown.sent.extend_from_slice(&bytes[..n]);
            }
        });
        Self {
            child,
            keys,
            line,
            before,
            shown,
        }
    }

    /// Types `keys`.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// What stands on the screen now.
    #[must_use]
    pub fn screen(&self) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.screen.screen().contents()
    }

    /// Waits until `text` stands on the screen; gives all that does then.
    ///
    /// # Panics
    /// When time runs out before.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(
                Instant::now() < deadline && ended.is_none(),
                "\"{text}\" never stood on the screen, but:\n{screen}\n({ended:?})"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The modes of the terminal now.
    fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.line).expect("a terminal has modes");
        now.local_modes == self.before.local_modes
            && now.input_modes == self.before.input_modes
            && now.output_modes == self.before.output_modes
            && now.control_modes == self.before.control_modes
    }

    /// Whether keys come singly and without an echo.
    #[must_use]
    pub fn takes_single_keys(&self) -> bool {
        !self.is_as_before()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it doesn't come in time.
    #[must_use]
    pub fn wait(mut self) -> Left {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "it doesn't end; on the screen:\n{}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(10));
        };
        thread::sleep(SETTLES_WITHIN);
        let as_before = self.is_as_before();
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Left {
            code: status.code(),
            sent: String::from_utf8_lossy(&shown.sent).into_owned(),
            screen: shown.screen.screen().contents(),
            as_before,
        }
    }
}

/// A new terminal: the end of whoever types and looks, and the end of the program.
fn open() -> (File, File) {
    /// Gives the terminal's number (ioctl_tty(2)).
    const NUMBER: Opcode = opcode::read::<u32>(b'T', 0x30);
    /// Locks it, or with 0 lets it be opened.
    const LOCK: Opcode = opcode::write::<i32>(b'T', 0x31);
    let options = || {
        let mut options = OpenOptions::new();
        // It isn't to become the terminal that signals of the test come from.
        let flags = i32::try_from(OFlags::NOCTTY.bits()).expect("flags of open");
        options.read(true).write(true).custom_flags(flags);
        options
    };
    let keys = options().open("/dev/ptmx").expect("a terminal");
    #[allow(
        unsafe_code,
        reason = "these two requests have no safe form in what we use"
    )]
    // SAFETY: both are requests to /dev/ptmx, which takes an `int` with the one and gives an
    // `unsigned int` with the other, through a pointer to it.
    let number = unsafe {
        ioctl(&keys, Setter::<LOCK, i32>::new(0)).expect("an unlocked terminal");
        ioctl(&keys, Getter::<NUMBER, u32>::new()).expect("a terminal's number")
    };
    let line = options().open(format!("/dev/pts/{number}"));
    (keys, line.expect("the terminal opens"))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
