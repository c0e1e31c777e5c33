//! What ffmpeg complains about on its standard error, as something to act on.

use crate::process::Exit;

/// Why ffmpeg gave no (or no more) sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// The format isn't among those allowed; the demuxer's name where ffmpeg told it.
    FormatRefused(Option<String>),
    /// There are streams, and none of them is sound.
    NoSoundStream,
    /// No space left where it writes.
    Full,
    /// It needed more memory than it may have.
    Memory,
    /// It needed more CPU time than it may have.
    #[cfg_attr(not(unix), allow(dead_code))]
    CpuTime,
    /// It was told to stop and did so: by the system, at the bound of its CPU time, or by somebody.
    Stopped,
    /// It was killed from outside, by this signal.
    #[cfg_attr(not(unix), allow(dead_code))]
    Killed(i32),
    /// Anything else, in ffmpeg's words.
    Said(String),
    /// It said nothing.
    Nothing,
}

/// Signal numbers of `signal(7)`.
#[cfg(unix)]
const SIGXCPU: i32 = 24;

/// How ffmpeg exits after a signal that it handles (SIGXCPU is one). Its errors give this code
/// only for EPERM, which it then names.
const STOPPED: i32 = 255;

impl Complaint {
    pub(crate) fn of(exit: &Exit) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt as _;
            match exit.status.signal() {
                Some(SIGXCPU) => return Self::CpuTime,
                Some(signal) if exit.complaints.trim().is_empty() => return Self::Killed(signal),
                _ => {}
            }
        }
        if exit.status.code() == Some(STOPPED)
            && !exit.complaints.contains("Operation not permitted")
        {
            return Self::Stopped;
        }
        Self::in_text(&exit.complaints)
    }

    fn in_text(text: &str) -> Self {
        if let Some(line) = text
            .lines()
            .find(|line| line.contains("Format not on whitelist"))
        {
            return Self::FormatRefused(component(line).map(str::to_owned));
        }
        // "matches no streams": -map 0:a:0; "does not contain any stream": no stream at all.
        if text.contains("matches no streams") || text.contains("does not contain any stream") {
            return Self::NoSoundStream;
        }
        if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
            return Self::Full;
        }
        if text.contains("Cannot allocate memory") || text.contains("cannot allocate memory") {
            return Self::Memory;
        }
        match last_words(text) {
            Some(words) => Self::Said(words),
            None => Self::Nothing,
        }
    }
}

/// The component in front of a line: "hls" of "[hls @ 0x5562e887f980] Format …".
fn component(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix('[')?.split(" @ ").next()
}

/// The last line that says something, without the component and its address in front.
pub(crate) fn last_words(text: &str) -> Option<String> {
    text.lines()
        .map(plain)
        .rfind(|line| !line.is_empty())
        .map(str::to_owned)
}

fn plain(line: &str) -> &str {
    let mut line = line.trim();
    while line.starts_with('[') {
        match line.split_once("] ") {
            Some((front, rest)) if front.contains(" @ ") => line = rest.trim_start(),
            _ => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_format_is_known_by_its_demuxer() {
        assert_eq!(
            Complaint::in_text(
                "[hls @ 0x5562e887f980] Format not on whitelist 'wav,mp3'\nfile:l.wav: Invalid argument\n"
            ),
            Complaint::FormatRefused(Some("hls".into()))
        );
    }

    #[test]
    fn the_last_words_come_without_addresses() {
        assert_eq!(
            last_words("[mov,mp4 @ 0x1] moov atom not found\n[in#0 @ 0x2] Error opening input\n\n"),
            Some("Error opening input".into())
        );
        assert_eq!(last_words("\n \n"), None);
    }

    #[test]
    fn causes_are_told_apart() {
        assert_eq!(
            Complaint::in_text("Stream map '0:a:0' matches no streams.\nTo ignore this, add…"),
            Complaint::NoSoundStream
        );
        assert_eq!(
            Complaint::in_text("av_interleaved_write_frame(): No space left on device"),
            Complaint::Full
        );
        assert_eq!(
            Complaint::in_text("x: Cannot allocate memory"),
            Complaint::Memory
        );
        assert_eq!(Complaint::in_text(""), Complaint::Nothing);
    }
}
