//! Single key presses, without waiting for Enter and without echo.

use std::io::{self, IsTerminal};

use futures::StreamExt;
use tokio::{sync::mpsc, task::JoinHandle};

/// A key that means something while recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Ends the recording.
    Enter,
    /// Pauses it, or goes on.
    Space,
    /// Ctrl-C, where the terminal gives it as a key (Windows).
    Interrupt,
}

/// Reads keys until dropped; puts the terminal back then.
pub(crate) struct Keys {
    task: Option<JoinHandle<()>>,
    _mode: Option<KeyMode>,
}

impl Keys {
    /// Starts reading. Without a terminal on standard input, a line there means Enter; its end
    /// means nothing (a global shortcut has no input at all). Keys on a terminal that another
    /// program has are that program's.
    pub(crate) fn read(keys: mpsc::UnboundedSender<Key>) -> Self {
        if in_background() {
            return Self {
                task: None,
                _mode: None,
            };
        }
        if !io::stdin().is_terminal() {
            // A blocking read can't be cancelled: a plain thread, which the process's end ends.
            std::thread::spawn(move || {
                let mut line = String::new();
                while io::stdin().read_line(&mut line).is_ok_and(|n| n > 0) {
                    if keys.send(Key::Enter).is_err() {
                        break;
                    }
                    line.clear();
                }
            });
            return Self {
                task: None,
                _mode: None,
            };
        }
        let mode = match KeyMode::enter() {
            Ok(mode) => mode,
            Err(error) => {
                tracing::warn!(%error, "the terminal gives no single keys");
                return Self {
                    task: None,
                    _mode: None,
                };
            }
        };
        let task = tokio::spawn(async move {
            let mut events = crossterm::event::EventStream::new();
            while let Some(Ok(event)) = events.next().await {
                if let Some(key) = meaning(&event)
                    && keys.send(key).is_err()
                {
                    break;
                }
            }
        });
        Self {
            task: Some(task),
            _mode: Some(mode),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

fn meaning(event: &crossterm::event::Event) -> Option<Key> {
    use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Char(' ') => Some(Key::Space),
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        _ => None,
    }
}

/// Whether we run behind another program on our terminal (`speakr record &`): it would stop us, and
/// with us the recording, for touching its keys.
#[cfg(unix)]
fn in_background() -> bool {
    // An error: it isn't our terminal, and no such rule is for us.
    rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|front| front != rustix::process::getpgrp())
}

#[cfg(not(unix))]
const fn in_background() -> bool {
    false
}

/// The terminal without line editing and echo. Unlike crossterm's raw mode, output stays cooked
/// and Ctrl-C stays a signal, so that messages and signals work as everywhere.
#[cfg(unix)]
struct KeyMode {
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl KeyMode {
    fn enter() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut mode = before.clone();
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &mode)?;
        Ok(Self { before })
    }
}

#[cfg(unix)]
impl Drop for KeyMode {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if in_background() {
            return;
        }
        tcsetattr(io::stdin(), OptionalActions::Now, &self.before).ok();
    }
}

#[cfg(not(unix))]
struct KeyMode;

#[cfg(not(unix))]
impl KeyMode {
    fn enter() -> io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

#[cfg(not(unix))]
impl Drop for KeyMode {
    fn drop(&mut self) {
        crossterm::terminal::disable_raw_mode().ok();
    }
}
