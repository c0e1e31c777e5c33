//! What the contract and the core say in different words.

use jiff::Timestamp;
use speakr_contract::{
    DecodeOptions as WireOptions, Segment as WireSegment, Task as WireTask,
    events::TranscriptionSucceeded,
};
use speakr_core::{
    Language, RecordingId, Segment, Tags, Transcript,
    ports::speech::{DecodeOptions, Task},
    transcript::Word,
};

/// What is asked of the decoder, as commands say it.
#[must_use]
pub fn wire_options(options: &DecodeOptions) -> WireOptions {
    WireOptions {
        model: options.model.clone(),
        language: options.language.as_ref().map(ToString::to_string),
        task: match options.task {
            Task::Transcribe => WireTask::Transcribe,
            Task::Translate => WireTask::Translate,
        },
        prompt: options.prompt.clone(),
        word_timestamps: options.word_timestamps,
    }
}

/// The transcript that an event tells of. Without segments where they were too large for it; an
/// event of another program may lack the rest, and then says when it came (`heard_at`).
#[must_use]
pub fn transcript(event: TranscriptionSucceeded, heard_at: Timestamp) -> Transcript {
    Transcript {
        recording_id: RecordingId::from(event.recording_id),
        text: event.transcribed_text,
        language: event.language.as_deref().map(Language::new),
        duration_ms: event.duration_ms.unwrap_or(0),
        model: event.model.unwrap_or_default(),
        created_at: event.created_at.unwrap_or(heard_at),
        tags: Tags::new(&event.tags),
        metadata: event.metadata,
        segments: event
            .segments
            .unwrap_or_default()
            .into_iter()
            .map(segment)
            .collect(),
    }
}

fn segment(segment: WireSegment) -> Segment {
    let words = segment.words.map(|words| {
        words
            .into_iter()
            .map(|word| Word {
                start_ms: word.start_ms,
                end_ms: word.end_ms,
                text: word.text,
            })
            .collect()
    });
    Segment {
        start_ms: segment.start_ms,
        end_ms: segment.end_ms,
        text: segment.text,
        words,
    }
}
