//! What a person sees while speaking: the last lines of the text (dim until final) and a status
//! line with time, level and keys, redrawn in place on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use speakr_core::{
    audio::SILENCE_DBFS,
    ports::sound::Device,
    usecases::capture::CaptureObserver,
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};

use super::screen::{self, Drawn};
use crate::output::{Output, clock};

/// Redraws at most this often.
const FRAME: Duration = Duration::from_millis(66);
/// Lines of text above the status line.
const TEXT_LINES: usize = 4;
/// Cells of the level meter.
const METER_CELLS: usize = 12;
/// The quietest level that the meter shows.
const METER_FLOOR_DBFS: f32 = -60.0;

/// What the status line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing has come from the microphone yet.
    Connecting,
    /// Sound is captured.
    Recording,
    /// Capture is paused.
    Paused,
    /// The text is being made.
    Transcribing,
}

struct Picture {
    state: State,
    level_dbfs: f32,
    captured_ms: u64,
    final_text: String,
    partial: String,
    drawn_lines: usize,
    drawn_at: Option<Instant>,
    closed: bool,
}

/// The live view. Without a terminal it draws nothing.
pub(crate) struct LiveView {
    output: Output,
    picture: Mutex<Picture>,
}

impl LiveView {
    /// A view that shows `Connecting…` for `device`.
    pub(crate) fn new(output: Output, device: &Device) -> Arc<Self> {
        let view = Arc::new(Self {
            output,
            picture: Mutex::new(Picture {
                state: State::Connecting,
                level_dbfs: SILENCE_DBFS,
                captured_ms: 0,
                final_text: String::new(),
                partial: String::new(),
                drawn_lines: 0,
                drawn_at: None,
                closed: false,
            }),
        });
        if output.is_watched() {
            let drawn: Arc<dyn Drawn> = view.clone();
            screen::draw(&drawn);
            view.change(true, |_| {});
        } else {
            match device {
                Device::Default => output.say("Connecting to the microphone…"),
                Device::Named(name) => output.say(&format!("Connecting to {name}…")),
                Device::File(path) => {
                    output.say(&format!("Playing {} as the microphone…", path.display()));
                }
            }
        }
        view
    }

    /// Changes what the status line says.
    pub(crate) fn set_state(&self, state: State) {
        let before = {
            let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut picture.state, state)
        };
        if before == state {
            return;
        }
        if self.output.is_watched() {
            self.change(true, |_| {});
        } else {
            match state {
                State::Recording if before == State::Connecting => {
                    self.output.say("Recording… press Enter to stop");
                }
                State::Recording => self.output.say("Recording again…"),
                State::Paused => self.output.say("Paused"),
                State::Transcribing => self.output.say("Transcribing…"),
                State::Connecting => {}
            }
        }
    }

    /// Takes the view away; what is printed next stands where it was.
    pub(crate) fn close(&self) {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        if picture.closed {
            return;
        }
        picture.closed = true;
        let erased = picture.erased();
        io::stderr().lock().write_all(erased.as_bytes()).ok();
    }

    fn change(&self, now: bool, change: impl FnOnce(&mut Picture)) {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut picture);
        if picture.closed || !self.output.is_watched() {
            return;
        }
        if !now && picture.drawn_at.is_some_and(|at| at.elapsed() < FRAME) {
            return;
        }
        self.draw(&mut picture);
    }

    fn draw(&self, picture: &mut Picture) {
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let frame = picture.frame(width, self.output.has_colour());
        let mut err = io::stderr().lock();
        err.write_all(frame.as_bytes())
            .and_then(|()| err.flush())
            .ok();
    }
}

impl Drawn for LiveView {
    fn aside(&self, print: &mut dyn FnMut()) {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        let erased = picture.erased();
        let redraws = !erased.is_empty();
        io::stderr().lock().write_all(erased.as_bytes()).ok();
        print();
        if redraws {
            self.draw(&mut picture);
        }
    }
}

impl Picture {
    /// What draws it in the place of its last frame, on a terminal of that many columns.
    fn frame(&mut self, width: usize, colour: bool) -> String {
        let mut frame = self.erased();
        let lines = lines(self, width.saturating_sub(1).max(20), colour);
        self.drawn_lines = lines.len();
        self.drawn_at = Some(Instant::now());
        frame.push_str(&lines.join("\n"));
        frame.push('\n');
        frame
    }

    /// What takes the last frame away.
    fn erased(&mut self) -> String {
        let mut frame = String::new();
        erase(&mut frame, std::mem::take(&mut self.drawn_lines));
        frame
    }
}

fn erase(frame: &mut String, lines: usize) {
    if lines > 0 {
        // Up to the first drawn line, then clear to the end of the screen.
        write!(frame, "\u{1b}[{lines}A\r\u{1b}[J").ok();
    }
}

fn lines(picture: &Picture, width: usize, colour: bool) -> Vec<String> {
    let mut lines = text_lines(&picture.final_text, &picture.partial, width, colour);
    lines.push(status_line(picture, width));
    lines
}

