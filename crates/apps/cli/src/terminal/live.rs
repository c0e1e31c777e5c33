//! What a person sees while speaking: the last lines of the text (dim until final) and a status
//! line with time, level and keys, redrawn in place on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, Receiver, SyncSender},
    },
    time::Duration,
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

/// What is to be seen. Held for a moment only: nothing is written meanwhile.
struct Picture {
    state: State,
    /// Changes of the state that nobody has told yet: before and after.
    changes: Vec<(State, State)>,
    level_dbfs: f32,
    captured_ms: u64,
    final_text: String,
    partial: String,
}

/// What stands on the terminal. Held while something is written there, which takes as long as the
/// terminal wants (Ctrl-S stops it).
#[derive(Default)]
struct Drawing {
    lines: usize,
    closed: bool,
}

/// The live view. Without a terminal it draws nothing, and says what changes.
///
/// A thread of its own does it, so that capture never waits for a terminal that takes nothing.
pub(crate) struct LiveView {
    output: Output,
    picture: Mutex<Picture>,
    drawing: Mutex<Drawing>,
    changed: SyncSender<()>,
}

impl LiveView {
    /// A view that shows `Connecting…` for `device`.
    pub(crate) fn new(output: Output, device: &Device) -> Arc<Self> {
        // One place: a change that comes while another waits is seen with it.
        let (changed, changes) = mpsc::sync_channel(1);
        let view = Arc::new(Self {
            output,
            picture: Mutex::new(Picture::new()),
            drawing: Mutex::new(Drawing::default()),
            changed,
        });
        if output.is_watched() {
            let drawn: Arc<dyn Drawn> = view.clone();
            screen::draw(&drawn);
            view.repaint();
        } else {
            match device {
                Device::Default => output.say("Connecting to the microphone…"),
                Device::Named(name) => output.say(&format!("Connecting to {name}…")),
                Device::File(path) => {
                    output.say(&format!("Playing {} as the microphone…", path.display()));
                }
            }
        }
        let painted = Arc::downgrade(&view);
        std::thread::spawn(move || paint(&painted, &changes));
        view
    }

    /// Changes what the status line says.
    pub(crate) fn set_state(&self, state: State) {
        self.change(|picture| picture.set_state(state));
    }

    /// Takes the view away; what is printed next stands where it was.
    pub(crate) fn close(&self) {
        let mut drawing = lock(&self.drawing);
        if drawing.closed {
            return;
        }
        self.tell_changes();
        drawing.closed = true;
        self.write(&drawing.erased());
    }

    /// Changes the picture; the painter does the rest.
    fn change(&self, change: impl FnOnce(&mut Picture)) {
        change(&mut lock(&self.picture));
        // Full: it is going to look anyway.
        self.changed.try_send(()).ok();
    }

    /// Puts the picture where the last one stands.
    fn repaint(&self) {
        let mut drawing = lock(&self.drawing);
        if drawing.closed {
            return;
        }
        self.tell_changes();
        if self.output.is_watched() {
            self.draw(&mut drawing);
        }
    }

    fn draw(&self, drawing: &mut Drawing) {
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let frame = lock(&self.picture).frame(drawing, width, self.output.has_colour());
        self.write(&frame);
    }

    /// Says how the state changed, where no line shows it.
    fn tell_changes(&self) {
        let changes = std::mem::take(&mut lock(&self.picture).changes);
        if self.output.is_watched() {
            return;
        }
        for (before, after) in changes {
            match after {
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

    fn write(&self, text: &str) {
        let mut err = io::stderr().lock();
        err.write_all(text.as_bytes())
            .and_then(|()| err.flush())
            .ok();
    }
}

/// Shows what changes, not more often than is seen, until the view is gone.
fn paint(view: &Weak<LiveView>, changes: &Receiver<()>) {
    while changes.recv().is_ok() {
        let Some(view) = view.upgrade() else { return };
        view.repaint();
        let watched = view.output.is_watched();
        drop(view);
        if watched {
            std::thread::sleep(FRAME);
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drawn for LiveView {
    fn aside(&self, print: &mut dyn FnMut()) {
        let mut drawing = lock(&self.drawing);
        let erased = drawing.erased();
        self.write(&erased);
        print();
        if !erased.is_empty() {
            self.draw(&mut drawing);
        }
    }
}

impl Picture {
    fn new() -> Self {
        Self {
            state: State::Connecting,
            changes: Vec::new(),
            level_dbfs: SILENCE_DBFS,
            captured_ms: 0,
            final_text: String::new(),
            partial: String::new(),
        }
    }

    fn set_state(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        if before != state {
            self.changes.push((before, state));
        }
    }

    /// What draws it in the place of the last frame, on a terminal of that many columns.
    fn frame(&self, drawing: &mut Drawing, width: usize, colour: bool) -> String {
        let mut frame = drawing.erased();
        let lines = lines(self, width.saturating_sub(1).max(20), colour);
        drawing.lines = lines.len();
        frame.push_str(&lines.join("\n"));
        frame.push('\n');
        frame
    }
}

impl Drawing {
    /// What takes the last frame away.
    fn erased(&mut self) -> String {
        let mut frame = String::new();
        erase(&mut frame, std::mem::take(&mut self.lines));
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
        self.change(|picture| {
            picture.set_state(if paused {
                State::Paused
            } else {
                State::Recording
            });
            picture.level_dbfs = level_dbfs;
            picture.captured_ms = captured_ms;
        });
    }
}

impl TranscriptionObserver for LiveView {
    fn on_event(&self, event: TranscriptionEvent) {
        match event {
            TranscriptionEvent::Partial { text, .. } => {
                self.change(|picture| picture.partial = text.trim().to_owned());
            }
            TranscriptionEvent::Segment(segment) => self.change(|picture| {
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
            ..Picture::new()
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
            let (mut picture, mut drawing) = (picture(), Drawing::default());
            show("before\n");
            for _ in 0..60 {
                picture
                    .final_text
                    .push_str(&std::mem::take(&mut picture.partial));
                picture.partial = format!(" {word}");
                show(&picture.frame(&mut drawing, usize::from(COLUMNS), true));
            }
            let drawn = terminal.screen().contents();
            assert!(drawn.starts_with("before\n"), "{word}: {drawn}");
            assert_eq!(drawn.lines().count(), 2 + TEXT_LINES, "{word}: {drawn}");
            let last = word.split(' ').next_back().unwrap();
            assert!(drawn.contains(last), "{word}: {drawn}");
            terminal.process(drawing.erased().as_bytes());
            assert_eq!(terminal.screen().contents().trim_end(), "before", "{word}");
        }
    }

    #[test]
    fn the_meter_is_dark_at_silence_and_full_at_full_scale() {
        assert!(!meter(SILENCE_DBFS).contains('▮'));
        assert!(!meter(0.0).contains('▯'));
    }
}
