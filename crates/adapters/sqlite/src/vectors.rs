//! Vectors: kept as the model gave them, scanned in few bits.
//!
//! A scan estimates the product of the query with every vector from [`codes`], many vectors to a
//! row; the best are computed again from the vectors themselves, so that the cosines told are
//! exact. Models are never mixed: a block holds vectors of one.

use futures::TryStreamExt;
use simsimd::SpatialSimilarity;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    codes::{self, Coded, Query},
    fault::Fault,
    recordings::Numbers,
};

/// Vectors in one block. More make scans faster and writes larger.
const BLOCK_VECTORS: usize = 1_024;

/// How many more than wanted are computed again exactly, and at least how many: what the estimate
/// puts just outside may belong inside.
const RESCORE_FACTOR: usize = 10;
const RESCORE_MIN: usize = 1_000;

fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// A model by its row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model {
    num: i64,
    dimensions: usize,
}

/// The model `id`, where vectors of it were ever stored.
pub(crate) async fn model(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Option<Model>, Fault> {
    let row = sqlx::query("SELECT num, dimensions FROM embedding_models WHERE id = ?")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(|row| {
        let dimensions: i64 = row.try_get(1)?;
        Ok(Model {
            num: row.try_get(0)?,
            dimensions: usize::try_from(dimensions)
                .map_err(|_| Fault::damaged("a model of negative dimensions"))?,
        })
    })
    .transpose()
}

/// The model `id`, made known where it isn't yet.
pub(crate) async fn ensure_model(
    connection: &mut SqliteConnection,
    id: &str,
    dimensions: usize,
) -> Result<Model, Fault> {
    sqlx::query("INSERT OR IGNORE INTO embedding_models (id, dimensions) VALUES (?, ?)")
        .bind(id)
        .bind(i64::try_from(dimensions).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    model(connection, id)
        .await?
        .ok_or_else(|| Fault::damaged("a model vanished"))
}

/// One block, in memory.
#[derive(Debug, Default)]
struct Block {
    recordings: Vec<u8>,
    passages: Vec<u8>,
    scales: Vec<u8>,
    codes: Vec<u8>,
}

impl Block {
    fn read(row: &SqliteRow) -> Result<Self, Fault> {
        Ok(Self {
            recordings: row.try_get("recordings")?,
            passages: row.try_get("passages")?,
            scales: row.try_get("scales")?,
            codes: row.try_get("codes")?,
        })
    }

    fn count(&self) -> usize {
        self.passages.len() / 4
    }

    fn push(&mut self, recording: u32, passage: u32, coded: &Coded) {
        self.recordings.extend(recording.to_le_bytes());
        self.passages.extend(passage.to_le_bytes());
        self.scales.extend(coded.scale.to_le_bytes());
        self.codes.extend(&coded.codes);
    }

    /// Drops the vectors of the passages that `gone` names.
    fn drop_passages(&mut self, gone: impl Fn(u32) -> bool) {
        let kept: Vec<usize> = u32s(&self.passages)
            .enumerate()
            .filter(|(_, passage)| !gone(*passage))
            .map(|(slot, _)| slot)
            .collect();
        let count = self.count().max(1);
        for column in [
            &mut self.recordings,
            &mut self.passages,
            &mut self.scales,
            &mut self.codes,
        ] {
            let width = column.len() / count;
            *column = kept
                .iter()
                .flat_map(|slot| column[slot * width..(slot + 1) * width].iter().copied())
                .collect();
        }
    }
}

/// Stores the vectors of the passages of one recording.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    model: Model,
    recording: u32,
    vectors: &[(u32, &[f32])],
) -> Result<(), Fault> {
    let mut left = vectors;
    while !left.is_empty() {
        let row = sqlx::query(
            "SELECT num, recordings, passages, scales, codes FROM vector_blocks \
             WHERE model = ? AND count < ? LIMIT 1",
        )
        .bind(model.num)
        .bind(BLOCK_VECTORS as i64)
        .fetch_optional(&mut *connection)
        .await?;
        let (num, mut block): (Option<i64>, Block) = match &row {
            Some(row) => (Some(row.try_get("num")?), Block::read(row)?),
            None => (None, Block::default()),
        };
        let room = BLOCK_VECTORS.saturating_sub(block.count()).max(1);
        let (now, later) = left.split_at(room.min(left.len()));
        for (passage, vector) in now {
            if vector.len() != model.dimensions {
                return Err(Fault::damaged(format!(
                    "a vector of {} numbers for a model of {}",
                    vector.len(),
                    model.dimensions
                )));
            }
            block.push(recording, *passage, &codes::encode(vector));
        }
        let num = write_block(connection, num, model, &block).await?;
        for (passage, vector) in now {
            sqlx::query("INSERT INTO vectors (passage, model, block, vector) VALUES (?, ?, ?, ?)")
                .bind(passage)
                .bind(model.num)
                .bind(num)
                .bind(to_bytes(vector))
                .execute(&mut *connection)
                .await?;
        }
        left = later;
    }
    Ok(())
}

async fn write_block(
    connection: &mut SqliteConnection,
    num: Option<i64>,
    model: Model,
    block: &Block,
) -> Result<i64, Fault> {
    let num: i64 = sqlx::query_scalar(
        "INSERT OR REPLACE INTO vector_blocks (num, model, count, recordings, passages, scales, \
         codes) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING num",
    )
    .bind(num)
    .bind(model.num)
    .bind(i64::try_from(block.count()).unwrap_or(i64::MAX))
    .bind(&block.recordings)
    .bind(&block.passages)
    .bind(&block.scales)
    .bind(&block.codes)
    .fetch_one(connection)
    .await?;
    Ok(num)
}

/// Takes the vectors of all passages of recording `recording` out of their blocks.
pub(crate) async fn remove(connection: &mut SqliteConnection, recording: i64) -> Result<(), Fault> {
    let blocks: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT v.block FROM vectors v JOIN passages p ON p.num = v.passage \
         WHERE p.recording = ?",
    )
    .bind(recording)
    .fetch_all(&mut *connection)
    .await?;
    let gone: std::collections::HashSet<u32> =
        sqlx::query_scalar("SELECT num FROM passages WHERE recording = ?")
            .bind(recording)
            .fetch_all(&mut *connection)
            .await?
            .into_iter()
            .collect();
    for num in blocks {
        let row = sqlx::query(
            "SELECT model, recordings, passages, scales, codes FROM vector_blocks WHERE num = ?",
        )
        .bind(num)
        .fetch_one(&mut *connection)
        .await?;
        let mut block = Block::read(&row)?;
        block.drop_passages(|passage| gone.contains(&passage));
        if block.count() == 0 {
            sqlx::query("DELETE FROM vector_blocks WHERE num = ?")
                .bind(num)
                .execute(&mut *connection)
                .await?;
        } else {
            let model = Model {
                num: row.try_get("model")?,
                dimensions: 0,
            };
            write_block(connection, Some(num), model, &block).await?;
        }
    }
    sqlx::query(
        "DELETE FROM vectors WHERE passage IN (SELECT num FROM passages WHERE recording = ?)",
    )
    .bind(recording)
    .execute(connection)
    .await?;
    Ok(())
}

