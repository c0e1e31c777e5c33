//! Whether anything was lost, or is there twice.

use std::collections::HashMap;

use serde_json::Value;
use speakr_nats::{Bus, dead_letters};
use speakr_testkit::platform::{DATABASE, Platform};
use uuid::Uuid;

/// Events of which each recording that went well has one.
const ONCE: [&str; 2] = [
    "speakr.event.transcription.succeeded",
    "speakr.event.embedding.succeeded",
];

/// The same for those that are spoken.
const ONCE_SPOKEN: [&str; 2] = [
    "speakr.event.recording.started",
    "speakr.event.recording.finished",
];

/// What the streams and the index have of `recordings` (each with whether it was spoken) that they
/// shouldn't, or haven't that they should.
///
/// # Errors
/// When they can't be read.
pub async fn faults(
    platform: &Platform,
    operator: &Bus,
    recordings: &[(Uuid, bool)],
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let mut faults = Vec::new();
    let letters = dead_letters::list(operator, 100).await?;
    for letter in letters {
        faults.push(format!(
            "among the dead letters: {} of {:?}: {}",
            letter.subject, letter.correlation_id, letter.reason
        ));
    }
    for stream in ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"] {
        let stream = operator.jetstream().get_stream(stream).await?;
        let state = &stream.cached_info().state;
        if state.messages > 0 {
            faults.push(format!(
                "{} messages are left in {}",
                state.messages,
                stream.cached_info().config.name
            ));
        }
    }
    let events = count_events(operator).await?;
    for (id, spoken) in recordings {
        let count = |kind: &str| events.get(&(*id, kind.to_owned())).copied().unwrap_or(0);
        let wanted = ONCE.map(|kind| (kind, 1));
        let wanted_spoken = ONCE_SPOKEN.map(|kind| (kind, usize::from(*spoken)));
        for (kind, wanted) in wanted.into_iter().chain(wanted_spoken) {
            let count = count(kind);
            if count != wanted {
                faults.push(format!("{id} has {count} {kind}, not {wanted}"));
            }
        }
    }
    let ids: Vec<Uuid> = recordings.iter().map(|(id, _)| *id).collect();
    faults.extend(index_faults(platform, &ids)?);
    Ok(faults)
}

async fn count_events(
    operator: &Bus,
) -> Result<HashMap<(Uuid, String), usize>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = operator.jetstream().get_stream("SPEAKR_EVENTS").await?;
    let state = stream.cached_info().state.clone();
    let mut counts = HashMap::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await?;
        let event: Value = serde_json::from_slice(&message.payload)?;
        if let Some(id) = event["recording_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
        {
            let subject = message.subject.to_string();
            *counts.entry((id, subject)).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Each recording has one row, one text and passages whose vectors are there.
fn index_faults(
    platform: &Platform,
    ids: &[Uuid],
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let rows = platform.postgres.query(
        DATABASE,
        "SELECT r.id, count(DISTINCT t.recording), count(DISTINCT p.num), count(DISTINCT v.passage) \
         FROM speakr.recordings r LEFT JOIN speakr.transcripts t ON t.recording = r.num \
         LEFT JOIN speakr.passages p ON p.recording = r.num \
         LEFT JOIN speakr.vectors v ON v.passage = p.num GROUP BY r.id",
    )?;
    let mut found: HashMap<Uuid, Vec<usize>> = HashMap::new();
    for row in rows.lines() {
        let mut cells = row.split('|');
        if let Some(id) = cells.next().and_then(|id| id.parse().ok()) {
            found.insert(id, cells.filter_map(|cell| cell.parse().ok()).collect());
        }
    }
    let mut faults = Vec::new();
    for id in ids {
        match found.remove(id).as_deref() {
            Some([1, passages, vectors]) if *passages > 0 && passages == vectors => {}
            other => faults.push(format!(
                "{id} is in the index with texts, passages, vectors: {other:?}"
            )),
        }
    }
    for id in found.keys() {
        faults.push(format!("{id} is in the index, and nobody asked for it"));
    }
    Ok(faults)
}
