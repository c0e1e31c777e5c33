//! How the services end when they are asked to (SIGTERM), and what they warn of when they start: the
//! programs themselves.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "test code"
)]

#[path = "common/files.rs"]
mod files;

use files::files_with;

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use speakr_e2e::{
    clip,
    platform::{DATABASE, Platform, Role},
    program::PATIENCE,
};
use speakr_testkit::service::ServiceProcess;

/// How long a service has by itself.
const DEADLINE: Duration = Duration::from_secs(25);

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PATIENCE, "{what} never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Somebody who has the table of recordings for themself for so many seconds: whoever reads it waits.
async fn hold_recordings(platform: &Platform, seconds: u32) -> Child {
    let sql = format!(
        "BEGIN; LOCK TABLE speakr.recordings IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
    );
    let mut psql = platform.postgres.client("psql");
    let holder = psql
        .args(["-d", DATABASE, "-v", "ON_ERROR_STOP=1", "-XAtqc", &sql])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'speakr.recordings'::regclass \
                 AND mode = 'AccessExclusiveLock' AND granted";
    until("the lock", async || platform.sql(locks) == "1").await;
    holder
}

/// Waits until `role` waits for somebody's lock.
async fn until_stuck(platform: &Platform, role: Role) {
    let stuck = format!(
        "SELECT count(*) > 0 FROM pg_stat_activity \
         WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        role.program()
    );
    until("a wait for the lock", async || platform.sql(&stuck) == "t").await;
}

/// Asks `service` to end; gives how long that took. It ends well, or the test fails.
fn ends_well(service: &mut ServiceProcess) -> Duration {
    let began = Instant::now();
    let status = tokio::task::block_in_place(|| service.end(2 * DEADLINE));
    let took = began.elapsed();
    let log = service.log();
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{log}"
    );
    assert!(took < DEADLINE, "{took:?}");
    assert!(log.contains("\"ended\""), "{log}");
    took
}

fn text_of_a_clip(
    platform: &Platform,
    fields: &[(&'static str, &'static str)],
) -> reqwest::RequestBuilder {
    let bytes = std::fs::read(clip("jfk.wav")).unwrap();
    let file = reqwest::multipart::Part::bytes(bytes).file_name("jfk.wav");
    let mut form = reqwest::multipart::Form::new()
        .part("file", file)
        .text("model", "whisper-1");
    for (name, value) in fields {
        form = form.text(*name, *value);
    }
    platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .multipart(form)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_query_svc_is_answered_before_it_ends() {
    let mut platform = Platform::start();
    platform.transcribe("jfk.wav", &[("store", "true")]).await;
    // It is told before it can be found.
    let query = json!({"query_text": "what your country can do"});
    platform.query_until(&query, |a| a["count"] == 1).await;
    let mut holder = hold_recordings(&platform, 4).await;
    let asking = tokio::spawn(platform.request(Method::GET, "/api/v1/recordings").send());
    until_stuck(&platform, Role::QuerySvc).await;
    ends_well(&mut platform.query_svc);
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let list: Value = answer.json().await.unwrap();
    assert_eq!(list["count"], 1, "{list}");
    assert!(holder.wait().unwrap().success(), "it waited for the lock");
    // One that has nothing to do has nothing to wait for.
    for role in [Role::Transcriber, Role::Embedder] {
        let took = ends_well(platform.service_mut(role));
        assert!(took < Duration::from_secs(10), "{role:?}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_takes_longer_than_query_svc_has_is_broken_off_with_an_answer() {
    let mut platform = Platform::start();
    let short = [("SPEAKR_SHUTDOWN_DEADLINE", "10s")];
    platform.restart(Role::QuerySvc, &short);
    platform.transcriber.kill();
    let kept = tokio::spawn(text_of_a_clip(&platform, &[("store", "true")]).send());
    let streamed = tokio::spawn(text_of_a_clip(&platform, &[("stream", "true")]).send());
    // Both have gone to the bus, where nobody takes them.
    let waiting = || {
        files_with(
            platform.nats.log().parent().unwrap(),
            "command.transcription.run",
        )
    };
    until("a command", async || !waiting().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let took = ends_well(&mut platform.query_svc);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let answer = kept.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let told = answer.text().await.unwrap();
    assert!(told.contains("send it again"), "{told}");
    let told = streamed.await.unwrap().unwrap().text().await.unwrap();
    assert!(told.contains("send it again"), "{told}");

    // What was to be kept becomes text all the same.
    platform.revive();
    let query = json!({"query_text": "what your country can do"});
    platform.query_svc.wait_until_ready(PATIENCE).unwrap();
    platform.query_until(&query, |a| a["count"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_an_embedder_has_in_hand_as_it_ends_is_made_findable_by_the_next() {
    let mut platform = Platform::start();
    // What is handed back is no attempt: one is all there are.
    let once = [("SPEAKR_MAX_ATTEMPTS", "1")];
    platform.restart(Role::Embedder, &once);
    let mut holder = hold_recordings(&platform, 20).await;
    platform.transcribe("jfk.wav", &[("store", "true")]).await;
    until_stuck(&platform, Role::Embedder).await;
    let took = ends_well(&mut platform.embedder);
    assert!(holder.try_wait().unwrap().is_none(), "nothing was stuck");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(holder.wait().unwrap().success());
    platform.restart(Role::Embedder, &once);
    let query = json!({"query_text": "what your country can do"});
    platform.query_until(&query, |a| a["count"] == 1).await;
    let log = platform.embedder.log();
    assert!(!log.contains("dead letter"), "{log}");
}

/// 0.0.0.0 leads to this machine, and doesn't say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_elsewhere_and_does_not_encrypt_is_warned_of() {
    let mut platform = Platform::start();
    let warning = "isn't encrypted";
    for role in [Role::Embedder, Role::QuerySvc] {
        assert!(!platform.service_mut(role).log().contains(warning));
        let url = platform.postgres.url(DATABASE);
        let elsewhere = url.replace("127.0.0.1", "0.0.0.0");
        platform.restart(role, &[("DATABASE_URL", &elsewhere)]);
        let log = platform.service_mut(role).log();
        let told = log.lines().find(|line| line.contains(warning)).unwrap();
        let told: Value = serde_json::from_str(told).unwrap();
        assert_eq!(told["level"], "WARN", "{told}");
        assert!(!log.contains(&url), "no log has the password");
    }
}