/// The last lines of the text, the part that isn't final dim.
fn text_lines(final_text: &str, partial: &str, width: usize, colour: bool) -> Vec<String> {
    let mut whole = final_text.to_owned();
    if !whole.is_empty() && !partial.is_empty() {
        whole.push(' ');
    }
    let dim_from = whole.len();
    whole.push_str(partial);
    // Long dictations: only the end is shown, so only the end is wrapped.
    let start = whole
        .char_indices()
        .rev()
        .nth(width * (TEXT_LINES + 1))
        .map_or(0, |(at, _)| at);
    let options = textwrap::Options::new(width).break_words(true);
    let wrapped = textwrap::wrap(&whole[start..], options);
    let mut shown = Vec::new();
    let mut at = start;
    for line in &wrapped {
        let from = whole[at..].find(line.as_ref()).map_or(at, |skip| at + skip);
        let to = from + line.len();
        shown.push(if !colour || to <= dim_from {
            line.to_string()
        } else if from >= dim_from {
            format!("\u{1b}[2m{line}\u{1b}[0m")
        } else {
            match line.split_at_checked(dim_from - from) {
                Some((done, open)) => format!("{done}\u{1b}[2m{open}\u{1b}[0m"),
                None => line.to_string(),
            }
        });
        at = to;
    }
    let skip = shown.len().saturating_sub(TEXT_LINES);
    shown.split_off(skip)
}

fn status_line(picture: &Picture, width: usize) -> String {
    let time = clock(picture.captured_ms);
    let line = match picture.state {
        State::Connecting => "Connecting to the microphone…".to_owned(),
        State::Recording => format!(
            "● {time} {} Enter stops · Space pauses · Ctrl-C twice discards",
            meter(picture.level_dbfs)
        ),
        State::Paused => format!("‖ {time} paused · Space goes on · Enter stops"),
        State::Transcribing => format!("Transcribing {time}…"),
    };
    // One line whatever the width: a wrapped status line could not be erased.
    line.chars().take(width).collect()
}

fn meter(level_dbfs: f32) -> String {
    let share = ((level_dbfs - METER_FLOOR_DBFS) / -METER_FLOOR_DBFS).clamp(0.0, 1.0);
    let lit = (share * METER_CELLS as f32).round() as usize;
    (0..METER_CELLS)
        .map(|cell| if cell < lit { '▮' } else { '▯' })
        .collect()
}

impl CaptureObserver for LiveView {
    fn on_sound(&self, level_dbfs: f32, captured_ms: u64, paused: bool) {
        self.set_state(if paused {
            State::Paused
        } else {
            State::Recording
        });
        self.change(false, |picture| {
            picture.level_dbfs = level_dbfs;
            picture.captured_ms = captured_ms;
        });
    }
}

impl TranscriptionObserver for LiveView {
    fn on_event(&self, event: TranscriptionEvent) {
        match event {
            TranscriptionEvent::Partial { text, .. } => {
                self.change(true, |picture| picture.partial = text.trim().to_owned());
            }
            TranscriptionEvent::Segment(segment) => self.change(true, |picture| {
                if !picture.final_text.is_empty() {
                    picture.final_text.push(' ');
                }
                picture.final_text.push_str(segment.text.trim());
                picture.partial.clear();
            }),
            TranscriptionEvent::Progress { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_not_final_is_dim() {
        let lines = text_lines("said", "saying", 40, true);
        assert_eq!(lines, ["said \u{1b}[2msaying\u{1b}[0m"]);
    }

    #[test]
    fn only_the_last_lines_of_a_long_text_are_shown() {
        let lines = text_lines(&"word ".repeat(500), "end", 30, false);
        assert_eq!(lines.len(), TEXT_LINES);
        assert!(lines[TEXT_LINES - 1].ends_with("end"));
    }

    fn picture() -> Picture {
        Picture {
            state: State::Recording,
            level_dbfs: -20.0,
            captured_ms: 61_000,
            final_text: String::new(),
            partial: String::new(),
            drawn_lines: 0,
            drawn_at: None,
            closed: false,
        }
    }

    #[test]
    fn growing_text_of_any_script_is_drawn_and_erased_without_a_trace() {
        const COLUMNS: u16 = 40;
        let cells = |n| std::num::NonZeroU16::new(n).unwrap();
        for word in [
            "word",
            "日本語のテキスト",
            "שלום עולם",
            "👩‍👩‍👧",
            "e\u{301}te\u{301}",
            "ab—cd",
        ] {
            let mut terminal = vt100::Parser::new(cells(24), cells(COLUMNS), 0);
            // As a terminal's line discipline sends it on.
            let mut show = |text: &str| terminal.process(text.replace('\n', "\r\n").as_bytes());
            let mut picture = picture();
            show("before\n");
            for _ in 0..60 {
                picture
                    .final_text
                    .push_str(&std::mem::take(&mut picture.partial));
                picture.partial = format!(" {word}");
                show(&picture.frame(usize::from(COLUMNS), true));
            }
            let drawn = terminal.screen().contents();
            assert!(drawn.starts_with("before\n"), "{word}: {drawn}");
            assert_eq!(drawn.lines().count(), 2 + TEXT_LINES, "{word}: {drawn}");
            let last = word.split(' ').next_back().unwrap();
            assert!(drawn.contains(last), "{word}: {drawn}");
            terminal.process(picture.erased().as_bytes());
            assert_eq!(terminal.screen().contents().trim_end(), "before", "{word}");
        }
    }

    #[test]
    fn the_meter_is_dark_at_silence_and_full_at_full_scale() {
        assert!(!meter(SILENCE_DBFS).contains('▮'));
        assert!(!meter(0.0).contains('▯'));
    }
}
