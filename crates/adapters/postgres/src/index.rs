//! The index port on PostgreSQL.

use async_trait::async_trait;
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::index::{EmbeddedPassage, Entry, Filter, Index, IndexError, Passage, PassageHit},
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    counts::Change,
    database::Database,
    fault::{Fault, Tries},
    keyword,
    recordings::{self, Marks},
    vectors::{self, Model},
    words,
};

/// Most ids that a prefix brings.
const PREFIX_LIMIT: i64 = 10;

/// Does `$once` until it succeeds or fails for good, and names the place then.
macro_rules! persist {
    ($index:ident, $action:literal, $once:expr) => {{
        let mut tries = Tries::default();
        loop {
            match $once.await {
                Err(fault) if tries.again(&fault).await => {}
                done => {
                    break done.map_err(|fault: Fault| fault.at($action, $index.database.place()));
                }
            }
        }
    }};
}

/// The index in one PostgreSQL database. Any number of processes can use it at once.
#[derive(Debug, Clone)]
pub struct PostgresIndex {
    database: Database,
    exact_below: i64,
}

impl PostgresIndex {
    pub(crate) const fn new(database: Database) -> Self {
        Self {
            database,
            exact_below: vectors::EXACT_BELOW_FILTERED,
        }
    }

    /// The same index, where all passages that pass a filter are compared when they are fewer than
    /// `passages`, 20,000 unless told.
    #[must_use]
    pub const fn exact_below(mut self, passages: i64) -> Self {
        self.exact_below = passages;
        self
    }

