//! A description that is damaged or missing, made again from what lies beside it.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, RecordingState, Tags, Transcript, audio,
    ports::speech::DecodeOptions,
};

/// The description of `id`, of which `transcript` and the sound files `raw` and `compact` may be
/// left; `None` when neither is, for then there is nothing to describe.
///
/// What can't be known is filled in so that nothing more is lost: the recording's own id stands
/// for its correlation id, the files' time for the time of capture.
pub(crate) fn rebuild(
    id: RecordingId,
    transcript: Option<&Transcript>,
    raw: &Path,
    compact: &Path,
) -> Option<Recording> {
    let sound = [raw, compact]
        .into_iter()
        .find_map(|path| fs::metadata(path).ok().map(|m| (path, m)));
    if transcript.is_none() && sound.is_none() {
        return None;
    }
    let created_at = transcript.map(|t| t.created_at).unwrap_or_else(|| {
        sound
            .as_ref()
            .and_then(|(_, m)| m.created().or_else(|_| m.modified()).ok())
            .map_or(Timestamp::UNIX_EPOCH, timestamp)
    });
    let duration_ms = transcript.map(|t| t.duration_ms).or_else(|| {
        sound
            .as_ref()
            .filter(|(path, _)| *path == raw)
            .map(|(_, m)| audio::samples_to_ms(m.len() / 2))
    });
    Some(Recording {
        recording_id: id,
        correlation_id: CorrelationId::from(*id.as_uuid()),
        created_at,
        duration_ms,
        tags: transcript.map_or_else(Tags::default, |t| t.tags.clone()),
        metadata: transcript.map_or_else(Default::default, |t| t.metadata.clone()),
        state: if transcript.is_some() {
            RecordingState::Transcribed
        } else {
            RecordingState::Captured
        },
        error: None,
        options: DecodeOptions::default(),
        without_text: false,
    })
}

fn timestamp(at: SystemTime) -> Timestamp {
    at.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
