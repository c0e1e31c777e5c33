//! How far a file is, and how long the rest takes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use speakr_core::usecases::transcribe::{TranscriptionEvent, TranscriptionObserver};

use super::inputs::Input;
use crate::output::{Output, clock};

/// The progress of one input. Without a terminal it draws nothing.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins with input `nth` of `total`.
    pub(super) fn start(output: Output, input: &Input, nth: usize, total: usize) -> Self {
        let name = match total {
            1 => input.to_string(),
            _ => format!("[{nth}/{total}] {input}"),
        };
        if !output.is_watched() {
            output.say(&format!("Transcribing {name}…"));
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg}  {elapsed}"));
        bar.set_message(name);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// The length of the sound, once it is known.
    pub(super) fn set_length(&self, duration_ms: Option<u64>) {
        if let Some(ms) = duration_ms.filter(|&ms| ms > 0) {
            self.bar.set_length(ms);
            self.bar.set_style(style(&format!(
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

fn style(template: &str) -> ProgressStyle {
    // A template that can't be read leaves the plain spinner.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("━╸ ")
}

impl TranscriptionObserver for Progress {
    fn on_event(&self, event: TranscriptionEvent) {
        if let TranscriptionEvent::Progress { decoded_ms } = event {
            self.bar.set_position(decoded_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_can_be_read() {
        for template in [
            "{spinner} {msg}  {elapsed}",
            "{spinner} {msg}  {bar:24} {percent} % of 1:00, {eta} left",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
