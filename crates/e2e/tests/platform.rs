//! The services together: from sound over the API and the bus to text that is found, and gone.
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
use reqwest::{Method, header};
use serde_json::{Value, json};
use speakr_e2e::platform::{Platform, Role};

async fn get(platform: &Platform, path: &str) -> reqwest::Response {
    platform.request(Method::GET, path).send().await.unwrap()
}

#[tokio::test]
async fn what_was_sent_is_found_by_its_meaning_labelled_exported_heard_and_deleted_everywhere() {
    let mut platform = Platform::start();
    let stored = platform
        .transcribe("jfk.wav", &[("store", "true"), ("tags", "speech,history")])
        .await;
    assert!(
        stored["text"].as_str().unwrap().contains("country"),
        "{stored}"
    );
    let id = stored["recording_id"].as_str().unwrap().to_owned();

    // "country" and "citizen" aren't in the query.
    let query = json!({"query_text": "serving your nation", "filter_tags": ["history"], "mode": "semantic"});
    let found = platform
        .query_until(&query, |answer| answer["count"] == 1)
        .await;
    let result = &found["results"][0];
    assert_eq!(result["recording_id"], id.as_str());
    let streams = platform.nats.log();
    let said = files_with(streams.parent().unwrap(), "fellow Americans");
    assert!(!said.is_empty(), "this test sees what the bus has stored");
    assert!(result["similarity"].as_f64().unwrap() > 0.2, "{found}");
    assert_eq!(result["tags"], json!(["history", "speech"]));
    let hybrid = json!({"query_text": "what your country can do"});
    let before = platform
        .query_until(&hybrid, |answer| answer["count"] == 1)
        .await;

    let list: Value = get(&platform, "/api/v1/recordings?tags=speech&limit=5")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list["recordings"][0]["recording_id"], id.as_str());
    let srt = get(
        &platform,
        &format!("/api/v1/recordings/{id}/export?format=srt"),
    )
    .await;
    assert!(srt.text().await.unwrap().starts_with("1\n00:00:0"));
    let part = platform
        .request(Method::GET, &format!("/api/v1/recordings/{id}/sound"))
        .header(header::RANGE, "bytes=0-3")
        .send()
        .await
        .unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(&part.bytes().await.unwrap()[..], b"RIFF");

    // The index, made anew, answers the same. What is there already is left alone.
    platform.run(Role::Embedder, &["rebuild"]);
    let _ = platform.sql("DELETE FROM speakr.recordings");
    let none = platform
        .query_until(&hybrid, |answer| answer["count"] == 0)
        .await;
    assert_eq!(none["results"], json!([]));
    platform.run(Role::Embedder, &["rebuild"]);
    let after = platform
        .query_until(&hybrid, |answer| answer["count"] == 1)
        .await;
    assert_eq!(after, before);

    let tags = platform
        .request(Method::PATCH, &format!("/api/v1/recordings/{id}/tags"))
        .json(&json!({"add": ["new'; drop table recordings; --"], "remove": ["history"]}))
        .send()
        .await
        .unwrap();
    assert_eq!(tags.status(), 200);
    let relabelled =
        json!({"query_text": "country", "filter_tags": ["new'; drop table recordings; --"]});
    platform
        .query_until(&relabelled, |answer| answer["count"] == 1)
        .await;

    // Deleted: in the store with all versions, the streams, the tables, and no log ever had it.
    let deleted = platform
        .request(Method::DELETE, &format!("/api/v1/recordings/{id}"))
        .send()
        .await
        .unwrap();
    assert!(deleted.status().is_success(), "{:?}", deleted.text().await);
    platform
        .query_until(&hybrid, |answer| answer["count"] == 0)
        .await;
    let again = get(&platform, &format!("/api/v1/recordings/{id}")).await;
    assert!(
        [404, 410].contains(&again.status().as_u16()),
        "{}",
        again.status()
    );
    let words = "fellow Americans";
    if let Some(files) = platform.s3.files() {
        assert_eq!(files_with(&files, words), Vec::<String>::new());
    }
    // The bus keeps its streams beside its log.
    let streams = platform.nats.log();
    let streams = streams.parent().unwrap();
    assert_eq!(files_with(streams, words), Vec::<String>::new());
    let rows = platform.sql(
        "SELECT (SELECT count(*) FROM speakr.passages) + (SELECT count(*) FROM speakr.transcripts) \
         + (SELECT count(*) FROM speakr.vectors)",
    );
    assert_eq!(rows.trim(), "0");
    platform.restart(Role::Embedder, &[]);
    platform
        .query_until(&hybrid, |answer| answer["count"] == 0)
        .await;
    for service in [
        &platform.transcriber,
        &platform.embedder,
        &platform.query_svc,
    ] {
        assert!(!service.log().contains(words), "a log has what was said");
        let (status, metrics) = service.get("/metrics").unwrap();
        assert_eq!(status, 200);
        assert!(metrics.contains("speakr_build_info"), "{metrics}");
    }
}

