//! Keyword search: any text is a query, weighed by how rare its words are.

use pgvector::Vector;
use speakr_core::{
    keywords::{self, COUNT_CAP, Choice},
    ports::index::{Filter, PassageHit},
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    fault::Fault,
    index::{hit, push_limit},
    recordings::push_filter,
    vectors::{self, Model},
    words::{folded, quoted, stem},
};

/// A word of the query.
#[derive(Debug)]
struct Term {
    /// As the database's text search takes it.
    quoted: String,
    /// Its share of the weight of all words of the query.
    share: f64,
}

/// The best `limit` passages that hold words of `query`: by the share of the words (by weight) that
/// they hold, then by how often and how close; and all as good as the last of them. With a `vector`
/// of that model they bear their cosine.
pub(crate) async fn search(
    connection: &mut PgConnection,
    query: &str,
    vector: Option<(&[f32], &str)>,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<PassageHit>, Fault> {
    let words: Vec<String> = keywords::words(&folded(query))
        .iter()
        .map(|word| quoted(&stem(word)))
        .collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let (held_by, passages) = counts(connection, &words).await?;
    let Some(choice) = Choice::of(&held_by, passages) else {
        return Ok(Vec::new());
    };
    let vector = match vector {
        None => None,
        Some((vector, id)) => vectors::model(connection, id)
            .await?
            .filter(|model| model.fits(vector))
            .map(|model| (vector, model)),
    };
    let expression = expression(&words, &choice);
    let weights: Vec<f64> = held_by
        .iter()
        .map(|count| match keywords::tells(*count, &held_by) {
            true => keywords::weight(*count, passages),
            false => 0.0,
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let terms = words.into_iter().zip(weights).map(|(quoted, weight)| Term {
        quoted,
        share: weight / total,
    });
    let mut sql = build(
        &terms.collect::<Vec<_>>(),
        &expression,
        vector,
        filter,
        limit,
    );
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(hit).collect()
}

/// How many passages hold each of `words`, counted up to [`COUNT_CAP`], and how many there are.
async fn counts(connection: &mut PgConnection, words: &[String]) -> Result<(Vec<u32>, u32), Fault> {
    let (held_by, passages): (Vec<i64>, i64) = sqlx::query_as(
        "SELECT array(SELECT (SELECT count(*) FROM (SELECT FROM passages p \
         WHERE p.words @@ w.word::tsquery LIMIT $2) AS counted) \
         FROM unnest($1::text[]) WITH ORDINALITY AS w (word, place) ORDER BY w.place), \
         (SELECT passages FROM counts)",
    )
    .bind(words)
    .bind(i64::from(COUNT_CAP))
    .fetch_one(connection)
    .await?;
    let small = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
    Ok((held_by.into_iter().map(small).collect(), small(passages)))
}

/// The text search for `choice`.
fn expression(words: &[String], choice: &Choice) -> String {
    let join = |chosen: &[usize], with: &str| {
        let chosen: Vec<_> = chosen.iter().map(|i| words[*i].as_str()).collect();
        chosen.join(with)
    };
    match choice {
        Choice::Any(chosen) => join(chosen, " | "),
        Choice::All(chosen) => join(chosen, " & "),
    }
}

fn build(
    terms: &[Term],
    expression: &str,
    vector: Option<(&[f32], Model)>,
    filter: &Filter,
    limit: usize,
) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("WITH found AS MATERIALIZED (SELECT p.num, ");
    for (i, term) in terms.iter().enumerate() {
        sql.push(if i == 0 { "" } else { " + " })
            .push("CASE WHEN p.words @@ ")
            .push_bind(term.quoted.clone())
            .push("::tsquery THEN ")
            .push_bind(term.share)
            .push(" ELSE 0 END");
    }
    sql.push(" AS coverage, ts_rank(p.words, ")
        .push_bind(expression.to_owned())
        // Long passages hold a word sooner: divided by the logarithm of the length.
        .push("::tsquery, 1) AS rank FROM passages p WHERE p.words @@ ")
        .push_bind(expression.to_owned())
        .push("::tsquery");
    push_filter(&mut sql, "p", filter);
    sql.push(" ORDER BY coverage DESC, rank DESC");
    push_limit(&mut sql, limit);
    sql.push(") SELECT r.id, p.ordinal, p.start_ms, p.end_ms, p.text, ");
    match vector {
        None => sql.push("NULL::float8 AS cosine"),
        Some((vector, _)) => sql
            .push("1 - (v.vector <=> ")
            .push_bind(Vector::from(vector.to_vec()))
            .push(") AS cosine"),
    };
    sql.push(
        ", f.coverage FROM found f JOIN passages p ON p.num = f.num \
         JOIN recordings r ON r.num = p.recording",
    );
    if let Some((_, model)) = vector {
        sql.push(" LEFT JOIN vectors v ON v.passage = f.num AND v.model = ")
            .push_bind(model.num);
    }
    sql.push(" ORDER BY f.coverage DESC, f.rank DESC");
    sql
}
