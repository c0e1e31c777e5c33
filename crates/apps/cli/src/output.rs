//! Results go to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::{
    failure::{ExitCode, Failure},
    terminal::screen,
};

/// How this process talks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Output {
    /// `json`: results as JSON. `quiet`: no messages but warnings and errors.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            json,
            quiet,
            colour: !no_colour && !is_dumb() && io::stderr().is_terminal(),
        }
    }

    /// Whether results are JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Refuses `--json` where the result is `what`, which is of a form of its own.
    pub(crate) fn refuse_json(self, what: &str) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let sentence = format!("this prints {what}, which there is no JSON of");
        Err(Failure::new(ExitCode::Usage, sentence).hint("leave --json out"))
    }

    /// Whether a person watches standard error (bars and meters make sense).
    pub(crate) fn is_watched(self) -> bool {
        !self.quiet && io::stderr().is_terminal() && !is_dumb()
    }

    /// Whether standard error may bear colours.
    pub(crate) const fn has_colour(self) -> bool {
        self.colour
    }

    /// Says what happens now.
    pub(crate) fn say(self, message: &str) {
        if !self.quiet {
            Self::line(message);
        }
    }

    /// Asks; the answer is typed on the same line.
    pub(crate) fn ask(self, question: &str) {
        screen::above(&mut || {
            let mut err = io::stderr().lock();
            write!(err, "{question}").and_then(|()| err.flush()).ok();
        });
    }

    /// Warns.
    pub(crate) fn warn(self, message: &str) {
        if self.colour {
            Self::line(&format!("\u{1b}[33mwarning:\u{1b}[0m {message}"));
        } else {
            Self::line(&format!("warning: {message}"));
        }
    }

    /// Warns that `what` failed, and why, and what to do next.
    pub(crate) fn warn_of(self, what: &str, failure: &Failure) {
        let sentence = failure.message();
        if sentence.contains(what) {
            self.warn(sentence);
        } else {
            self.warn(&format!("{what}: {sentence}"));
        }
        if let Some(hint) = failure.hint_text() {
            Self::line(&format!("  {hint}"));
        }
    }

    /// Tells why the command failed, and what to do next.
    pub(crate) fn fail(self, failure: &Failure) {
        if self.colour {
            Self::line(&format!("\u{1b}[31merror:\u{1b}[0m {failure}"));
        } else {
            Self::line(&format!("error: {failure}"));
        }
        if let Some(hint) = failure.hint_text() {
            Self::line(&format!("  {hint}"));
        }
    }

    // A closed standard error must not end the program.
    fn line(message: &str) {
        screen::above(&mut || {
            writeln!(io::stderr().lock(), "{message}").ok();
        });
    }

    /// Prints a result for people.
    pub(crate) fn print(self, text: &str) -> Result<(), Failure> {
        self.print_raw(&format!("{text}\n"))
    }

    /// Prints a result byte for byte.
    pub(crate) fn print_raw(self, text: &str) -> Result<(), Failure> {
        let mut printed = Ok(());
        screen::above(&mut || {
            let mut out = io::stdout().lock();
            printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        });
        written(printed)
    }

    /// Prints a result as one line of JSON.
    pub(crate) fn print_json<T: Serialize>(self, value: &T) -> Result<(), Failure> {
        let text =
            serde_json::to_string(value).map_err(|e| Failure::from_error(ExitCode::Failed, &e))?;
        self.print(&text)
    }
}

/// Whether the terminal can only print.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

// Who closes the pipe (`speakr list | head -1`) has read enough.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| {
            Failure::new(
                ExitCode::Failed,
                format!("can't write to standard output: {e}"),
            )
        }),
    }
}

/// Date and time in the local zone, to the minute.
pub(crate) fn local_time(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system())
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// `m:ss`, or `h:mm:ss` from one hour on.
pub(crate) fn clock(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m}:{s:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_hours_only_where_there_are_any() {
        assert_eq!(clock(0), "0:00");
        assert_eq!(clock(83_999), "1:23");
        assert_eq!(clock(3_600_000), "1:00:00");
    }
}
