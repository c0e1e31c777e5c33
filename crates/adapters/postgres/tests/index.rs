//! The index against a real PostgreSQL: what every index must do, and what only this one can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::{Duration, Instant};

use speakr_core::{
    RecordingId, RecordingState,
    ports::index::{EmbeddedPassage, Filter, Index, IndexError},
};
use speakr_postgres::PostgresIndex;
use support::{
    Place,
    contract::{self, index_cases},
    things::{MODEL, Numbers, found_by, passage, put, recording_at, tagged, transcript},
    told,
};

macro_rules! run {
    ($($name:ident)*) => {
        // One server for all of them, a database each.
        #[tokio::test]
        async fn it_does_what_every_index_must() {
            let place = Place::start();
            $(
                println!(stringify!($name));
                let (_, database) = place.fresh().await;
                contract::$name(&database.index()).await;
                database.close().await;
            )*
        }
    };
}
index_cases!(run);

#[tokio::test]
async fn any_text_is_a_query_and_any_tag_a_filter() {
    let place = Place::start();
    let (_, database) = place.fresh().await;
    let index = database.index();
    let mut numbers = Numbers(1);
    for i in 0..150 {
        let mut any = || -> String {
            (0..numbers.below(12))
                .filter_map(|_| {
                    let most = [0x80, 0x800, 0x11_0000][numbers.below(3) as usize];
                    char::from_u32(numbers.below(most) as u32)
                })
                .collect()
        };
        let (query, tag) = (any(), format!("{}\0'\"\\{{}},", any()));
        let text = format!("alpha {} \0 omega", any());
        let recording = recording_at(i, &[&tag]);
        put(&index, &recording, &[&text], &mut Numbers(2)).await;
        let filter = tagged(&[&tag]);
        index.keyword_hits(&query, None, &filter, 10).await.unwrap();
        let id = recording.recording_id;
        assert_eq!(found_by(&index, "alpha", &filter).await, [id], "{tag:?}");
        let entries = index.entries(&[id]).await.unwrap();
        assert_eq!(entries[0].recording, recording);
        index.remove(id).await.unwrap();
    }
}

/// A passage with a vector that points at `to`, more or less.
fn near(ordinal: u32, to: &[f32], numbers: &mut Numbers) -> EmbeddedPassage {
    let noise = numbers.vector();
    let raw: Vec<f32> = to.iter().zip(&noise).map(|(a, b)| a + 0.7 * b).collect();
    let length = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
    let vector = raw.iter().map(|v| v / length).collect();
    passage(ordinal, "words", vector)
}

/// Puts `count` passages that point at `to` in, a hundred to a recording.
async fn fill(
    index: &PostgresIndex,
    count: u32,
    tags: &[&str],
    to: &[f32],
    numbers: &mut Numbers,
) -> Vec<(RecordingId, u32, Vec<f32>)> {
    let mut all = Vec::new();
    for i in 0..count / 100 {
        let recording = recording_at(i64::from(i), tags);
        let passages: Vec<_> = (0..100).map(|ordinal| near(ordinal, to, numbers)).collect();
        let text = transcript(&recording, "words");
        index
            .upsert(&recording, Some(&text), &passages, MODEL)
            .await
            .unwrap();
        let id = recording.recording_id;
        all.extend(
            passages
                .into_iter()
                .map(|p| (id, p.passage.ordinal, p.vector)),
        );
    }
    all
}

