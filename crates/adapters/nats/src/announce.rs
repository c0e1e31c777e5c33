//! Tells what has happened, as the contract says it.

use async_trait::async_trait;
use speakr_contract::{Message, Segment as WireSegment, Word as WireWord, events, ids};
use speakr_core::{
    Recording, RecordingId, Segment, Transcript,
    ports::platform::{AnnounceError, Announcer, BusFailure, FailureKind, PartialText},
    recording::Metadata,
};
use uuid::Uuid;

use crate::{bus::Bus, request::Request};

/// Most characters of the reason that a failure tells: it may quote what was asked for.
const LONGEST_ERROR: usize = 4_000;

/// Tells the events of one request. The same event told again has the same id, and the server
/// keeps one of them. One that would be larger than a message goes with empty metadata, and without
/// tags where that isn't enough.
#[derive(Debug, Clone)]
pub struct BusAnnouncer {
    bus: Bus,
    request: Request,
    /// Name of the file of a recording's sound.
    sound_name: &'static str,
}

impl BusAnnouncer {
    /// Tells on `bus` what comes of `request`. A recording's sound is kept as
    /// `recordings/<id>/<sound_name>`.
    #[must_use]
    pub fn new(bus: &Bus, request: Request, sound_name: &'static str) -> Self {
        Self {
            bus: bus.clone(),
            request,
            sound_name,
        }
    }

    fn event_id<M: Message>(&self, occasion: &str) -> Uuid {
        ids::event_id(self.request.correlation_id, M::SUBJECT, occasion)
    }

    async fn tell<M: Message>(&self, event: &M, event_id: Uuid) -> Result<(), BusFailure> {
        Ok(self
            .bus
            .publish(event, &self.request, &event_id.to_string())
            .await?)
    }
}

#[async_trait]
impl Announcer for BusAnnouncer {
    async fn started(&self, recording: &Recording) -> Result<(), BusFailure> {
        let event_id = self.event_id::<events::RecordingStarted>("");
        let event = events::RecordingStarted {
            event_id,
            recording_id: *recording.recording_id.as_uuid(),
            tags: recording.tags.clone().into(),
            metadata: recording.metadata.clone(),
        };
        let event = lightened(event, self.bus.max_payload_bytes(), |e| {
            (&mut e.tags, &mut e.metadata)
        });
        self.tell(&event, event_id).await
    }

    async fn finished(&self, recording: &Recording) -> Result<(), BusFailure> {
        let event_id = self.event_id::<events::RecordingFinished>("");
        let event = events::RecordingFinished {
            event_id,
            recording_id: *recording.recording_id.as_uuid(),
            audio_file_path: kept_as(recording.recording_id, self.sound_name),
            tags: recording.tags.clone().into(),
            metadata: recording.metadata.clone(),
            duration_ms: recording.duration_ms,
        };
        let event = lightened(event, self.bus.max_payload_bytes(), |e| {
            (&mut e.tags, &mut e.metadata)
        });
        self.tell(&event, event_id).await
    }

    /// Whoever throws a recording away says it with the same id: it happens once.
    async fn cancelled(&self, id: RecordingId) -> Result<(), BusFailure> {
        let recording_id = *id.as_uuid();
        let event_id = ids::event_id(recording_id, events::RecordingCancelled::SUBJECT, "");
        let event = events::RecordingCancelled {
            event_id,
            recording_id,
        };
        self.tell(&event, event_id).await
    }

    async fn partial(&self, id: RecordingId, partial: PartialText) -> Result<(), BusFailure> {
        let event = events::TranscriptionPartial {
            event_id: Uuid::new_v4(),
            recording_id: *id.as_uuid(),
            text: partial.text,
            start_ms: partial.start_ms,
            end_ms: partial.end_ms,
            is_final: partial.is_final,
        };
        Ok(self.bus.publish_volatile(&event, &self.request).await?)
    }

    async fn succeeded(&self, transcript: &Transcript) -> Result<(), AnnounceError> {
        let event_id = self.event_id::<events::TranscriptionSucceeded>(&saying(transcript));
        let event = fitting(
            succeeded(event_id, transcript),
            self.bus.max_payload_bytes(),
        )?;
        Ok(self.tell(&event, event_id).await?)
    }

    async fn failed(
        &self,
        occasion: u64,
        id: RecordingId,
        recording: Option<&Recording>,
        error: &str,
        kind: Option<FailureKind>,
    ) -> Result<(), BusFailure> {
        let event_id = self.event_id::<events::TranscriptionFailed>(&occasion.to_string());
        let event = events::TranscriptionFailed {
            event_id,
            recording_id: *id.as_uuid(),
            error: error.chars().take(LONGEST_ERROR).collect(),
            code: kind.map(|kind| match kind {
                FailureKind::UnknownModel => events::UNKNOWN_MODEL.to_owned(),
            }),
            tags: recording.map(|r| r.tags.clone().into()).unwrap_or_default(),
            metadata: recording.map(|r| r.metadata.clone()).unwrap_or_default(),
        };
        let event = lightened(event, self.bus.max_payload_bytes(), |e| {
            (&mut e.tags, &mut e.metadata)
        });
        self.tell(&event, event_id).await
    }
}