/// The best `limit` passages by cosine with `query` among the recordings in `passing` (all where
/// absent), best first, with exact cosines; and all that are as good as the last of them, so that
/// what is found doesn't depend on the order in which passages were stored.
pub(crate) async fn nearest(
    connection: &mut SqliteConnection,
    model: Model,
    query: &[f32],
    passing: Option<&Numbers>,
    limit: usize,
) -> Result<Vec<(u32, f32)>, Fault> {
    if query.len() != model.dimensions || limit == 0 {
        return Ok(Vec::new());
    }
    let mut scored = scan(connection, model, &mut Query::new(query), passing).await?;
    let rescored = limit.saturating_mul(RESCORE_FACTOR).max(RESCORE_MIN);
    if scored.len() > rescored {
        let (_, (least, _), _) =
            scored.select_nth_unstable_by(rescored, |a, b| b.0.total_cmp(&a.0));
        let least = *least;
        scored.retain(|(score, _)| *score >= least);
    }
    let passages: Vec<u32> = scored.into_iter().map(|(_, passage)| passage).collect();
    let mut exact = cosines(connection, model, query, &passages).await?;
    exact.sort_by(|a, b| b.1.total_cmp(&a.1));
    cut(&mut exact, limit, |(_, cosine)| *cosine);
    Ok(exact)
}

