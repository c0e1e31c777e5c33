//! The index port on SQLite.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::future::BoxFuture;
use speakr_core::{
    Recording, RecordingId, Transcript,
    ports::index::{EmbeddedPassage, Entry, Filter, Index, IndexError, Passage, PassageHit},
};
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::{
    fault::{self, Fault},
    keyword, open, recordings, vectors,
};

/// Most ids that a prefix brings.
const PREFIX_LIMIT: i64 = 10;

/// The index in one SQLite file. Several processes can use it at once.
#[derive(Debug, Clone)]
pub struct SqliteIndex {
    pool: SqlitePool,
    path: PathBuf,
}

impl SqliteIndex {
    /// Opens the index at `path`, made where it isn't there yet and brought to the newest schema;
    /// a copy from before goes into `backups`, of which the last few are kept for some weeks.
    ///
    /// # Errors
    /// [`IndexError::TooNew`] when only a newer speakr can use it, [`IndexError::Damaged`] when it
    /// isn't a database any more ([`crate::set_aside`] makes way for a new one), and
    /// [`IndexError::Database`].
    pub async fn open(path: &Path, backups: &Path) -> Result<Self, IndexError> {
        Ok(Self {
            pool: open::open(path, backups).await?,
            path: path.to_owned(),
        })
    }

