//! Keyword search: any text is a query, weighed by how rare its words are.

use pgvector::Vector;
use speakr_core::{
    keywords::{self, COUNT_CAP, Choice},
    ports::index::{Filter, PassageHit},
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use self::threshold::Held;
use crate::{
    fault::Fault,
    index::{hit, push_limit},
    recordings::push_filter,
    vectors::{self, Model},
    words::{folded, quoted, stem},
};

mod threshold;

/// How many times more passages than wanted are expected to be ranked, at first and when those were
/// too few. After that all are that hold a word.
const WIDTHS: [f64; 2] = [2.0, 40.0];

/// Where a filter leaves fewer passages than this, all of them that hold a word are ranked.
const ALL_BELOW: i64 = 5_000;

/// A word of the query.
#[derive(Debug)]
struct Term {
    /// As the database's text search takes it.
    quoted: String,
    /// Its share of the weight of all words of the query.
    share: f64,
    /// How many passages hold it, at most [`COUNT_CAP`].
    held_by: u32,
}

/// What is looked for.
#[derive(Debug)]
struct Search<'a> {
    terms: Vec<Term>,
    /// With this the best bear their cosine.
    vector: Option<(&'a [f32], Model)>,
    filter: &'a Filter,
    limit: usize,
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
        .map(|word| stem(word))
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
    let tells = |count| keywords::tells(count, &held_by);
    let search = Search {
        terms: terms(&words, &held_by, passages, tells),
        vector,
        filter,
        limit,
    };
    let found = search.chosen(connection, passages, &choice).await?;
    match choice.widened(&held_by) {
        Some(wider) if !keywords::will_do(found.len(), limit, filter) => {
            let search = Search {
                terms: terms(&words, &held_by, passages, |_| true),
                ..search
            };
            search.chosen(connection, passages, &wider).await
        }
        _ => Ok(found),
    }
}

/// How many passages hold each of `words`, at most [`COUNT_CAP`], and how many there are.
async fn counts(connection: &mut PgConnection, words: &[String]) -> Result<(Vec<u32>, u32), Fault> {
    let (held_by, passages): (Vec<i64>, i64) = sqlx::query_as(
        "SELECT array(SELECT coalesce(c.passages, 0) FROM unnest($1::text[]) \
         WITH ORDINALITY AS w (word, place) LEFT JOIN word_counts c ON c.word = w.word \
         ORDER BY w.place), (SELECT passages FROM counts)",
    )
    .bind(words)
    .fetch_one(connection)
    .await?;
    let small = |count: i64| u32::try_from(count.max(0)).unwrap_or(u32::MAX);
    let capped = |count| small(count).min(COUNT_CAP);
    Ok((held_by.into_iter().map(capped).collect(), small(passages)))
}

/// The words with their weights; one that is held by as many as tells nothing has none.
fn terms(
    words: &[String],
    held_by: &[u32],
    passages: u32,
    tells: impl Fn(u32) -> bool,
) -> Vec<Term> {
    let weights: Vec<f64> = held_by
        .iter()
        .map(|count| match tells(*count) {
            true => keywords::weight(*count, passages),
            false => 0.0,
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let terms = words.iter().zip(weights).zip(held_by);
    terms
        .map(|((word, weight), held_by)| Term {
            quoted: quoted(word),
            share: weight / total,
            held_by: *held_by,
        })
        .collect()
}

impl Search<'_> {
    fn joined(&self, chosen: &[usize], with: &str) -> String {
        let words: Vec<_> = chosen
            .iter()
            .map(|i| self.terms[*i].quoted.as_str())
            .collect();
        words.join(with)
    }

    /// The best that `choice` brings.
    async fn chosen(
        &self,
        connection: &mut PgConnection,
        passages: u32,
        choice: &Choice,
    ) -> Result<Vec<PassageHit>, Fault> {
        match choice {
            Choice::All(chosen) => {
                let words = self.joined(chosen, " & ");
                self.among(connection, &words, &words).await
            }
            Choice::Any(chosen) => {
                let words = self.joined(chosen, " | ");
                match self.heaviest(connection, passages, &words).await? {
                    Some(found) => Ok(found),
                    None => self.among(connection, &words, &words).await,
                }
            }
        }
    }

    /// The best, looked for among those alone that hold a large share of the words; `None` where
    /// they are not so many.
    async fn heaviest(
        &self,
        connection: &mut PgConnection,
        passages: u32,
        ranked_by: &str,
    ) -> Result<Option<Vec<PassageHit>>, Fault> {
        // The share of all passages that passes the filter, as far as it is known.
        let mut passing = f64::from(passages);
        if *self.filter != Filter::default() {
            let counted = vectors::passing(connection, None, self.filter, ALL_BELOW).await?;
            if counted < ALL_BELOW {
                return Ok(None);
            }
            passing = passing.min(counted as f64);
        }
        let held: Vec<Held> = self
            .terms
            .iter()
            .filter(|term| term.held_by > 0 && term.share > 0.0)
            .map(|term| Held {
                quoted: term.quoted.clone(),
                share: term.share,
                held_by: term.held_by,
            })
            .collect();
        for width in WIDTHS {
            let wanted = self.limit as f64 * width * f64::from(passages) / passing.max(1.0);
            let Some(share) = threshold::reached_by(&held, passages, wanted) else {
                break;
            };
            let among = threshold::at_least(&held, share);
            let found = self.among(connection, &among, ranked_by).await?;
            // All others hold a smaller share.
            let last = self.limit.checked_sub(1).and_then(|last| found.get(last));
            let least = last.and_then(|hit| hit.coverage).map(f64::from);
            if least.is_some_and(|least| least >= share) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The best of the passages that match `among`, ranked by `words`.
    async fn among(
        &self,
        connection: &mut PgConnection,
        among: &str,
        words: &str,
    ) -> Result<Vec<PassageHit>, Fault> {
        let mut sql = QueryBuilder::new("WITH found AS MATERIALIZED (SELECT p.num, ");
        self.push_coverage(&mut sql);
        sql.push(" AS coverage, ts_rank(p.words, ")
            .push_bind(words.to_owned())
            // Long passages hold a word sooner: divided by the logarithm of the length.
            .push("::tsquery, 1) AS rank FROM passages p WHERE p.words @@ ")
            .push_bind(among.to_owned())
            .push("::tsquery");
        push_filter(&mut sql, "p", self.filter);
        sql.push(" ORDER BY coverage DESC, rank DESC");
        push_limit(&mut sql, self.limit);
        sql.push(") SELECT r.id, p.ordinal, p.start_ms, p.end_ms, p.text, ");
        match self.vector {
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
        if let Some((_, model)) = self.vector {
            sql.push(" LEFT JOIN vectors v ON v.passage = f.num AND v.model = ")
                .push_bind(model.num);
        }
        sql.push(" ORDER BY f.coverage DESC, f.rank DESC");
        let rows = sql.build().fetch_all(connection).await?;
        rows.iter().map(hit).collect()
    }

    /// The share of the query's words that a passage holds.
    fn push_coverage(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push("0::float8");
        for term in self.terms.iter().filter(|term| term.held_by > 0) {
            sql.push(" + CASE WHEN p.words @@ ")
                .push_bind(term.quoted.clone())
                .push("::tsquery THEN ")
                .push_bind(term.share)
                .push(" ELSE 0 END");
        }
    }
}
