//! Rows of recordings and their texts.

use std::fmt::Write;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use speakr_core::{
    Recording, RecordingId, RecordingState, Tags, Transcript,
    ports::index::{Entry, Filter},
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use crate::fault::Fault;

/// The columns that [`entry`] reads.
const ENTRY_COLUMNS: &str = "SELECT r.id, r.correlation_id, r.created_at, r.duration_ms, r.tags, \
    r.metadata, r.options, r.state, r.error, t.text \
    FROM recordings r LEFT JOIN transcripts t ON t.recording = r.num WHERE 1 = 1";

/// An id as it is stored: 32 hexadecimal digits.
pub(crate) fn key(id: RecordingId) -> String {
    id.as_uuid().simple().to_string()
}

/// The id that is stored as `key`.
pub(crate) fn id(key: &str) -> Result<RecordingId, Fault> {
    Uuid::try_parse(key)
        .map(RecordingId::from)
        .map_err(|_| Fault::damaged(format!("\"{key}\" is no recording id")))
}

/// Nanoseconds since 1970; times that don't fit (before 1678, after 2261) count as the nearest
/// that does.
fn nanoseconds(at: Timestamp) -> i64 {
    let ns = at.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| Fault::Damaged(Box::new(e)))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|e| Fault::Damaged(Box::new(e)))
}

/// Puts a description in, or replaces it; gives its row's number.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    recording: &Recording,
) -> Result<i64, Fault> {
    let num: i64 = sqlx::query_scalar(
        "INSERT INTO recordings (id, correlation_id, created_at, created_ns, duration_ms, tags, \
         metadata, options, state, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET correlation_id = excluded.correlation_id, \
         created_at = excluded.created_at, created_ns = excluded.created_ns, \
         duration_ms = excluded.duration_ms, tags = excluded.tags, \
         metadata = excluded.metadata, options = excluded.options, state = excluded.state, \
         error = excluded.error RETURNING num",
    )
    .bind(key(recording.recording_id))
    .bind(recording.correlation_id.to_string())
    .bind(recording.created_at.to_string())
    .bind(nanoseconds(recording.created_at))
    .bind(
        recording
            .duration_ms
            .map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
    )
    .bind(to_json(&recording.tags)?)
    .bind(to_json(&recording.metadata)?)
    .bind(to_json(&recording.options)?)
    .bind(recording.state.as_str())
    .bind(recording.error.as_deref())
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM tags WHERE recording = ?")
        .bind(num)
        .execute(&mut *connection)
        .await?;
    for tag in recording.tags.iter() {
        sqlx::query("INSERT INTO tags (tag, recording) VALUES (?, ?)")
            .bind(tag)
            .bind(num)
            .execute(&mut *connection)
            .await?;
    }
    Ok(num)
}

/// Puts the text of recording `num` in, or takes it out. `model` embedded it; empty: none has.
pub(crate) async fn put_transcript(
    connection: &mut SqliteConnection,
    num: i64,
    transcript: Option<&Transcript>,
    model: &str,
) -> Result<(), Fault> {
    let Some(transcript) = transcript else {
        sqlx::query("DELETE FROM transcripts WHERE recording = ?")
            .bind(num)
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT OR REPLACE INTO transcripts (recording, text, language, speech_model, \
         embedded_by) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(num)
    .bind(&transcript.text)
    .bind(transcript.language.as_ref().map(|l| l.as_str().to_owned()))
    .bind(&transcript.model)
    .bind(model)
    .execute(connection)
    .await?;
    Ok(())
}

/// The tags of the recording with this id, and its number, where it is there.
pub(crate) async fn tags_of(
    connection: &mut SqliteConnection,
    id: RecordingId,
) -> Result<Option<Tags>, Fault> {
    let tags: Option<String> = sqlx::query_scalar("SELECT tags FROM recordings WHERE id = ?")
        .bind(key(id))
        .fetch_optional(connection)
        .await?;
    tags.map(|text| from_json(&text)).transpose()
}

/// Adds the conditions of `filter` on the recording `r` to a query's WHERE.
pub(crate) fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    for tag in filter.tags.iter() {
        query
            .push(" AND r.num IN (SELECT recording FROM tags WHERE tag = ")
            .push_bind(tag.to_owned())
            .push(")");
    }
    if let Some(since) = filter.since {
        query
            .push(" AND r.created_ns >= ")
            .push_bind(nanoseconds(since));
    }
    if let Some(until) = filter.until {
        query
            .push(" AND r.created_ns < ")
            .push_bind(nanoseconds(until));
    }
    if !filter.states.is_empty() {
        // Spelt out, not bound: the words are ours, and the partial index needs to see them.
        let states: Vec<_> = filter.states.iter().map(|s| s.as_str()).collect();
        let mut list = String::new();
        let _ = write!(list, " AND r.state IN ('{}')", states.join("', '"));
        query.push(list);
        if !filter.states.contains(&RecordingState::Transcribed) {
            query.push(" AND r.state <> 'transcribed'");
        }
    }
}

/// Newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut query = QueryBuilder::new(ENTRY_COLUMNS);
    push_filter(&mut query, filter);
    query
        .push(" ORDER BY r.created_ns DESC, r.num DESC LIMIT ")
        .push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

/// Entries of `ids`, in no order.
pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    ids: &[RecordingId],
) -> Result<Vec<Entry>, Fault> {
    let keys: Vec<_> = ids.iter().map(|id| key(*id)).collect();
    let mut query = QueryBuilder::new(ENTRY_COLUMNS);
    query
        .push(" AND r.id IN (SELECT value FROM json_each(")
        .push_bind(to_json(&keys)?)
        .push("))");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<Entry, Fault> {
    let time: &str = row.try_get("created_at")?;
    let correlation: &str = row.try_get("correlation_id")?;
    let state: &str = row.try_get("state")?;
    let duration: Option<i64> = row.try_get("duration_ms")?;
    let recording = Recording {
        recording_id: id(row.try_get("id")?)?,
        correlation_id: Uuid::try_parse(correlation)
            .map_err(|e| Fault::Damaged(Box::new(e)))?
            .into(),
        created_at: time
            .parse()
            .map_err(|e: jiff::Error| Fault::Damaged(Box::new(e)))?,
        duration_ms: duration.and_then(|ms| u64::try_from(ms).ok()),
        tags: from_json(row.try_get("tags")?)?,
        metadata: from_json(row.try_get("metadata")?)?,
        state: state.parse().map_err(|e: String| Fault::damaged(e))?,
        error: row.try_get("error")?,
        options: from_json(row.try_get("options")?)?,
        // On one machine nobody asks for that.
        without_text: false,
    };
    let text: Option<String> = row.try_get("text")?;
    Ok(Entry {
        recording,
        text: text.unwrap_or_default(),
    })
}

/// Row numbers of recordings, as a set.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<u64>);

impl Numbers {
    fn insert(&mut self, num: usize) {
        let word = num / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (num % 64);
    }

    /// Leaves what is in `other` too.
    fn intersect(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (word, with) in self.0.iter_mut().zip(&other.0) {
            *word &= with;
        }
    }

    /// Whether `num` is in the set.
    pub(crate) fn contains(&self, num: u32) -> bool {
        let num = num as usize;
        self.0
            .get(num / 64)
            .is_some_and(|word| word >> (num % 64) & 1 == 1)
    }
}

/// The numbers of the recordings that pass `filter`; `None` when all do.
pub(crate) async fn passing(
    connection: &mut SqliteConnection,
    filter: &Filter,
) -> Result<Option<Numbers>, Fault> {
    if *filter == Filter::default() {
        return Ok(None);
    }
    let only_tags = Filter {
        tags: filter.tags.clone(),
        ..Filter::default()
    };
    if *filter != only_tags {
        // One row with all numbers: a row for each costs more than finding it.
        let mut query =
            QueryBuilder::new("SELECT group_concat(r.num, ' ') FROM recordings r WHERE 1 = 1");
        push_filter(&mut query, filter);
        return numbers(query.build_query_scalar().fetch_one(connection).await?).map(Some);
    }
    // The list of a tag has all that is needed; the recordings themselves needn't be looked at.
    let mut passing: Option<Numbers> = None;
    for tag in filter.tags.iter() {
        let list =
            sqlx::query_scalar("SELECT group_concat(recording, ' ') FROM tags WHERE tag = ?")
                .bind(tag)
                .fetch_one(&mut *connection)
                .await?;
        let bearing = numbers(list)?;
        match &mut passing {
            Some(passing) => passing.intersect(&bearing),
            None => passing = Some(bearing),
        }
    }
    Ok(passing)
}

/// Row numbers with spaces between them, as a set.
fn numbers(list: Option<String>) -> Result<Numbers, Fault> {
    let mut numbers = Numbers::default();
    for num in list.unwrap_or_default().split_ascii_whitespace() {
        let num = num
            .parse()
            .map_err(|_| Fault::damaged(format!("{num} is no row number")))?;
        numbers.insert(num);
    }
    Ok(numbers)
}
