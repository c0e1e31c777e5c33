//! How many passages there are, and how many hold each word: kept, because counting them for each
//! query would cost more than the query.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::fault::Fault;

/// What a transaction changes of the counts.
#[derive(Debug, Default)]
pub(crate) struct Change {
    passages: i64,
    words: HashMap<String, i64>,
}

impl Change {
    /// A passage more, that holds each of `words` once.
    pub(crate) fn add(&mut self, words: impl IntoIterator<Item = String>) {
        self.by(1, words);
    }

    /// A passage fewer.
    pub(crate) fn take(&mut self, words: impl IntoIterator<Item = String>) {
        self.by(-1, words);
    }

    fn by(&mut self, more: i64, words: impl IntoIterator<Item = String>) {
        self.passages += more;
        for word in words {
            *self.words.entry(word).or_default() += more;
        }
    }

    /// Notes it. Last in a transaction: everybody waits for it, and all go by the same order, so that
    /// no two wait for each other.
    pub(crate) async fn store(self, connection: &mut PgConnection) -> Result<(), Fault> {
        let mut words: Vec<(String, i64)> =
            self.words.into_iter().filter(|(_, n)| *n != 0).collect();
        words.sort_unstable();
        let fewer: Vec<String> = words
            .iter()
            .filter(|(_, more)| *more < 0)
            .map(|(word, _)| word.clone())
            .collect();
        let (words, more): (Vec<String>, Vec<i64>) = words.into_iter().unzip();
        if !words.is_empty() {
            sqlx::query(
                "INSERT INTO word_counts AS kept (word, passages) \
                 SELECT * FROM unnest($1::text[], $2::bigint[]) \
                 ON CONFLICT (word) DO UPDATE SET passages = kept.passages + excluded.passages",
            )
            .bind(words)
            .bind(more)
            .execute(&mut *connection)
            .await?;
        }
        if !fewer.is_empty() {
            // What nobody says any more isn't kept.
            sqlx::query("DELETE FROM word_counts WHERE word = ANY($1) AND passages <= 0")
                .bind(fewer)
                .execute(&mut *connection)
                .await?;
        }
        if self.passages != 0 {
            sqlx::query("UPDATE counts SET passages = passages + $1")
                .bind(self.passages)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
