//! Whether anything was lost, or is there twice.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::stream::RawMessageErrorKind;
use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use futures::StreamExt;
use serde_json::Value;
use speakr_contract::headers;
use speakr_nats::{Bus, dead_letters};
use speakr_testkit::{
    platform::{DATABASE, Platform},
    s3::S3,
};
use uuid::Uuid;

use super::ledger::Way;

/// How often the stream has which event of a recording that is done. What has no text may stay of one
/// that was deleted.
fn wanted(way: Way) -> Vec<(&'static str, usize)> {
    let text = [
        "speakr.event.transcription.succeeded",
        "speakr.event.embedding.succeeded",
    ];
    let sound = [
        "speakr.event.recording.started",
        "speakr.event.recording.finished",
    ];
    match way {
        Way::Cancelled => vec![
            (text[0], 0),
            (text[1], 0),
            ("speakr.event.recording.cancelled", 1),
        ],
        Way::Deleted => vec![(text[0], 0)],
        _ => text
            .map(|event| (event, 1))
            .into_iter()
            .chain(sound.map(|event| (event, usize::from(way.is_captured()))))
            .collect(),
    }
}

/// Streams in which nothing is left of what is done.
const WORK: [&str; 2] = ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"];

/// Most messages of a stream that are told one by one.
const MOST_TOLD: usize = 20;

/// The longest that what is asked again may take to be answered again: some pauses of a command that
/// failed for now.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Waits until there is nothing left to do, for a while after that, and no longer than may be.
///
/// # Errors
/// When the streams can't be read.
pub async fn until_nothing_is_left(
    operator: &Bus,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let began = Instant::now();
    loop {
        // What comes last, events, has no acknowledgement that could be looked at.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut left = 0;
        for stream in WORK {
            let stream = operator.jetstream().get_stream(stream).await?;
            left += stream.cached_info().state.messages;
        }
        if left == 0 || began.elapsed() > ANSWERED_WITHIN {
            return Ok(());
        }
    }
}

/// What the streams, the store and the index have of `recordings` that they shouldn't, or haven't that
/// they should.
///
/// # Errors
/// When they can't be read.
pub async fn faults(
    platform: &Platform,
    operator: &Bus,
    recordings: &[(Uuid, Way)],
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let mut faults = Vec::new();
    let letters = dead_letters::list(operator, 100).await?;
    for letter in letters {
        faults.push(format!(
            "among the dead letters: {} of {:?}: {}",
            letter.subject, letter.correlation_id, letter.reason
        ));
    }
    for stream in WORK {
        faults.extend(left_in(operator, stream).await?);
    }
    let events = count_events(operator).await?;
    for (id, way) in recordings {
        for (kind, wanted) in wanted(*way) {
            let count = events.get(&(*id, kind.to_owned())).copied().unwrap_or(0);
            if count != wanted {
                faults.push(format!("{id} ({way}) has {count} {kind}, not {wanted}"));
            }
        }
    }
    let (gone, kept): (Vec<_>, Vec<_>) = recordings
        .iter()
        .copied()
        .partition(|(_, way)| way.is_thrown_away());
    let kept: Vec<Uuid> = kept.into_iter().map(|(id, _)| id).collect();
    faults.extend(index_faults(platform, &kept)?);
    for (id, way) in gone {
        for key in objects_of(&platform.s3, id).await? {
            faults.push(format!("{id} ({way}) has left {key} in the store"));
        }
    }
    Ok(faults)
}

/// The messages that are left in a stream in which nothing should be, and what its consumers say of
/// themselves.
async fn left_in(
    operator: &Bus,
    name: &'static str,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = operator.jetstream().get_stream(name).await?;
    let state = &stream.cached_info().state;
    if state.messages == 0 {
        return Ok(Vec::new());
    }
    let mut left = vec![format!("{} messages are left in {name}", state.messages)];
    for sequence in state.first_sequence..=state.last_sequence {
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => continue,
            Err(error) => return Err(error.into()),
        };
        let request = message.headers.get(headers::CORRELATION_ID);
        left.push(format!(
            "{name}: {sequence} of {}, {}, of request {}",
            message.time,
            message.subject,
            request.map_or("", |id| id.as_str()),
        ));
        if left.len() > MOST_TOLD {
            break;
        }
    }
    let mut consumers = stream.consumers();
    while let Some(consumer) = consumers.next().await {
        let info = consumer?;
        left.push(format!(
            "{name}: {} has acknowledged to {}, was given {}, has {} at work and {} to come",
            info.name,
            info.ack_floor.stream_sequence,
            info.delivered.stream_sequence,
            info.num_ack_pending,
            info.num_pending,
        ));
    }
    Ok(left)
}

/// All objects, old versions too, of a recording.
async fn objects_of(
    s3: &S3,
    id: Uuid,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let credentials = Credentials::new(s3.access_key(), s3.secret_key(), None, None, "soak");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new(S3::REGION))
        .endpoint_url(s3.endpoint())
        .force_path_style(true)
        .credentials_provider(credentials)
        .build();
    let page = Client::from_conf(config)
        .list_object_versions()
        .bucket(S3::BUCKET)
        .prefix(format!("recordings/{id}/"))
        .send()
        .await?;
    let keys = page.versions().iter().filter_map(|version| version.key());
    Ok(keys.map(ToOwned::to_owned).collect())
}

async fn count_events(
    operator: &Bus,
) -> Result<HashMap<(Uuid, String), usize>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = operator.jetstream().get_stream("SPEAKR_EVENTS").await?;
    let state = stream.cached_info().state.clone();
    let mut counts = HashMap::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            // What is deleted takes its events with it.
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => continue,
            Err(error) => return Err(error.into()),
        };
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
