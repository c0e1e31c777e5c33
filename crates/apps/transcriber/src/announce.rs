//! Tells what has happened, as the contract says it.

use speakr_contract::{
    DecodeOptions as WireOptions, Message, Segment as WireSegment, Word as WireWord, events, ids,
};
use speakr_core::{
    Recording, RecordingId, Segment, Transcript,
    ports::speech::{DecodeOptions, Task},
};
use speakr_nats::{Bus, BusError, Request};
use uuid::Uuid;

use crate::trouble::Trouble;

fn transcript_path(id: RecordingId) -> String {
    format!("recordings/{id}/transcript.json")
}

/// Sends the events of one service.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    bus: Bus,
    /// Name of the file of a recording's sound.
    sound_name: &'static str,
}

impl Announcer {
    pub(crate) const fn new(bus: Bus, sound_name: &'static str) -> Self {
        Self { bus, sound_name }
    }

    async fn tell<M: Message>(
        &self,
        event: &M,
        event_id: Uuid,
        request: &Request,
    ) -> Result<(), BusError> {
        self.bus
            .publish(event, request, &event_id.to_string())
            .await
    }

    pub(crate) async fn started(
        &self,
        request: &Request,
        recording: &Recording,
    ) -> Result<(), BusError> {
        let event_id = event_id::<events::RecordingStarted>(request, "");
        let event = events::RecordingStarted {
            event_id,
            recording_id: *recording.recording_id.as_uuid(),
            tags: recording.tags.clone().into(),
            metadata: recording.metadata.clone(),
        };
        self.tell(&event, event_id, request).await
    }

    pub(crate) async fn finished(
        &self,
        request: &Request,
        recording: &Recording,
    ) -> Result<(), BusError> {
        let event_id = event_id::<events::RecordingFinished>(request, "");
        let event = events::RecordingFinished {
            event_id,
            recording_id: *recording.recording_id.as_uuid(),
            audio_file_path: format!("recordings/{}/{}", recording.recording_id, self.sound_name),
            tags: recording.tags.clone().into(),
            metadata: recording.metadata.clone(),
            duration_ms: recording.duration_ms,
        };
        self.tell(&event, event_id, request).await
    }

    /// Whoever throws a recording away says it with the same id: it happens once.
    pub(crate) async fn cancelled(
        &self,
        request: &Request,
        id: RecordingId,
    ) -> Result<(), BusError> {
        let recording_id = *id.as_uuid();
        let event_id = ids::event_id(recording_id, events::RecordingCancelled::SUBJECT, "");
        let event = events::RecordingCancelled {
            event_id,
            recording_id,
        };
        self.tell(&event, event_id, request).await
    }

    pub(crate) async fn partial(
        &self,
        request: &Request,
        id: RecordingId,
        text: String,
        start_ms: u64,
        end_ms: u64,
    ) -> Result<(), BusError> {
        let event = events::TranscriptionPartial {
            event_id: Uuid::new_v4(),
            recording_id: *id.as_uuid(),
            text,
            start_ms,
            end_ms,
        };
        self.bus.publish_volatile(&event, request).await
    }

    /// Says the text; without its parts when the message would be too large.
    pub(crate) async fn succeeded(
        &self,
        request: &Request,
        transcript: &Transcript,
    ) -> Result<(), Trouble> {
        let event_id = event_id::<events::TranscriptionSucceeded>(request, "");
        let mut event = events::TranscriptionSucceeded {
            event_id,
            recording_id: *transcript.recording_id.as_uuid(),
            transcribed_text: transcript.text.clone(),
            tags: transcript.tags.clone().into(),
            metadata: transcript.metadata.clone(),
            language: transcript.language.as_ref().map(ToString::to_string),
            duration_ms: Some(transcript.duration_ms),
            segments: Some(transcript.segments.iter().map(segment).collect()),
            transcript_path: Some(transcript_path(transcript.recording_id)),
            model: Some(transcript.model.clone()),
            created_at: Some(transcript.created_at),
        };
        let size = |event: &events::TranscriptionSucceeded| {
            speakr_contract::encode(event).map_or(usize::MAX, |json| json.len())
        };
        if size(&event) > self.bus.max_payload_bytes() {
            event.segments = None;
        }
        if size(&event) > self.bus.max_payload_bytes() {
            return Err(Trouble::Refused(format!(
                "the text is larger than a message; it is kept as {}",
                transcript_path(transcript.recording_id)
            )));
        }
        Ok(self.tell(&event, event_id, request).await?)
    }

    /// `occasion` tells apart what failed twice in one request: a command that is sent again.
    pub(crate) async fn failed(
        &self,
        request: &Request,
        occasion: u64,
        id: RecordingId,
        recording: Option<&Recording>,
        error: &str,
    ) -> Result<(), BusError> {
        let event_id = event_id::<events::TranscriptionFailed>(request, &occasion.to_string());
        let event = events::TranscriptionFailed {
            event_id,
            recording_id: *id.as_uuid(),
            error: error.to_owned(),
            tags: recording.map(|r| r.tags.clone().into()).unwrap_or_default(),
            metadata: recording.map(|r| r.metadata.clone()).unwrap_or_default(),
        };
        self.tell(&event, event_id, request).await
    }
}

fn event_id<M: Message>(request: &Request, occasion: &str) -> Uuid {
    ids::event_id(request.correlation_id, M::SUBJECT, occasion)
}

fn segment(segment: &Segment) -> WireSegment {
    let words = segment.words.as_ref().map(|words| {
        words
            .iter()
            .map(|word| WireWord {
                start_ms: word.start_ms,
                end_ms: word.end_ms,
                text: word.text.clone(),
            })
            .collect()
    });
    WireSegment {
        start_ms: segment.start_ms,
        end_ms: segment.end_ms,
        text: segment.text.clone(),
        words,
    }
}

/// What a command asks of the decoder, in the core's words.
pub(crate) fn options(wire: Option<WireOptions>) -> DecodeOptions {
    let wire = wire.unwrap_or_default();
    DecodeOptions {
        model: wire.model,
        language: wire.language.map(|code| speakr_core::Language::new(&code)),
        task: match wire.task {
            speakr_contract::Task::Transcribe => Task::Transcribe,
            speakr_contract::Task::Translate => Task::Translate,
        },
        prompt: wire.prompt,
        word_timestamps: wire.word_timestamps,
    }
}

#[cfg(test)]
mod tests {
    use speakr_core::CorrelationId;

    use super::*;

    #[test]
    fn the_contract_and_the_core_name_a_recording_alike() {
        let correlation = Uuid::new_v4();
        assert_eq!(
            ids::recording_id(correlation),
            *RecordingId::from_correlation(CorrelationId::from(correlation)).as_uuid()
        );
    }

    #[test]
    fn sound_goes_over_the_wire_at_the_rate_of_the_core() {
        assert_eq!(
            speakr_contract::audio::SAMPLE_RATE_HZ,
            speakr_core::audio::SAMPLE_RATE_HZ
        );
    }
}
