//! PostgreSQL with pgvector, started for real.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use speakr_testkit::postgres::Postgres;

#[test]
fn a_database_knows_vectors_and_keeps_them_through_a_crash() {
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.create_database("index").unwrap();
    assert!(url.starts_with("postgres://"), "{url}");
    let filled = "CREATE TABLE t (v vector(2)); INSERT INTO t VALUES ('[0,1]'), ('[1,0]')";
    postgres.query("index", filled).unwrap();
    let nearest = "SELECT v FROM t ORDER BY v <=> '[0.9,0.1]' LIMIT 1";
    assert_eq!(postgres.query("index", nearest).unwrap(), "[1,0]");
    postgres.kill();
    postgres.query("index", nearest).unwrap_err();
    postgres.start_again().unwrap();
    assert_eq!(postgres.query("index", nearest).unwrap(), "[1,0]");
    let error = postgres.query("index", "SELECT nonsense").unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}
