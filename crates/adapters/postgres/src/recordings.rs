//! Rows of recordings and their texts.

use jiff::Timestamp;
use speakr_core::{
    Recording, RecordingId, Tags, Transcript,
    ports::index::{Entry, Filter},
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{fault::Fault, words::storable};

/// The columns that [`entry`] reads.
const ENTRY_COLUMNS: &str = "SELECT r.description::text, t.text \
    FROM recordings r LEFT JOIN transcripts t ON t.recording = r.num WHERE true";

/// Nanoseconds since 1970; times that don't fit (before 1678, after 2261) count as the nearest
/// that does.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let ns = at.as_nanosecond();
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// Tags as filters compare them.
pub(crate) fn tag_list(tags: &Tags) -> Vec<String> {
    tags.iter().map(storable).collect()
}

/// What of a recording searches are filtered by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marks {
    pub(crate) tags: Vec<String>,
    pub(crate) created_ns: i64,
    pub(crate) state: &'static str,
}

impl Marks {
    pub(crate) fn of(recording: &Recording) -> Self {
        Self {
            tags: tag_list(&recording.tags),
            created_ns: nanoseconds(recording.created_at),
            state: recording.state.as_str(),
        }
    }
}

/// Until the transaction ends, nobody else writes this recording, nor deletes it.
pub(crate) async fn lock(connection: &mut PgConnection, id: RecordingId) -> Result<(), Fault> {
    let (high, low) = id.as_uuid().as_u64_pair();
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind((high ^ low).cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether it was deleted.
pub(crate) async fn is_buried(
    connection: &mut PgConnection,
    id: RecordingId,
) -> Result<bool, Fault> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tombstones WHERE id = $1)")
        .bind(id.as_uuid())
        .fetch_one(connection)
        .await?;
    Ok(found)
}

/// Notes that it was deleted.
pub(crate) async fn bury(connection: &mut PgConnection, id: RecordingId) -> Result<(), Fault> {
    sqlx::query("INSERT INTO tombstones (id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(id.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// The number of a recording's row, where there is one.
pub(crate) async fn number(
    connection: &mut PgConnection,
    id: RecordingId,
) -> Result<Option<i64>, Fault> {
    let num = sqlx::query_scalar("SELECT num FROM recordings WHERE id = $1")
        .bind(id.as_uuid())
        .fetch_optional(connection)
        .await?;
    Ok(num)
}

/// Puts a description in, or replaces it; gives its row's number.
pub(crate) async fn put(
    connection: &mut PgConnection,
    recording: &Recording,
    marks: &Marks,
) -> Result<i64, Fault> {
    let description = serde_json::to_string(recording).map_err(Fault::unreadable)?;
    let num = sqlx::query_scalar(
        "INSERT INTO recordings (id, created_ns, tags, state, description) \
         VALUES ($1, $2, $3, $4, $5::json) \
         ON CONFLICT (id) DO UPDATE SET created_ns = excluded.created_ns, \
         tags = excluded.tags, state = excluded.state, description = excluded.description \
         RETURNING num",
    )
    .bind(recording.recording_id.as_uuid())
    .bind(marks.created_ns)
    .bind(&marks.tags)
    .bind(marks.state)
    .bind(description)
    .fetch_one(connection)
    .await?;
    Ok(num)
}

/// Puts the text of recording `num` in, or takes it out. `model` embedded it; empty: none has.
pub(crate) async fn put_transcript(
    connection: &mut PgConnection,
    num: i64,
    transcript: Option<&Transcript>,
    model: &str,
) -> Result<(), Fault> {
    let Some(transcript) = transcript else {
        sqlx::query("DELETE FROM transcripts WHERE recording = $1")
            .bind(num)
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO transcripts (recording, text, language, speech_model, embedded_by) \
         VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (recording) DO UPDATE SET text = excluded.text, \
         language = excluded.language, speech_model = excluded.speech_model, \
         embedded_by = excluded.embedded_by",
    )
    .bind(num)
    .bind(storable(&transcript.text))
    .bind(transcript.language.as_ref().map(|l| storable(l.as_str())))
    .bind(storable(&transcript.model))
    .bind(model)
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds the conditions of `filter` on a table named `t`, which has a recording's marks.
pub(crate) fn push_filter(query: &mut QueryBuilder<Postgres>, t: &str, filter: &Filter) {
    if !filter.tags.is_empty() {
        query
            .push(format_args!(" AND {t}.tags @> "))
            .push_bind(tag_list(&filter.tags));
    }
    if let Some(since) = filter.since {
        query
            .push(format_args!(" AND {t}.created_ns >= "))
            .push_bind(nanoseconds(since));
    }
    if let Some(until) = filter.until {
        query
            .push(format_args!(" AND {t}.created_ns < "))
            .push_bind(nanoseconds(until));
    }
    if !filter.states.is_empty() {
        // Spelt out, not bound: the words are ours, and the partial index needs to see them.
        let states: Vec<_> = filter.states.iter().map(|s| s.as_str()).collect();
        query.push(format_args!(
            " AND {t}.state IN ('{}')",
            states.join("', '")
        ));
    }
}

/// Newest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut query = QueryBuilder::new(ENTRY_COLUMNS);
    push_filter(&mut query, "r", filter);
    query
        .push(" ORDER BY r.created_ns DESC, r.num DESC LIMIT ")
        .push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

/// Entries of `ids`, in no order.
pub(crate) async fn entries(
    connection: &mut PgConnection,
    ids: &[RecordingId],
) -> Result<Vec<Entry>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let mut query = QueryBuilder::new(ENTRY_COLUMNS);
    query.push(" AND r.id = ANY(").push_bind(ids).push(")");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &PgRow) -> Result<Entry, Fault> {
    let description: &str = row.try_get(0)?;
    let text: Option<String> = row.try_get(1)?;
    Ok(Entry {
        recording: serde_json::from_str(description).map_err(Fault::unreadable)?,
        text: text.unwrap_or_default(),
    })
}

/// The lowest and the highest id that begin with these hexadecimal digits (dashes don't count);
/// `None` where no id does.
pub(crate) fn range(prefix: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = prefix.chars().filter(|c| *c != '-').collect();
    if digits.len() > 32 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let filled =
        |with: &str| Uuid::try_parse(&format!("{digits}{}", with.repeat(32 - digits.len())));
    Some((filled("0").ok()?, filled("f").ok()?))
}
