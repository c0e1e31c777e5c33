//! Another's model of embeddings: what the platform does when it refuses a text, is away, or isn't the
//! one that the index is of.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use speakr_e2e::{
    embeddings_server::{EmbeddingsServer, MODEL},
    platform::{Platform, Role},
    program::PATIENCE,
};

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// A platform that embeds by `server` and tries an event twice.
fn platform(server: &EmbeddingsServer) -> Platform {
    let settings = server.settings();
    let mut settings = borrowed(&settings);
    settings.push(("SPEAKR_MAX_ATTEMPTS", "2"));
    Platform::start_with(&settings)
}

async fn ask(platform: &Platform, mode: &str) -> (u16, Value) {
    let query = json!({"query_text": "country", "mode": mode});
    let answer = platform
        .request(Method::POST, "/api/v1/query")
        .json(&query)
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn whose_queries_another_model_embeds_than_the_index_is_of_is_told_both() {
    let mut platform = Platform::start();
    platform.transcribe("jfk.wav", &[("store", "true")]).await;
    let query = json!({"query_text": "country", "mode": "semantic"});
    platform
        .query_until(&query, |answer| answer["count"] == 1)
        .await;

    let server = EmbeddingsServer::start();
    platform.restart(Role::QuerySvc, &borrowed(&server.settings()));
    for mode in ["semantic", "hybrid"] {
        let (status, problem) = ask(&platform, mode).await;
        assert_eq!(status, 503, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        let theirs = "embedded by \"all-minilm-l6-v2-int8-speakr\"";
        assert!(detail.contains(theirs), "{detail}");
        assert!(detail.contains(&format!("\"openai:{MODEL}\"")), "{detail}");
    }
    let (status, found) = ask(&platform, "keyword").await;
    assert_eq!((status, &found["count"]), (200, &json!(1)));
}

#[tokio::test]
async fn a_text_that_its_embedder_refuses_each_time_ends_among_the_dead_letters() {
    let server = EmbeddingsServer::start();
    let platform = platform(&server);
    for (status, letters) in [(400, 1), (500, 2)] {
        server.refuse("country", status);
        platform.transcribe("jfk.wav", &[("store", "true")]).await;
        let began = Instant::now();
        let told = loop {
            let said = platform
                .run_as("operator", Role::Transcriber, &["dead-letters", "list"])
                .unwrap();
            if said.lines().count() == letters {
                break said;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{said}\n{}",
                platform.embedder.log()
            );
            thread::sleep(Duration::from_millis(500));
        };
        let letter: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("this can't be embedded"), "{letter}");
        // It is found by its words all the same.
        let (status, found) = ask(&platform, "keyword").await;
        assert_eq!((status, &found["count"]), (200, &json!(letters)));
    }
}

#[tokio::test]
async fn an_embedder_that_is_away_is_waited_for_and_makes_no_dead_letter() {
    let server = EmbeddingsServer::start();
    let platform = platform(&server);
    // Of a server that fails whatever is asked nobody can say that the text is at fault.
    for (status, texts) in [(503, 1), (500, 2)] {
        server.be_away(Some(status));
        platform.transcribe("jfk.wav", &[("store", "true")]).await;
        let (began, asked) = (Instant::now(), server.asked());
        let failures = || platform.embedder.log().matches("not findable yet").count();
        let before = failures();
        while failures() < before + 3 {
            assert!(began.elapsed() < PATIENCE, "{}", platform.embedder.log());
            thread::sleep(Duration::from_millis(200));
        }
        assert!(server.asked() > asked);
        server.be_away(None);
        let query = json!({"query_text": "country", "mode": "semantic"});
        platform
            .query_until(&query, |answer| answer["count"] == texts)
            .await;
    }
    let letters = platform
        .run_as("operator", Role::Transcriber, &["dead-letters", "list"])
        .unwrap();
    assert_eq!(letters.trim(), "");
}