/// Cuts `sorted` to its first `limit` items and those that rank the same as the last of them.
pub(crate) fn cut<T, K: PartialEq>(sorted: &mut Vec<T>, limit: usize, rank: impl Fn(&T) -> K) {
    let Some(last) = limit.checked_sub(1).and_then(|last| sorted.get(last)) else {
        if limit == 0 {
            sorted.clear();
        }
        return;
    };
    let least = rank(last);
    let ties = sorted[limit..]
        .iter()
        .take_while(|item| rank(item) == least)
        .count();
    sorted.truncate(limit + ties);
}

/// Every passage with its estimated score, in no order.
async fn scan(
    connection: &mut SqliteConnection,
    model: Model,
    query: &mut Query,
    passing: Option<&Numbers>,
) -> Result<Vec<(f32, u32)>, Fault> {
    let mut scored = Vec::new();
    let mut rows = match passing {
        None => sqlx::query(
            "SELECT recordings, passages, scales, codes FROM vector_blocks WHERE model = ?",
        )
        .bind(model.num),
        Some(passing) => {
            let blocks = blocks_with(connection, model, passing).await?;
            sqlx::query(
                "SELECT recordings, passages, scales, codes FROM vector_blocks \
                 WHERE num IN (SELECT value FROM json_each(?))",
            )
            .bind(format!("{blocks:?}"))
        }
    }
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let recordings: &[u8] = row.try_get(0)?;
        let passages: &[u8] = row.try_get(1)?;
        let scales: &[u8] = row.try_get(2)?;
        let codes: &[u8] = row.try_get(3)?;
        if codes.len() != passages.len() / 4 * query.width() {
            return Err(Fault::damaged("a block of vectors is cut short"));
        }
        let vectors = u32s(recordings)
            .zip(u32s(passages))
            .zip(scales.chunks_exact(4))
            .zip(codes.chunks_exact(query.width()));
        for (((recording, passage), scale), codes) in vectors {
            if passing.is_some_and(|p| !p.contains(recording)) {
                continue;
            }
            let scale = f32::from_le_bytes([scale[0], scale[1], scale[2], scale[3]]);
            scored.push((query.product(codes, scale), passage));
        }
    }
    Ok(scored)
}

/// The blocks that hold a vector of a recording in `passing`.
async fn blocks_with(
    connection: &mut SqliteConnection,
    model: Model,
    passing: &Numbers,
) -> Result<Vec<i64>, Fault> {
    let mut rows = sqlx::query("SELECT num, recordings FROM vector_blocks WHERE model = ?")
        .bind(model.num)
        .fetch(connection);
    let mut blocks = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let recordings: &[u8] = row.try_get(1)?;
        if u32s(recordings).any(|num| passing.contains(num)) {
            blocks.push(row.try_get(0)?);
        }
    }
    Ok(blocks)
}

/// Exact cosines of `query` with those of `passages` that `model` embedded. Vectors are of unit
/// length, so it is the product.
pub(crate) async fn cosines(
    connection: &mut SqliteConnection,
    model: Model,
    query: &[f32],
    passages: &[u32],
) -> Result<Vec<(u32, f32)>, Fault> {
    let mut rows = sqlx::query(
        "SELECT passage, vector FROM vectors \
         WHERE model = ? AND passage IN (SELECT value FROM json_each(?))",
    )
    .bind(model.num)
    .bind(format!("{passages:?}"))
    .fetch(connection);
    let mut cosines = Vec::with_capacity(passages.len());
    while let Some(row) = rows.try_next().await? {
        let vector = from_bytes(row.try_get(1)?);
        let product = f32::dot(query, &vector)
            .ok_or_else(|| Fault::damaged("vectors of different lengths"))?;
        cosines.push((row.try_get(0)?, (product as f32).clamp(-1.0, 1.0)));
    }
    Ok(cosines)
}
