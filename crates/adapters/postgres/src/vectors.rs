//! Vectors, and the search by them.

use pgvector::Vector;
use speakr_core::ports::index::{EmbeddedPassage, Filter, PassageHit};
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

use crate::{
    fault::{Fault, PostgresError},
    index::{hit, push_limit},
    recordings::{Marks, push_filter},
};

/// Where there are fewer passages than this, all of them are compared.
const EXACT_BELOW: i64 = 5_000;
/// The same where a filter leaves so few. What passes may lie far from the query, and there the
/// index finds little of the best: 13 of 50 in this crate's test, with 5,000 of 6,600 passing.
pub(crate) const EXACT_BELOW_FILTERED: i64 = 20_000;

/// The index is asked for so many passages at most; more are found by comparing all.
const MOST_BY_INDEX: usize = 1_000;

/// How many more than wanted the index is asked for, and at least how many.
const WIDER: usize = 4;
const WIDER_MIN: usize = 200;

/// Longest vector that pgvector can index. Longer ones are found by comparing all. The function
/// `index_vectors_of` of the schema knows it too.
const INDEXABLE: i32 = 2_000;

/// Names the lock under which a model is made known.
const LOCK: i64 = 0x766d_6f64;

/// A model by its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) num: i32,
    pub(crate) dimensions: i32,
}

impl Model {
    /// Whether `vector` can be one of its.
    pub(crate) fn fits(self, vector: &[f32]) -> bool {
        usize::try_from(self.dimensions) == Ok(vector.len())
    }
}

