//! Tokens against a real PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use speakr_core::ports::access::{Grant, Scope, TokenHash, TokenStore};
use support::Place;
use uuid::Uuid;

fn grant(name: &str, created_at: &str) -> Grant {
    Grant {
        token_id: Uuid::new_v4(),
        name: name.to_owned(),
        scopes: [Scope::Read, Scope::Transcribe].into(),
        created_at: created_at.parse().unwrap(),
        expires_at: Some("2027-01-01T00:00:00.5Z".parse().unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
    let mut place = Place::start();
    let (name, database) = place.fresh().await;
    let tokens = database.tokens();
    let (first, second) = (TokenHash([1; 32]), TokenHash([2; 32]));
    let late = grant("late", "2026-02-01T00:00:00.000000001Z");
    let mut early = grant("early", "2026-02-01T00:00:00Z");
    early.expires_at = None;
    tokens.create(&first, &late).await.unwrap();
    tokens.create(&second, &early).await.unwrap();
    assert_eq!(tokens.find(&first).await.unwrap().as_ref(), Some(&late));
    assert_eq!(tokens.find(&TokenHash([3; 32])).await.unwrap(), None);
    assert_eq!(tokens.list().await.unwrap(), [early.clone(), late.clone()]);

    // Neither one token for two, nor two of one name's id.
    tokens
        .create(&first, &grant("x", "2026-03-01T00:00:00Z"))
        .await
        .unwrap_err();
    tokens
        .create(&TokenHash([4; 32]), &early)
        .await
        .unwrap_err();

    tokio::task::block_in_place(|| {
        place.server.kill();
        place.server.start_again().unwrap();
    });
    assert_eq!(tokens.find(&second).await.unwrap(), Some(early));
    assert!(tokens.revoke(late.token_id).await.unwrap());
    assert!(!tokens.revoke(late.token_id).await.unwrap());
    assert_eq!(tokens.find(&first).await.unwrap(), None);
    let kept = place
        .server
        .query(&name, "SELECT count(*) FROM speakr.tokens");
    assert_eq!(kept.unwrap(), "1");
}
