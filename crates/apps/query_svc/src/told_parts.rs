//! What a client hears of a text while it is made.

use speakr_contract::events::TranscriptionPartial;
use speakr_core::{
    Segment, Transcript,
    usecases::transcribe::{TranscriptionEvent, TranscriptionObserver},
};

/// The parts of a text that its client was told while it was made: a command that is worked on again
/// tells them again, and one that doesn't come through isn't told.
#[derive(Debug, Default)]
pub(crate) struct ToldParts {
    /// Where the last one ended.
    until_ms: u64,
}

impl ToldParts {
    /// Tells `observer` of a part as it comes.
    pub(crate) fn hear(
        &mut self,
        event: TranscriptionPartial,
        observer: &dyn TranscriptionObserver,
    ) {
        let TranscriptionPartial {
            text,
            start_ms,
            end_ms,
            is_final,
            ..
        } = event;
        if !is_final {
            observer.on_event(TranscriptionEvent::Partial {
                start_ms,
                end_ms,
                text,
            });
        } else if end_ms > self.until_ms {
            self.until_ms = end_ms;
            observer.on_event(TranscriptionEvent::Segment(Segment {
                start_ms,
                end_ms,
                text,
                words: None,
            }));
        }
    }

    /// Tells `observer` of what it wasn't told of the text that came of it.
    pub(crate) fn tell_the_rest(
        &self,
        transcript: &Transcript,
        observer: &dyn TranscriptionObserver,
    ) {
        let untold = transcript
            .segments
            .iter()
            .filter(|segment| segment.end_ms > self.until_ms);
        for segment in untold {
            observer.on_event(TranscriptionEvent::Segment(segment.clone()));
        }
    }
}
