//! Who hears of the growing text: the live view, and a program that reads our output.

use std::sync::Arc;

use serde::Serialize;
use speakr_core::{
    Segment,
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};

use crate::{output::Output, terminal::LiveView};

/// One line of `--stream` while somebody speaks.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum SpokenEvent<'a> {
    /// What is heard just now; the next event may say it otherwise.
    Partial {
        start_ms: u64,
        end_ms: u64,
        text: &'a str,
    },
    /// What stays.
    Segment {
        #[serde(flatten)]
        segment: &'a Segment,
    },
}

/// The last line of `--stream`.
#[derive(Serialize)]
pub(super) struct TranscriptEvent<'a, T> {
    event: &'static str,
    #[serde(flatten)]
    transcript: &'a T,
}

impl<'a, T: Serialize> TranscriptEvent<'a, T> {
    pub(super) const fn of(transcript: &'a T) -> Self {
        Self {
            event: "transcript",
            transcript,
        }
    }
}

/// Shows the text as it comes, and prints it where that was asked for.
pub(super) struct Listener {
    view: Arc<LiveView>,
    stream: Option<Output>,
}

impl Listener {
    pub(super) const fn new(view: Arc<LiveView>, stream: Option<Output>) -> Self {
        Self { view, stream }
    }
}

impl TranscriptionObserver for Listener {
    fn on_event(&self, event: TranscriptionEvent) {
        if let Some(output) = self.stream {
            let line = match &event {
                TranscriptionEvent::Partial {
                    start_ms,
                    end_ms,
                    text,
                } => Some(SpokenEvent::Partial {
                    start_ms: *start_ms,
                    end_ms: *end_ms,
                    text,
                }),
                TranscriptionEvent::Segment(segment) => Some(SpokenEvent::Segment { segment }),
                TranscriptionEvent::Progress { .. } => None,
            };
            // A reader that is gone doesn't end a recording.
            if let Some(Err(failure)) = line.map(|line| output.print_json(&line)) {
                tracing::debug!(%failure, "nobody reads the stream");
            }
        }
        self.view.on_event(event);
    }
}
