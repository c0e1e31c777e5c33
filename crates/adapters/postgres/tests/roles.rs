//! What the roles that are deployed may do, on a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use speakr_core::ports::index::{Filter, Index};
use speakr_postgres::{Database, PostgresConfig, migrate};
use support::{
    Place,
    things::{Numbers, found_by, put, recording_at},
};

const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");
const PASSWORDS: [(&str, &str); 2] = [
    ("SPEAKR_OWNER_PASSWORD", "of-the-owner"),
    ("SPEAKR_APP_PASSWORD", "of-the-app"),
];

/// How the owner and the services get to database `name`.
fn made(place: &Place, name: &str) -> (PostgresConfig, PostgresConfig) {
    place.server.run_script(name, ROLES, &PASSWORDS).unwrap();
    let url = |role, password| PostgresConfig::new(place.server.url_of(role, password, name));
    (
        url("speakr_owner", "of-the-owner"),
        url("speakr_app", "of-the-app"),
    )
}

fn indexes_of_models(place: &Place, name: &str) -> String {
    let sql = "SELECT string_agg(indexname || ' of ' || tableowner, ', ') \
               FROM pg_indexes JOIN pg_tables USING (schemaname, tablename) \
               WHERE indexname LIKE 'vectors_of_model_%'";
    place.server.query(name, sql).unwrap()
}

#[tokio::test]
async fn a_service_that_owns_nothing_stores_vectors_of_a_new_model_with_an_index_of_its_own() {
    let place = Place::start();
    let (name, _) = place.empty();
    let (owner, app) = made(&place, &name);
    migrate(&owner).await.unwrap();
    let database = Database::connect(&app).await.unwrap();
    let recording = recording_at(1, &[]);
    put(
        &database.index(),
        &recording,
        &["alpha omega"],
        &mut Numbers(1),
    )
    .await;
    assert_eq!(
        found_by(&database.index(), "alpha", &Filter::default()).await,
        [recording.recording_id]
    );
    assert_eq!(
        indexes_of_models(&place, &name),
        "vectors_of_model_1 of speakr_owner"
    );
    database.close().await;

    // What it may not, by a plain client.
    for refused in [
        "CREATE TABLE speakr.mine (num integer)",
        "ALTER TABLE speakr.vectors ADD COLUMN mine text",
        "DROP TABLE speakr.vectors",
        "CREATE INDEX mine ON speakr.vectors (state)",
        "CREATE FUNCTION speakr.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE TEMPORARY TABLE vectors (model integer)",
    ] {
        let sql = format!("SET ROLE speakr_app; {refused}");
        let told = place.server.query(&name, &sql).unwrap_err().to_string();
        assert!(
            told.contains("permission denied") || told.contains("must be owner"),
            "{refused}: {told}"
        );
    }
    let sql = "SET ROLE speakr_app; SELECT speakr.index_vectors_of(7)";
    let told = place.server.query(&name, sql).unwrap_err().to_string();
    assert!(told.contains("query returned no rows"), "{told}");
}

#[tokio::test]
async fn what_another_had_made_becomes_the_owners() {
    let place = Place::start();
    let (name, config) = place.empty();
    migrate(&config).await.unwrap();
    let (owner, app) = made(&place, &name);
    // Again: they get new passwords, and nothing else changes.
    made(&place, &name);
    assert_eq!(
        migrate(&owner).await.unwrap().from,
        migrate(&owner).await.unwrap().to
    );
    let others = "SELECT count(*) FROM pg_class WHERE relnamespace = 'speakr'::regnamespace \
                  AND relowner <> 'speakr_owner'::regrole";
    assert_eq!(place.server.query(&name, others).unwrap(), "0");
    let database = Database::connect(&app).await.unwrap();
    let recording = recording_at(1, &[]);
    put(
        &database.index(),
        &recording,
        &["alpha omega"],
        &mut Numbers(1),
    )
    .await;
    database
        .index()
        .remove(recording.recording_id)
        .await
        .unwrap();
    database.close().await;
}