/// What tells one text from another of the same request, which may be followed by one of another language, say: each
/// is an event of its own. When it was made doesn't: who tells it again may have made it again.
fn saying(transcript: &Transcript) -> String {
    let id = transcript.recording_id;
    let tags: Vec<String> = transcript.tags.clone().into();
    let language = transcript.language.as_ref().map(ToString::to_string);
    let metadata = serde_json::to_string(&transcript.metadata).unwrap_or_default();
    let model = &transcript.model;
    let text = &transcript.text;
    format!("{id}\n{model}\n{language:?}\n{tags:?}\n{metadata}\n{text}")
}

fn kept_as(id: RecordingId, name: &str) -> String {
    format!("recordings/{id}/{name}")
}

fn transcript_path(id: RecordingId) -> String {
    kept_as(id, "transcript.json")
}

fn succeeded(event_id: Uuid, transcript: &Transcript) -> events::TranscriptionSucceeded {
    events::TranscriptionSucceeded {
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
    }
}

fn size<M: Message>(event: &M) -> usize {
    speakr_contract::encode(event).map_or(usize::MAX, |json| json.len())
}

/// The event without its metadata, and then without its tags, as far as it would be too large with
/// them: who waits for it is told all the same.
fn lightened<M: Message>(
    mut event: M,
    max_bytes: usize,
    travelling: impl Fn(&mut M) -> (&mut Vec<String>, &mut Metadata),
) -> M {
    if size(&event) > max_bytes {
        travelling(&mut event).1.clear();
    }
    if size(&event) > max_bytes {
        travelling(&mut event).0.clear();
    }
    event
}

/// The event without its parts, when it would be too large with them, and [`lightened`] then.
fn fitting(
    mut event: events::TranscriptionSucceeded,
    max_bytes: usize,
) -> Result<events::TranscriptionSucceeded, AnnounceError> {
    if size(&event) > max_bytes {
        event.segments = None;
    }
    let event = lightened(event, max_bytes, |e| (&mut e.tags, &mut e.metadata));
    if size(&event) > max_bytes {
        return Err(AnnounceError::TooLarge {
            kept_as: transcript_path(RecordingId::from(event.recording_id)),
        });
    }
    Ok(event)
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

#[cfg(test)]
mod tests {
    use speakr_core::{CorrelationId, Tags};

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

    #[test]
    fn a_text_that_is_too_large_goes_without_its_parts_and_says_where_they_are() {
        let transcript = Transcript {
            recording_id: RecordingId::from(Uuid::from_u128(7)),
            text: "said".repeat(100),
            language: None,
            duration_ms: 1_000,
            model: "model".to_owned(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            tags: Tags::new(["tag"]),
            metadata: serde_json::Map::new(),
            segments: vec![Segment {
                start_ms: 0,
                end_ms: 1_000,
                text: "said".repeat(100),
                words: None,
            }],
        };
        let event = || succeeded(Uuid::nil(), &transcript);
        let whole = speakr_contract::encode(&event()).unwrap().len();
        assert_eq!(fitting(event(), whole).unwrap(), event());
        let without = fitting(event(), whole - 1).unwrap();
        assert_eq!(without.segments, None);
        assert_eq!(without.transcribed_text, transcript.text);
        assert_eq!(
            without.transcript_path.as_deref(),
            Some("recordings/00000000-0000-0000-0000-000000000007/transcript.json")
        );
        let refused = fitting(event(), 400).unwrap_err().to_string();
        assert!(refused.contains("transcript.json"), "{refused}");
    }

    #[test]
    fn each_text_of_a_request_is_an_event_of_its_own_and_the_same_told_again_is_not() {
        let transcript = |text: &str, tag: &str, made_at: i64| Transcript {
            recording_id: RecordingId::from(Uuid::from_u128(7)),
            text: text.to_owned(),
            language: None,
            duration_ms: 1_000,
            model: "model".to_owned(),
            created_at: jiff::Timestamp::from_second(made_at).unwrap(),
            tags: Tags::new([tag]),
            metadata: serde_json::Map::new(),
            segments: Vec::new(),
        };
        let first = saying(&transcript("said", "tag", 1));
        assert_eq!(first, saying(&transcript("said", "tag", 2)));
        assert_ne!(first, saying(&transcript("gesagt", "tag", 1)));
        assert_ne!(first, saying(&transcript("said", "another", 1)));
        let mut elsewhere = transcript("said", "tag", 1);
        elsewhere.recording_id = RecordingId::from(Uuid::from_u128(8));
        assert_ne!(first, saying(&elsewhere));
    }

    #[test]
    fn what_travels_with_a_recording_keeps_no_event_from_being_told() {
        let failed = |tag: usize, metadata: usize| events::TranscriptionFailed {
            event_id: Uuid::nil(),
            recording_id: Uuid::nil(),
            error: "no text".to_owned(),
            tags: vec!["t".repeat(tag)],
            metadata: Metadata::from_iter([("note".to_owned(), "m".repeat(metadata).into())]),
            code: None,
        };
        let told = |tag, metadata| {
            let event = failed(tag, metadata);
            lightened(event, 1_000, |e| (&mut e.tags, &mut e.metadata))
        };
        assert_eq!(told(100, 100), failed(100, 100));
        let without_metadata = told(100, 2_000);
        assert!(without_metadata.metadata.is_empty());
        assert_eq!(without_metadata.tags, failed(100, 0).tags);
        let with_the_reason_alone = told(2_000, 2_000);
        assert!(with_the_reason_alone.tags.is_empty());
        assert_eq!(with_the_reason_alone.error, "no text");
        assert!(size(&with_the_reason_alone) <= 1_000);
    }
}