    /// Closes all connections; the last of all processes leaves a single file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Reads in one transaction: what others write meanwhile isn't seen.
    async fn read<T, F>(&self, action: &'static str, work: F) -> Result<T, IndexError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>,
    {
        let read = async {
            let mut transaction = self.pool.begin().await?;
            let result = work(&mut transaction).await?;
            transaction.rollback().await?;
            Ok(result)
        };
        read.await
            .map_err(fault::database::<Fault>(action, &self.path))
    }

    /// Writes all of it or nothing. The write lock is taken at once and waited for: a transaction
    /// that becomes a writer later can't wait.
    async fn write<T, F>(&self, action: &'static str, work: F) -> Result<T, IndexError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>,
    {
        let write = async {
            let mut transaction: Transaction<'_, Sqlite> =
                self.pool.begin_with("BEGIN IMMEDIATE").await?;
            let result = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(result)
        };
        write
            .await
            .map_err(fault::database::<Fault>(action, &self.path))
    }
}

/// Takes passages, texts and vectors of recording `num` out; gives the number of passages.
async fn remove_passages(connection: &mut SqliteConnection, num: i64) -> Result<u64, Fault> {
    vectors::remove(connection, num).await?;
    sqlx::query(
        "DELETE FROM passages_text \
         WHERE rowid IN (SELECT num FROM passages WHERE recording = ?)",
    )
    .bind(num)
    .execute(&mut *connection)
    .await?;
    let removed = sqlx::query("DELETE FROM passages WHERE recording = ?")
        .bind(num)
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

async fn insert_passages(
    connection: &mut SqliteConnection,
    num: i64,
    recording: &Recording,
    passages: &[EmbeddedPassage],
    model: &str,
) -> Result<(), Fault> {
    let tags = keyword::tag_words(&recording.tags);
    let mut stored = Vec::with_capacity(passages.len());
    for EmbeddedPassage { passage, vector } in passages {
        let passage_num: u32 = sqlx::query_scalar(
            "INSERT INTO passages (recording, ordinal, start_ms, end_ms) VALUES (?, ?, ?, ?) \
             RETURNING num",
        )
        .bind(num)
        .bind(passage.ordinal)
        .bind(i64::try_from(passage.start_ms).unwrap_or(i64::MAX))
        .bind(i64::try_from(passage.end_ms).unwrap_or(i64::MAX))
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("INSERT INTO passages_text (rowid, text, tags) VALUES (?, ?, ?)")
            .bind(passage_num)
            .bind(&passage.text)
            .bind(&tags)
            .execute(&mut *connection)
            .await?;
        if !vector.is_empty() {
            stored.push((passage_num, vector.as_slice()));
        }
    }
    let Some((_, first)) = stored.first() else {
        return Ok(());
    };
    let model = vectors::ensure_model(connection, model, first.len()).await?;
    let num = u32::try_from(num).map_err(|_| Fault::damaged("too many recordings"))?;
    vectors::put(connection, model, num, &stored).await
}

async fn update_recording(
    connection: &mut SqliteConnection,
    recording: &Recording,
) -> Result<(), Fault> {
    let before = recordings::tags_of(connection, recording.recording_id).await?;
    let num = recordings::put(connection, recording).await?;
    if before.is_some_and(|tags| tags != recording.tags) {
        sqlx::query(
            "UPDATE passages_text SET tags = ? \
             WHERE rowid IN (SELECT num FROM passages WHERE recording = ?)",
        )
        .bind(keyword::tag_words(&recording.tags))
        .bind(num)
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn remove_recording(
    connection: &mut SqliteConnection,
    id: RecordingId,
) -> Result<Option<u64>, Fault> {
    let num: Option<i64> = sqlx::query_scalar("SELECT num FROM recordings WHERE id = ?")
        .bind(recordings::key(id))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(num) = num else {
        return Ok(None);
    };
    let removed = remove_passages(connection, num).await?;
    // Tags and text go with it.
    sqlx::query("DELETE FROM recordings WHERE num = ?")
        .bind(num)
        .execute(connection)
        .await?;
    Ok(Some(removed))
}

/// What a search found, before its passages are read.
#[derive(Default)]
struct Found {
    passage: u32,
    cosine: Option<f32>,
    coverage: Option<f32>,
}

/// Reads the passages of `found`, keeping their order; those of recordings that don't pass `filter`
/// are left out.
async fn read_hits(
    connection: &mut SqliteConnection,
    found: Vec<Found>,
) -> Result<Vec<PassageHit>, Fault> {
    let nums: Vec<u32> = found.iter().map(|f| f.passage).collect();
    let rows = sqlx::query(
        "SELECT p.num, r.id, p.ordinal, p.start_ms, p.end_ms, t.text \
         FROM json_each(?) found \
         CROSS JOIN passages p ON p.num = found.value \
         CROSS JOIN recordings r ON r.num = p.recording \
         CROSS JOIN passages_text t ON t.rowid = p.num",
    )
    .bind(format!("{nums:?}"))
    .fetch_all(connection)
    .await?;
    let mut passages = std::collections::HashMap::with_capacity(rows.len());
    for row in rows {
        let num: u32 = row.try_get(0)?;
        let (start_ms, end_ms): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        let passage = Passage {
            ordinal: row.try_get(2)?,
            start_ms: u64::try_from(start_ms).unwrap_or(0),
            end_ms: u64::try_from(end_ms).unwrap_or(0),
            text: row.try_get(5)?,
        };
        passages.insert(num, (recordings::id(row.try_get(1)?)?, passage));
    }
    Ok(found
        .into_iter()
        .filter_map(|f| {
            let (recording_id, passage) = passages.remove(&f.passage)?;
            Some(PassageHit {
                recording_id,
                passage,
                cosine: f.cosine,
                coverage: f.coverage,
            })
        })
        .collect())
}

async fn find_by_keywords(
    connection: &mut SqliteConnection,
    query: &str,
    vector: Option<(&[f32], &str)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<PassageHit>, Fault> {
    let hits = keyword::search(connection, query, filter, limit).await?;
    let nums: Vec<u32> = hits.iter().map(|hit| hit.passage).collect();
    let mut cosines = std::collections::HashMap::new();
    if let Some((vector, model)) = vector
        && let Some(model) = vectors::model(connection, model).await?
    {
        cosines.extend(vectors::cosines(connection, model, vector, &nums).await?);
    }
    let found = hits
        .into_iter()
        .map(|hit| Found {
            passage: hit.passage,
            cosine: cosines.get(&hit.passage).copied(),
            coverage: Some(hit.coverage),
        })
        .collect();
    read_hits(connection, found).await
}

async fn find_by_vector(
    connection: &mut SqliteConnection,
    vector: &[f32],
    model: &str,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<PassageHit>, Fault> {
    let Some(model) = vectors::model(connection, model).await? else {
        return Ok(Vec::new());
    };
    let passing = recordings::passing(connection, filter).await?;
    let found = vectors::nearest(connection, model, vector, passing.as_ref(), limit)
        .await?
        .into_iter()
        .map(|(passage, cosine)| Found {
            passage,
            cosine: Some(cosine),
            coverage: None,
        })
        .collect();
    read_hits(connection, found).await
}

fn ids_of(keys: Vec<String>) -> Result<Vec<RecordingId>, Fault> {
    keys.iter().map(|key| recordings::id(key)).collect()
}

#[async_trait]
impl Index for SqliteIndex {
    async fn upsert(
        &self,
        recording: &Recording,
        transcript: Option<&Transcript>,
        passages: &[EmbeddedPassage],
        model: &str,
    ) -> Result<(), IndexError> {
        let (recording, transcript) = (recording.clone(), transcript.cloned());
        let (passages, model) = (passages.to_vec(), model.to_owned());
        self.write("store a recording", |connection| {
            Box::pin(async move {
                let num = recordings::put(connection, &recording).await?;
                remove_passages(connection, num).await?;
                recordings::put_transcript(connection, num, transcript.as_ref(), &model).await?;
                insert_passages(connection, num, &recording, &passages, &model).await
            })
        })
        .await
    }

    async fn update(&self, recording: &Recording) -> Result<(), IndexError> {
        let recording = recording.clone();
        self.write("update a recording", |connection| {
            Box::pin(async move { update_recording(connection, &recording).await })
        })
        .await
    }

    async fn remove(&self, id: RecordingId) -> Result<u64, IndexError> {
        let removed = self
            .write("remove a recording", |connection| {
                Box::pin(remove_recording(connection, id))
            })
            .await?;
        if removed.is_some() {
            // What was deleted leaves the log too. Another process may be reading it; then the
            // next checkpoint does it.
            let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&self.pool)
                .await;
            if let Err(error) = checkpoint {
                tracing::debug!(%error, "the log is emptied later");
            }
        }
        Ok(removed.unwrap_or(0))
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, IndexError> {
        let filter = filter.clone();
        self.read("list", |connection| {
            Box::pin(async move { recordings::list(connection, &filter, limit).await })
        })
        .await
    }

    async fn entries(&self, ids: &[RecordingId]) -> Result<Vec<Entry>, IndexError> {
        let ids = ids.to_vec();
        self.read("read recordings", |connection| {
            Box::pin(async move { recordings::entries(connection, &ids).await })
        })
        .await
    }

    async fn ids(&self) -> Result<Vec<RecordingId>, IndexError> {
        self.read("list ids", |connection| {
            Box::pin(async move {
                // One row: thousands of small ones cost more than the text.
                let keys: Option<String> =
                    sqlx::query_scalar("SELECT group_concat(id, ' ') FROM recordings")
                        .fetch_one(connection)
                        .await?;
                keys.unwrap_or_default()
                    .split_ascii_whitespace()
                    .map(recordings::id)
                    .collect()
            })
        })
        .await
    }

    async fn agreed_mark(&self) -> Result<Option<String>, IndexError> {
        self.read("look when it agreed with the recordings", |connection| {
            Box::pin(async move {
                Ok(
                    sqlx::query_scalar("SELECT value FROM meta WHERE key = 'agreed_mark'")
                        .fetch_optional(connection)
                        .await?,
                )
            })
        })
        .await
    }

    async fn remember_mark(&self, mark: &str) -> Result<(), IndexError> {
        let mark = mark.to_owned();
        self.write(
            "remember that it agrees with the recordings",
            |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "INSERT OR REPLACE INTO meta (key, value) VALUES ('agreed_mark', ?)",
                    )
                    .bind(mark)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            },
        )
        .await
    }

    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<RecordingId>, IndexError> {
        let digits: String = prefix
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        self.read("look up an id", |connection| {
            Box::pin(async move {
                // "g" comes right after the last hexadecimal digit.
                let keys = sqlx::query_scalar(
                    "SELECT id FROM recordings WHERE id >= ?1 AND id < ?1 || 'g' \
                     ORDER BY id LIMIT ?2",
                )
                .bind(digits)
                .bind(PREFIX_LIMIT)
                .fetch_all(connection)
                .await?;
                ids_of(keys)
            })
        })
        .await
    }

    async fn keyword_hits(
        &self,
        query: &str,
        vector: Option<(&[f32], &str)>,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        let (query, filter) = (query.to_owned(), filter.clone());
        let vector = vector.map(|(vector, model)| (vector.to_vec(), model.to_owned()));
        self.read("search by keywords", |connection| {
            Box::pin(async move {
                let vector = vector
                    .as_ref()
                    .map(|(v, model)| (v.as_slice(), model.as_str()));
                find_by_keywords(connection, &query, vector, &filter, limit).await
            })
        })
        .await
    }

    async fn vector_hits(
        &self,
        vector: &[f32],
        model: &str,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<PassageHit>, IndexError> {
        let (vector, model, filter) = (vector.to_vec(), model.to_owned(), filter.clone());
        self.read("search by meaning", |connection| {
            Box::pin(
                async move { find_by_vector(connection, &vector, &model, &filter, limit).await },
            )
        })
        .await
    }

    async fn other_models(&self, model: &str) -> Result<Vec<String>, IndexError> {
        let model = model.to_owned();
        self.read("look by which model it was embedded", |connection| {
            Box::pin(async move {
                // In one look: between two the first text of `model` may come.
                Ok(sqlx::query_scalar(
                    "SELECT DISTINCT embedded_by FROM transcripts WHERE embedded_by <> '' \
                     AND NOT EXISTS (SELECT 1 FROM transcripts WHERE embedded_by = ?) ORDER BY 1",
                )
                .bind(model)
                .fetch_all(connection)
                .await?)
            })
        })
        .await
    }

    async fn not_embedded_by(
        &self,
        model: &str,
        limit: usize,
    ) -> Result<Vec<RecordingId>, IndexError> {
        let model = model.to_owned();
        self.read("look for what isn't embedded", |connection| {
            Box::pin(async move {
                // Two ranges of the index; "<>" is none.
                let keys = sqlx::query_scalar(
                    "SELECT r.id FROM transcripts t JOIN recordings r ON r.num = t.recording \
                     WHERE (t.embedded_by < ?1 OR t.embedded_by > ?1) AND trim(t.text) <> '' \
                     LIMIT ?2",
                )
                .bind(model)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(connection)
                .await?;
                ids_of(keys)
            })
        })
        .await
    }
}