    /// Puts all of a recording in, in one transaction.
    async fn store(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
        passages: &[EmbeddedPassage],
        model: &str,
    ) -> Result<(), Fault> {
        let mut connection = self.database.pool().acquire().await?;
        let model_id = words::storable(model);
        let first = passages.iter().find(|p| !p.vector.is_empty());
        let model = match first {
            None => None,
            Some(p) => {
                Some(vectors::ensure_model(&mut connection, &model_id, p.vector.len()).await?)
            }
        };
        let id = recording.recording_id;
        let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
        recordings::lock(&mut transaction, id).await?;
        if recordings::is_buried(&mut transaction, id).await? {
            tracing::info!(recording_id = %id, "it was deleted: what comes late is not stored");
            return Ok(());
        }
        let marks = Marks::of(recording);
        let num = recordings::put(&mut transaction, recording, &marks).await?;
        let (_, mut change) = remove_passages(&mut transaction, num).await?;
        recordings::put_transcript(&mut transaction, num, transcript, &model_id).await?;
        insert_passages(&mut transaction, num, &marks, passages, model).await?;
        for passage in passages {
            change.add(words::distinct(&words::storable(&passage.passage.text)));
        }
        change.store(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn describe(&self, recording: &Recording) -> Result<(), Fault> {
        let id = recording.recording_id;
        let mut transaction = self.database.pool().begin().await?;
        recordings::lock(&mut transaction, id).await?;
        if recordings::is_buried(&mut transaction, id).await? {
            return Ok(());
        }
        let marks = Marks::of(recording);
        let num = recordings::put(&mut transaction, recording, &marks).await?;
        for table in [
            "UPDATE passages SET tags = $2, created_ns = $3, state = $4 WHERE recording = $1 \
             AND (tags, created_ns, state) IS DISTINCT FROM ($2, $3, $4)",
            "UPDATE vectors SET tags = $2, created_ns = $3, state = $4 WHERE recording = $1 \
             AND (tags, created_ns, state) IS DISTINCT FROM ($2, $3, $4)",
        ] {
            sqlx::query(table)
                .bind(num)
                .bind(&marks.tags)
                .bind(marks.created_ns)
                .bind(marks.state)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn take_out(&self, id: RecordingId, for_good: bool) -> Result<u64, Fault> {
        let mut transaction = self.database.pool().begin().await?;
        recordings::lock(&mut transaction, id).await?;
        if for_good {
            recordings::bury(&mut transaction, id).await?;
        }
        let mut removed = 0;
        if let Some(num) = recordings::number(&mut transaction, id).await? {
            let change;
            (removed, change) = remove_passages(&mut transaction, num).await?;
            // The text goes with it.
            sqlx::query("DELETE FROM recordings WHERE num = $1")
                .bind(num)
                .execute(&mut *transaction)
                .await?;
            change.store(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(removed)
    }

    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<Postgres>, Fault> {
        Ok(self.database.pool().acquire().await?)
    }
}

/// Takes passages and vectors of recording `num` out; gives the number of passages, and what that
/// changes of the counts.
async fn remove_passages(connection: &mut PgConnection, num: i64) -> Result<(u64, Change), Fault> {
    sqlx::query("DELETE FROM vectors WHERE recording = $1")
        .bind(num)
        .execute(&mut *connection)
        .await?;
    let removed: Vec<Vec<String>> = sqlx::query_scalar(
        "DELETE FROM passages WHERE recording = $1 RETURNING tsvector_to_array(words)",
    )
    .bind(num)
    .fetch_all(connection)
    .await?;
    let number = removed.len() as u64;
    let mut change = Change::default();
    for words in removed {
        change.take(words);
    }
    Ok((number, change))
}

async fn insert_passages(
    connection: &mut PgConnection,
    num: i64,
    marks: &Marks,
    passages: &[EmbeddedPassage],
    model: Option<Model>,
) -> Result<(), Fault> {
    if passages.is_empty() {
        return Ok(());
    }
    let ms = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    let all = || passages.iter().map(|p| &p.passage);
    let ordinals: Vec<i64> = all().map(|p| p.ordinal.into()).collect();
    let stored: Vec<(i64, i64)> = sqlx::query_as(
        "INSERT INTO passages \
         (recording, ordinal, start_ms, end_ms, text, words, tags, created_ns, state) \
         SELECT $1, ordinal, start_ms, end_ms, text, words::tsvector, $2, $3, $4 \
         FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[]) \
         AS new (ordinal, start_ms, end_ms, text, words) RETURNING ordinal, num",
    )
    .bind(num)
    .bind(&marks.tags)
    .bind(marks.created_ns)
    .bind(marks.state)
    .bind(&ordinals)
    .bind(all().map(|p| ms(p.start_ms)).collect::<Vec<_>>())
    .bind(all().map(|p| ms(p.end_ms)).collect::<Vec<_>>())
    .bind(all().map(|p| words::storable(&p.text)).collect::<Vec<_>>())
    .bind(all().map(|p| words::vector(&p.text)).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let Some(model) = model else {
        return Ok(());
    };
    let by_ordinal: std::collections::HashMap<i64, i64> = stored.into_iter().collect();
    let nums: Vec<i64> = ordinals
        .iter()
        .filter_map(|ordinal| by_ordinal.get(ordinal).copied())
        .collect();
    vectors::put(connection, model, num, marks, passages, &nums).await
}

/// Cuts a sorted query to `limit` rows and those that rank the same as the last of them.
pub(crate) fn push_limit(query: &mut QueryBuilder<Postgres>, limit: usize) {
    query
        .push(" FETCH FIRST (")
        .push_bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .push("::bigint) ROWS WITH TIES");
}

/// A passage that was found: id, ordinal, times, text, cosine, coverage.
pub(crate) fn hit(row: &PgRow) -> Result<PassageHit, Fault> {
    let (ordinal, start_ms, end_ms): (i64, i64, i64) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let cosine: Option<f64> = row.try_get(5)?;
    let coverage: Option<f64> = row.try_get(6)?;
    Ok(PassageHit {
        recording_id: RecordingId::from(row.try_get::<Uuid, _>(0)?),
        passage: Passage {
            ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
            start_ms: u64::try_from(start_ms).unwrap_or(0),
            end_ms: u64::try_from(end_ms).unwrap_or(0),
            text: row.try_get(4)?,
        },
        cosine: cosine.map(|c| (c as f32).clamp(-1.0, 1.0)),
        coverage: coverage.map(|c| (c as f32).clamp(0.0, 1.0)),
    })
}

fn ids_of(ids: Vec<Uuid>) -> Vec<RecordingId> {
    ids.into_iter().map(RecordingId::from).collect()
}

#[async_trait]
impl Index for PostgresIndex {
    async fn upsert(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
        passages: &[EmbeddedPassage],
        model: &str,
    ) -> Result<(), IndexError> {
        persist!(
            self,
            "store a recording",
            self.store(recording, transcript, passages, model)
        )
    }

    async fn update(&self, recording: &Recording) -> Result<(), IndexError> {
        persist!(self, "update a recording", self.describe(recording))
    }

    async fn remove(&self, id: RecordingId) -> Result<u64, IndexError> {
        persist!(self, "remove a recording", self.take_out(id, false))
    }

    async fn bury(&self, id: RecordingId) -> Result<u64, IndexError> {
        persist!(self, "delete a recording", self.take_out(id, true))
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, IndexError> {
        persist!(self, "list", async {
            recordings::list(&mut *self.connection().await?, filter, limit).await
        })
    }

    async fn entries(&self, ids: &[RecordingId]) -> Result<Vec<Entry>, IndexError> {
        persist!(self, "read recordings", async {
            recordings::entries(&mut *self.connection().await?, ids).await
        })
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, IndexError> {
        persist!(self, "list ids", async {
            let ids = sqlx::query_scalar("SELECT id FROM recordings")
                .fetch_all(&mut *self.connection().await?)
                .await?;
            Ok(ids_of(ids))
        })
    }

    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RecordingId>, IndexError> {
        let Some((lowest, highest)) = recordings::range(prefix) else {
            return Ok(Vec::new());
        };
        persist!(self, "look up an id", async {
            let ids = sqlx::query_scalar(
                "SELECT id FROM recordings WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3",
            )
            .bind(lowest)
            .bind(highest)
            .bind(PREFIX_LIMIT)
            .fetch_all(&mut *self.connection().await?)
            .await?;
            Ok(ids_of(ids))
        })
    }

    async fn keyword_hits(
        &self,
        query: &str,
        vector: Option<(&[f32], &str)>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        persist!(self, "search by keywords", async {
            keyword::search(&mut *self.connection().await?, query, vector, filter, limit).await
        })
    }

    async fn vector_hits(
        &self,
        vector: &[f32],
        model: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        persist!(self, "search by meaning", async {
            let connection = &mut *self.connection().await?;
            vectors::nearest(connection, vector, model, filter, limit, self.exact_below).await
        })
    }

    async fn other_models(&self, model: &str) -> Result<Vec<String>, IndexError> {
        persist!(self, "look by which model it was embedded", async {
            let mut connection = self.connection().await?;
            // In one look: between two the first text of `model` may come.
            Ok(sqlx::query_scalar(
                "SELECT DISTINCT embedded_by FROM transcripts WHERE embedded_by <> '' \
                 AND NOT EXISTS (SELECT FROM transcripts WHERE embedded_by = $1) ORDER BY 1",
            )
            .bind(words::storable(model))
            .fetch_all(&mut *connection)
            .await?)
        })
    }

    async fn not_embedded_by(
        &self,
        model: &str,
        limit: usize,
    ) -> Result<Vec<RecordingId>, IndexError> {
        persist!(self, "look for what isn't embedded", async {
            let ids = sqlx::query_scalar(
                "SELECT r.id FROM transcripts t JOIN recordings r ON r.num = t.recording \
                 WHERE t.embedded_by <> $1 AND btrim(t.text) <> '' LIMIT $2",
            )
            .bind(words::storable(model))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.connection().await?)
            .await?;
            Ok(ids_of(ids))
        })
    }
}