/// The model `id`, where vectors of it were ever stored.
pub(crate) async fn model(connection: &mut PgConnection, id: &str) -> Result<Option<Model>, Fault> {
    let found: Option<(i32, i32)> =
        sqlx::query_as("SELECT num, dimensions FROM embedding_models WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|(num, dimensions)| Model { num, dimensions }))
}

/// The model `id`, made known with an index of its own where it isn't yet. Outside any other
/// transaction: making an index waits for all writers.
pub(crate) async fn ensure_model(
    connection: &mut PgConnection,
    id: &str,
    dimensions: usize,
) -> Result<Model, Fault> {
    if let Some(model) = model(connection, id).await? {
        return Ok(model);
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    if let Some(model) = model(&mut transaction, id).await? {
        return Ok(model);
    }
    let (num, dimensions): (i32, i32) = sqlx::query_as(
        "INSERT INTO embedding_models (id, dimensions) VALUES ($1, $2) RETURNING num, dimensions",
    )
    .bind(id)
    .bind(i32::try_from(dimensions).unwrap_or(i32::MAX))
    .fetch_one(&mut *transaction)
    .await?;
    // It takes as long as there are many vectors of other models. Until this transaction ends; any user may set
    // it. A lock is waited for no longer than elsewhere.
    sqlx::query("SELECT set_config('statement_timeout', '0', true)")
        .execute(&mut *transaction)
        .await?;
    sqlx::query("SELECT index_vectors_of($1)")
        .bind(num)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Model { num, dimensions })
}

/// Stores the vectors of passages of recording `recording`; `nums` are the passages' rows. Those
/// without a vector wait for one.
pub(crate) async fn put(
    connection: &mut PgConnection,
    model: Model,
    recording: i64,
    marks: &Marks,
    passages: &[EmbeddedPassage],
    nums: &[i64],
) -> Result<(), Fault> {
    let mut stored = (Vec::new(), Vec::new());
    for (passage, num) in passages.iter().zip(nums) {
        if passage.vector.is_empty() {
            continue;
        }
        if !model.fits(&passage.vector) {
            return Err(PostgresError::Dimensions {
                found: passage.vector.len(),
                wanted: usize::try_from(model.dimensions).unwrap_or(0),
            }
            .into());
        }
        stored.0.push(*num);
        stored.1.push(Vector::from(passage.vector.clone()));
    }
    sqlx::query(
        "INSERT INTO vectors (passage, recording, model, vector, tags, created_ns, state) \
         SELECT passage, $3, $4, vector, $5, $6, $7 \
         FROM unnest($1::bigint[], $2::vector[]) AS new (passage, vector)",
    )
    .bind(stored.0)
    .bind(stored.1)
    .bind(recording)
    .bind(model.num)
    .bind(&marks.tags)
    .bind(marks.created_ns)
    .bind(marks.state)
    .execute(connection)
    .await?;
    Ok(())
}

/// The best `limit` passages by cosine with `query`, best first, and all as good as the last.
pub(crate) async fn nearest(
    connection: &mut PgConnection,
    query: &[f32],
    model_id: &str,
    filter: &Filter,
    limit: usize,
    exact_below: i64,
) -> Result<Vec<PassageHit>, Fault> {
    let Some(model) = model(connection, model_id).await?.filter(|m| m.fits(query)) else {
        return Ok(Vec::new());
    };
    let everything = *filter == Filter::default();
    let exact_below = if everything { EXACT_BELOW } else { exact_below };
    let many = passing(connection, Some(model), filter, exact_below).await? >= exact_below;
    let by_index = many && limit <= MOST_BY_INDEX && model.dimensions <= INDEXABLE;
    if by_index {
        let found = search_index(connection, query, model, filter, limit).await?;
        // An index scan can end early where few pass the filter.
        if found.len() >= limit {
            return Ok(found);
        }
    }
    search(connection, query, model, filter, limit, false).await
}

/// How many passages pass `filter`, counted up to `most`; those with a vector alone.
pub(crate) async fn passing(
    connection: &mut PgConnection,
    model: Option<Model>,
    filter: &Filter,
    most: i64,
) -> Result<i64, Fault> {
    let mut query = if *filter == Filter::default() {
        QueryBuilder::new("SELECT passages FROM counts")
    } else {
        let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT FROM vectors v WHERE true");
        if let Some(model) = model {
            query.push(" AND v.model = ").push_bind(model.num);
        }
        push_filter(&mut query, "v", filter);
        query.push(" LIMIT ").push_bind(most).push(") AS counted");
        query
    };
    let count: i64 = query.build_query_scalar().fetch_one(connection).await?;
    Ok(count.min(most))
}

/// By the index, which the planner leaves aside where it thinks that few pass the filter: it knows
/// nothing of tags.
async fn search_index(
    connection: &mut PgConnection,
    query: &[f32],
    model: Model,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<PassageHit>, Fault> {
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "SELECT set_config('enable_seqscan', 'off', true), \
         set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)",
    )
    .execute(&mut *transaction)
    .await?;
    let found = search(&mut transaction, query, model, filter, limit, true).await?;
    transaction.rollback().await?;
    Ok(found)
}

async fn search(
    connection: &mut PgConnection,
    query: &[f32],
    model: Model,
    filter: &Filter,
    limit: usize,
    by_index: bool,
) -> Result<Vec<PassageHit>, Fault> {
    // The index is on the cast column: without the cast all are compared.
    let column = if by_index {
        format!("v.vector::vector({})", model.dimensions)
    } else {
        "v.vector".to_owned()
    };
    let mut sql: QueryBuilder<Postgres> =
        QueryBuilder::new("WITH found AS MATERIALIZED (SELECT v.passage, ");
    sql.push(&column)
        .push(" <=> ")
        .push_bind(Vector::from(query.to_vec()))
        // Spelt out, so that the planner sees which partial index it is.
        .push(format_args!(
            " AS distance FROM vectors v WHERE v.model = {}",
            model.num
        ));
    push_filter(&mut sql, "v", filter);
    sql.push(" ORDER BY distance");
    // The index gives them in about the right order.
    let wider = limit.saturating_mul(WIDER).max(WIDER_MIN);
    push_limit(&mut sql, if by_index { wider } else { limit });
    sql.push(
        ") SELECT r.id, p.ordinal, p.start_ms, p.end_ms, p.text, \
         1 - f.distance AS cosine, NULL::float8 AS coverage \
         FROM found f JOIN passages p ON p.num = f.passage \
         JOIN recordings r ON r.num = p.recording ORDER BY f.distance",
    );
    push_limit(&mut sql, limit);
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(hit).collect()
}