#[tokio::test]
async fn of_labels_that_many_give_at_once_none_is_lost() {
    let platform = Platform::start();
    let stored = platform
        .transcribe("jfk.wav", &[("store", "true"), ("tags", "speech")])
        .await;
    let id = stored["recording_id"].as_str().unwrap();
    let path = format!("/api/v1/recordings/{id}/tags");
    let labels: Vec<String> = (0..12).map(|n| format!("label-{n:02}")).collect();
    let given = futures::future::join_all(labels.iter().map(|label| {
        let change = json!({"add": [label]});
        platform.request(Method::PATCH, &path).json(&change).send()
    }));
    for answer in given.await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }
    let mut wanted = labels;
    wanted.push("speech".to_owned());
    // In the store, in the text's file there, and in the index.
    let shown: Value = get(&platform, &format!("/api/v1/recordings/{id}"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(shown["tags"], json!(wanted));
    let path = format!("/api/v1/recordings/{id}/export?format=json");
    let text: Value = get(&platform, &path).await.json().await.unwrap();
    assert_eq!(text["tags"], json!(wanted));
    let listed: Value = get(&platform, "/api/v1/recordings")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(listed["recordings"][0]["tags"], json!(wanted));
}

#[tokio::test]
async fn what_is_not_to_be_kept_leaves_nothing_and_tokens_allow_what_they_say() {
    let platform = Platform::start();
    let answer = platform
        .transcribe("jfk.wav", &[("response_format", "verbose_json")])
        .await;
    assert!(
        answer["text"].as_str().unwrap().contains("country"),
        "{answer}"
    );
    assert!(!answer["segments"].as_array().unwrap().is_empty());
    let list: Value = get(&platform, "/api/v1/recordings")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(list["count"], 0, "{list}");
    if let Some(files) = platform.s3.files() {
        assert_eq!(files_with(&files, "fellow Americans"), Vec::<String>::new());
    }

    let bare = platform
        .bare(Method::GET, "/api/v1/recordings")
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
    let reader = platform.new_token("read");
    let as_reader = |method, path: &str| platform.bare(method, path).bearer_auth(&reader);
    let read = as_reader(Method::GET, "/api/v1/recordings")
        .send()
        .await
        .unwrap();
    assert_eq!(read.status(), 200);
    let nowhere = "/api/v1/recordings/00000000-0000-4000-8000-000000000000";
    let delete = as_reader(Method::DELETE, nowhere).send().await.unwrap();
    assert_eq!(delete.status(), 403);

    let listed = platform.run(Role::QuerySvc, &["token", "list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains(&reader));
    let grant = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|grant| grant["scopes"] == json!(["read"]))
        .unwrap();
    platform.run(
        Role::QuerySvc,
        &["token", "revoke", grant["token_id"].as_str().unwrap()],
    );
    let began = std::time::Instant::now();
    loop {
        let read = as_reader(Method::GET, "/api/v1/recordings")
            .send()
            .await
            .unwrap();
        if read.status() == 401 {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "a revoked token goes on");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn what_is_to_be_kept_becomes_text_although_its_client_went_away() {
    let mut platform = Platform::start();
    platform.transcriber.kill();
    let bytes = std::fs::read(speakr_e2e::clip("jfk.wav")).unwrap();
    let form = reqwest::multipart::Form::new()
        .part(
            "file",
            reqwest::multipart::Part::bytes(bytes).file_name("jfk.wav"),
        )
        .text("model", "whisper-1")
        .text("store", "true");
    let gone = platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .multipart(form)
        .timeout(std::time::Duration::from_secs(3))
        .send()
        .await;
    assert!(gone.is_err_and(|e| e.is_timeout()));
    // Whoever cleans up has done so by now.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(platform.revive(), ["speakr-transcriber"]);
    let query = json!({"query_text": "what your country can do"});
    platform
        .query_until(&query, |answer| answer["count"] == 1)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_stuck_for_a_while_costs_no_text() {
    let mut platform = Platform::start();
    // An outage is no attempt: one is all there are.
    platform.restart(Role::Embedder, &[("SPEAKR_MAX_ATTEMPTS", "1")]);
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| {
            platform.sql(
                "BEGIN; LOCK TABLE speakr.recordings IN ACCESS EXCLUSIVE MODE; \
                 SELECT pg_sleep(25); COMMIT",
            )
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                platform.transcribe("jfk.wav", &[("store", "true")]).await;
                let began = std::time::Instant::now();
                while !platform.embedder.log().contains("not findable yet") {
                    assert!(!stuck.is_finished(), "nothing was stuck");
                    assert!(began.elapsed().as_secs() < 60);
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            });
        });
    });
    let query = json!({"query_text": "what your country can do"});
    platform
        .query_until(&query, |answer| answer["count"] == 1)
        .await;
    assert!(!platform.embedder.log().contains("dead letter"));
}

/// A `speakr serve` and how to reach it; it ends with this.
struct Serving {
    process: std::process::Child,
    port: u16,
    token: String,
    _speakr: speakr_e2e::Speakr,
}

impl Serving {
    fn start() -> Self {
        let speakr = speakr_e2e::Speakr::new();
        let mut command = speakr.command(["serve", "--json", "--listen", "127.0.0.1:0"]);
        let mut process = command.spawn().unwrap();
        let mut first = String::new();
        let said = process.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut first).unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        let url: reqwest::Url = first["url"].as_str().unwrap().parse().unwrap();
        Self {
            process,
            port: url.port().unwrap(),
            token: first["token"].as_str().unwrap().to_owned(),
            _speakr: speakr,
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_api_can_make_the_text() {
    let serving = Serving::start();
    let platform = Platform::start_with(&[
        ("SPEAKR_ENGINE", "openai"),
        (
            "OPENAI_BASE_URL",
            &format!("http://127.0.0.1:{}/v1", serving.port),
        ),
        ("OPENAI_API_KEY", &serving.token),
    ]);
    let answer = platform
        .transcribe("jfk.wav", &[("response_format", "verbose_json")])
        .await;
    assert!(
        answer["text"].as_str().unwrap().contains("country"),
        "{answer}"
    );
    assert!(!answer["segments"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_api_that_is_away_for_a_while_costs_no_text() {
    let serving = Serving::start();
    let way = speakr_testkit::proxy::Proxy::to(serving.port).unwrap();
    let platform = Platform::start_with(&[
        ("SPEAKR_ENGINE", "openai"),
        (
            "OPENAI_BASE_URL",
            &format!("http://127.0.0.1:{}/v1", way.port()),
        ),
        ("OPENAI_API_KEY", &serving.token),
        // An outage is no attempt: one is all there are.
        ("SPEAKR_MAX_ATTEMPTS", "1"),
    ]);
    way.close();
    let cut = async {
        let began = std::time::Instant::now();
        while !platform.transcriber.log().contains("a command waits") {
            assert!(began.elapsed().as_secs() < 90, "nothing waits");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        way.open();
    };
    let fields = [("response_format", "verbose_json")];
    let (answer, ()) = tokio::join!(platform.transcribe("jfk.wav", &fields), cut);
    assert!(
        answer["text"].as_str().unwrap().contains("country"),
        "{answer}"
    );
    assert!(!platform.transcriber.log().contains("dead letter"));
}
