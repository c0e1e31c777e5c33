//! How far a file is, and how long the rest takes.

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;
use speakr_core::usecases::transcribe::{TranscriptionEvent, TranscriptionObserver};

use super::inputs::Input;
use crate::{
    output::{Output, clock},
    terminal::screen,
};

/// The progress of one input. Without a terminal it draws nothing.
pub(super) struct Progress {
    bar: Arc<ProgressBar>,
}

impl Progress {
    /// Begins with input `nth` of `total`.
    pub(super) fn start(output: Output, input: &Input, nth: usize, total: usize) -> Self {
        let name = match total {
            1 => input.to_string(),
            _ => format!("[{nth}/{total}] {input}"),
        };
        let bar = screen::bar(output, "{spinner} {msg}  {elapsed}");
        if bar.is_hidden() {
            output.say(&format!("Transcribing {name}…"));
        } else {
            bar.set_message(name);
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar }
    }

    /// The length of the sound, once it is known.
    pub(super) fn set_length(&self, duration_ms: Option<u64>) {
        if let Some(ms) = duration_ms.filter(|&ms| ms > 0) {
            self.bar.set_length(ms);
            self.bar.set_style(screen::style(&format!(
                "{{spinner}} {{msg}}  {{bar:24}} {{percent}} % of {}, {{eta}} left",
                clock(ms)
            )));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl TranscriptionObserver for Progress {
    fn on_event(&self, event: TranscriptionEvent) {
        if let TranscriptionEvent::Progress { decoded_ms } = event {
            self.bar.set_position(decoded_ms);
        }
    }
}
