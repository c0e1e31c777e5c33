//! Events of speech that is streamed, held against their schemas and each other.

use std::collections::BTreeSet;

use serde_json::Value;
use speakr_contract::{catalogue, ids};

use super::{
    super::{
        bus::{Event, Spoken},
        check::{Seen, ensure, failed},
    },
    complain,
};

/// Events of speech that is streamed, in their order.
const FLOW: [&str; 4] = [
    "speakr.event.recording.started",
    "speakr.event.recording.finished",
    "speakr.event.transcription.succeeded",
    "speakr.event.embedding.succeeded",
];

pub(super) fn valid(spoken: &Spoken) -> Seen {
    let mut kinds = BTreeSet::new();
    for event in &spoken.events {
        let entry = catalogue::find(&event.subject)
            .ok_or_else(|| failed(format!("{} isn't in the contract", event.subject)))?;
        let json: Value = serde_json::from_slice(&event.payload)?;
        complain(&entry.schema, &json, &event.subject)?;
        (entry.reread)(&event.payload).map_err(failed)?;
        kinds.insert(entry.name());
    }
    let names: Vec<&str> = kinds.iter().copied().collect();
    Ok(format!(
        "{} events: {}",
        spoken.events.len(),
        names.join(", ")
    ))
}

pub(super) fn flow(spoken: &Spoken) -> Seen {
    let mut at = 0;
    for subject in FLOW {
        let place = spoken.events.iter().position(|e| e.subject == subject);
        let place = place.ok_or_else(|| failed(format!("{subject} never came")))?;
        ensure(place >= at, || {
            format!("{subject} came before what it follows")
        })?;
        at = place;
    }
    ensure(
        spoken.id == ids::recording_id(spoken.correlation_id),
        || {
            format!(
                "recording {} isn't the UUIDv5 of its correlation id",
                spoken.id
            )
        },
    )?;
    for event in &spoken.events {
        let json = event.json();
        ensure(json["recording_id"] == spoken.id.to_string(), || {
            format!("{} names another recording: {json}", event.subject)
        })?;
        let bears = event.correlation_id.as_deref() == Some(&spoken.correlation_id.to_string());
        ensure(bears, || {
            format!(
                "{} has correlation id {:?}",
                event.subject, event.correlation_id
            )
        })?;
        let trace = event.traceparent.as_deref().unwrap_or_default();
        ensure(trace.contains(&spoken.trace_id), || {
            format!("{} is in another trace: \"{trace}\"", event.subject)
        })?;
    }
    let finished = spoken
        .on(FLOW[1])
        .next()
        .map(Event::json)
        .unwrap_or_default();
    ensure(
        finished["audio_file_path"] == format!("recordings/{}/audio.wav", spoken.id),
        || format!("its sound is said to be in {}", finished["audio_file_path"]),
    )?;
    ensure(finished["metadata"]["from"] == "speakr-validate", || {
        format!("its metadata didn't travel with it: {finished}")
    })?;
    ensure(spoken.overheard == 0, || {
        format!(
            "a client overheard {} commands and messages of sound",
            spoken.overheard
        )
    })?;
    Ok("started, finished, transcribed, embedded; one correlation id, one trace".to_owned())
}

/// Each event but the partial ones has one id, however often it is told.
pub(super) fn once(spoken: &Spoken) -> Seen<()> {
    for subject in FLOW {
        let ids: BTreeSet<String> = spoken
            .on(subject)
            .map(|event| event.json()["event_id"].to_string())
            .collect();
        ensure(ids.len() == 1, || {
            format!("{subject} has {} ids: {ids:?}", ids.len())
        })?;
    }
    Ok(())
}