#[tokio::test]
async fn rare_tags_and_tags_far_from_the_query_fill_their_page() {
    const PAGE: usize = 50;
    let place = Place::start();
    let (name, database) = place.fresh().await;
    let index = database.index();
    let mut numbers = Numbers(3);
    let query = numbers.vector();
    let away: Vec<f32> = query.iter().map(|v| -v).collect();
    // What is nearest bears no tag; what bears the tags lies on the other side.
    let near = fill(&index, 1_500, &[], &query, &mut numbers).await;
    let wide = fill(&index, 5_000, &["wide"], &away, &mut numbers).await;
    let rare = fill(&index, 100, &["rare"], &away, &mut numbers).await;
    place.server.query(&name, "ANALYZE").unwrap();
    let best = |all: &[&[(RecordingId, u32, Vec<f32>)]]| {
        let product = |v: &[f32]| -> f32 { v.iter().zip(&query).map(|(a, b)| a * b).sum() };
        let mut all: Vec<_> = all
            .iter()
            .copied()
            .flatten()
            .map(|(id, ordinal, vector)| (product(vector), (*id, *ordinal)))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.truncate(PAGE);
        all.into_iter().map(|(_, key)| key).collect::<Vec<_>>()
    };
    let scans = || -> i64 {
        let sql = "SELECT pg_stat_force_next_flush(); SELECT coalesce(sum(idx_scan), 0) \
                   FROM pg_stat_user_indexes WHERE indexrelname LIKE 'vectors_of_model_%'";
        place
            .server
            .query(&name, sql)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    // Far from the query the index finds few of the best (13 of 50 here), but it fills the page.
    let sooner = database.index().exact_below(5_000);
    for (index, filter, expected, share, by_index) in [
        (
            &index,
            Filter::default(),
            best(&[&near, &wide, &rare]),
            0.95,
            true,
        ),
        (&index, tagged(&["wide"]), best(&[&wide]), 1.0, false),
        (&sooner, tagged(&["wide"]), best(&[&wide]), 0.1, true),
        (&index, tagged(&["rare"]), best(&[&rare]), 1.0, false),
    ] {
        let before = scans();
        let hits = index
            .vector_hits(&query, MODEL, &filter, PAGE)
            .await
            .unwrap();
        assert_eq!(hits.len(), PAGE, "{filter:?}");
        let found = hits
            .iter()
            .filter(|hit| expected.contains(&(hit.recording_id, hit.passage.ordinal)))
            .count();
        println!("{:?}: {found} of {PAGE}", filter.tags);
        assert!(
            found as f64 >= share * PAGE as f64,
            "{found} with {filter:?}"
        );
        let cosines: Vec<_> = hits.iter().map(|hit| hit.cosine.unwrap()).collect();
        assert!(cosines.is_sorted_by(|a, b| a >= b), "{cosines:?}");
        // What the server counts comes with a delay.
        if by_index {
            let until = Instant::now() + Duration::from_secs(20);
            while scans() == before {
                assert!(
                    Instant::now() < until,
                    "the index wasn't used for {filter:?}"
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_deleted_is_in_no_table_and_nothing_late_brings_it_back() {
    let place = Place::start();
    let (name, database) = place.fresh().await;
    let index = database.index();
    let mut numbers = Numbers(4);
    for i in 0..20 {
        put(&index, &recording_at(i, &[]), &["harmless"], &mut numbers).await;
    }
    let mut secret = recording_at(99, &["xylophone"]);
    secret.metadata.insert("who".into(), "quetzal".into());
    let texts = ["the zucchini is buried"];
    put(&index, &secret, &texts, &mut numbers).await;
    let id = secret.recording_id;
    place.server.query(&name, "ANALYZE").unwrap();
    let holding = |needle: &str| -> Vec<String> {
        let tables = place
            .server
            .query(
                &name,
                "SELECT schemaname || '.' || tablename FROM pg_tables \
                 WHERE schemaname IN ('speakr', 'public') OR tablename = 'pg_statistic'",
            )
            .unwrap();
        tables
            .lines()
            .filter(|table| {
                let sql = format!("SELECT t::text FROM {table} t");
                place.server.query(&name, &sql).unwrap().contains(needle)
            })
            .map(ToOwned::to_owned)
            .collect()
    };
    for needle in ["xylophon", "zucchini", "quetzal"] {
        assert!(!holding(needle).is_empty(), "{needle}");
    }
    assert_eq!(index.bury(id).await.unwrap(), 1);
    for needle in ["xylophon", "zucchini", "quetzal"] {
        assert_eq!(holding(needle), Vec::<String>::new(), "{needle}");
    }
    assert_eq!(holding(&id.to_string()), ["speakr.tombstones"]);

    put(&index, &secret, &texts, &mut numbers).await;
    secret.state = RecordingState::Failed;
    index.update(&secret).await.unwrap();
    assert!(index.entries(&[id]).await.unwrap().is_empty());
    assert_eq!(index.bury(id).await.unwrap(), 0);
    assert_eq!(holding("zucchini"), Vec::<String>::new());
    assert_eq!(index.ids().await.unwrap().len(), 20);

    // Taken out is not deleted: a rebuild may put it in again.
    let other = index.ids().await.unwrap()[0];
    let entry = index.entries(&[other]).await.unwrap().remove(0);
    assert_eq!(index.remove(other).await.unwrap(), 1);
    put(&index, &entry.recording, &["harmless"], &mut numbers).await;
    assert_eq!(index.ids().await.unwrap().len(), 20);
    let counted = place
        .server
        .query(&name, "SELECT passages FROM speakr.counts");
    assert_eq!(counted.unwrap(), "20");
}

#[tokio::test]
async fn the_index_of_a_new_model_may_take_longer_to_make_than_other_statements() {
    let place = Place::start();
    let (name, mut config) = place.empty();
    speakr_postgres::migrate(&config).await.unwrap();
    // As where there are millions of vectors of another model.
    let slowly = "CREATE FUNCTION slowly() RETURNS event_trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(2); END $$; \
        CREATE EVENT TRIGGER slowly ON ddl_command_start \
        WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slowly()";
    place.server.query(&name, slowly).unwrap();
    config.statement_timeout = Duration::from_secs(1);
    let database = speakr_postgres::Database::connect(&config).await.unwrap();
    let index = database.index();
    let recording = recording_at(1, &[]);
    put(&index, &recording, &["words"], &mut Numbers(6)).await;
    let made = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'vectors_of_model_%'";
    assert_eq!(place.server.query(&name, made).unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_loses_nothing_that_was_stored() {
    let mut place = Place::start();
    let (name, database) = place.fresh().await;
    let index = database.index();
    let writer = tokio::spawn(async move {
        let mut numbers = Numbers(5);
        let mut stored = Vec::new();
        for i in 0..120 {
            let recording = recording_at(i, &["t"]);
            let passages: Vec<_> = (0..4)
                .map(|ordinal| passage(ordinal, "some words", numbers.vector()))
                .collect();
            let text = transcript(&recording, "some words");
            // As the bus does it: what fails is handed out again.
            while let Err(error) = index
                .upsert(&recording, Some(&text), &passages, MODEL)
                .await
            {
                let down = matches!(error, IndexError::Database { .. } | IndexError::Busy { .. });
                assert!(down, "{error:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            stored.push(recording.recording_id);
        }
        (index, stored)
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| {
            place.server.kill();
            place.server.start_again().unwrap();
        });
    }
    let (index, mut stored) = writer.await.unwrap();
    let mut there = index.ids().await.unwrap();
    there.sort_unstable();
    stored.sort_unstable();
    assert_eq!(there, stored);
    database.check().await.unwrap();
    let counted = "SELECT (SELECT count(*) FROM speakr.passages), passages FROM speakr.counts";
    let counted = place.server.query(&name, counted).unwrap();
    assert_eq!(counted, "480|480");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_and_a_slow_one_is_not_waited_for() {
    let mut place = Place::start();
    let (name, mut config) = place.empty();
    speakr_postgres::migrate(&config).await.unwrap();
    config.statement_timeout = Duration::from_millis(300);
    config.acquire_timeout = Duration::from_secs(2);
    let database = speakr_postgres::Database::connect(&config).await.unwrap();
    let index = database.index();
    let recording = recording_at(1, &[]);
    index.update(&recording).await.unwrap();
    // Somebody holds the table.
    let (error, took) = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let sql = "BEGIN; LOCK TABLE speakr.recordings; SELECT pg_sleep(4); COMMIT";
            let holding = scope.spawn(|| place.server.query(&name, sql).unwrap());
            std::thread::sleep(Duration::from_millis(1_000));
            let began = Instant::now();
            let all = Filter::default();
            let listed = index.list(&all, 1);
            let error = tokio::runtime::Handle::current()
                .block_on(listed)
                .unwrap_err();
            let took = began.elapsed();
            holding.join().unwrap();
            assert!(matches!(error, IndexError::Busy { .. }), "{error:?}");
            (told(&error), took)
        })
    });
    assert!(error.contains("statement timeout"), "{error}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(index.list(&Filter::default(), 1).await.unwrap().len(), 1);
    place.server.kill();
    let error = told(&index.list(&Filter::default(), 1).await.unwrap_err());
    assert!(
        error.contains(&format!(
            "postgres://127.0.0.1:{}/{name}",
            place.server.port()
        )),
        "{error}"
    );
}
