//! Who may ask `speakr serve`, from where, and what it refuses.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{os::unix::fs::PermissionsExt, time::Duration};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use speakr_e2e::{
    Speakr,
    api_server::{ApiServer, problem},
};

#[tokio::test]
async fn who_has_no_token_a_wrong_one_or_another_host_is_refused() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let document: Value = server
        .bare(Method::GET, "/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut guarded = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{recording_id}", "00000000-0000-4000-8000-000000000000");
            let answer = server.bare(method.clone(), &path).send().await.unwrap();
            if operation.get("security").is_none() {
                assert_eq!(answer.status(), 200, "{method} {path}");
                continue;
            }
            guarded += 1;
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            problem(answer, 401, "unauthorised").await;
            let wrong = server
                .bare(method, &path)
                .bearer_auth("speakr_wrong")
                .send()
                .await
                .unwrap();
            problem(wrong, 401, "unauthorised").await;
        }
    }
    assert_eq!(guarded, 8);

    let elsewhere = server
        .request(Method::GET, "/api/v1/recordings")
        .header(header::HOST, "evil.example")
        .send()
        .await
        .unwrap();
    problem(elsewhere, 421, "host").await;
    let page = server
        .request(Method::GET, "/api/v1/recordings")
        .header(header::ORIGIN, "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(!page.headers().contains_key("access-control-allow-origin"));
    problem(page, 403, "forbidden").await;
    let own = server
        .request(Method::GET, "/api/v1/recordings")
        .header(header::ORIGIN, server.url.as_str())
        .send()
        .await
        .unwrap();
    assert_eq!(own.status(), 200);
    problem(
        server.bare(Method::GET, "/nothing").send().await.unwrap(),
        404,
        "not-found",
    )
    .await;
    problem(
        server
            .bare(Method::PUT, "/api/v1/query")
            .send()
            .await
            .unwrap(),
        405,
        "method",
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_reason() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &["--max-upload-mb", "1"]);
    let query = async |body: Value| {
        server
            .request(Method::POST, "/api/v1/query")
            .json(&body)
            .send()
            .await
            .unwrap()
    };
    for body in [
        json!({}),
        json!({"query_text": ""}),
        json!({"query_text": "a", "limit": 0}),
        json!({"query_text": "a", "limit": 101}),
        json!({"query_text": "a", "mode": "magic"}),
        json!({"query_text": "a", "since": "yesterday"}),
        json!({"query_text": "a", "filter_tags": ["x".repeat(201)]}),
    ] {
        problem(query(body).await, 400, "malformed").await;
    }
    let plain = server
        .request(Method::POST, "/api/v1/query")
        .body("{}")
        .send()
        .await
        .unwrap();
    problem(plain, 415, "content-type").await;
    problem(
        query(json!({"query_text": "a".repeat(300_000)})).await,
        413,
        "too-large",
    )
    .await;

    // Told from its announced length alone: nothing of it is sent.
    let ten_gb = raw(
        &server,
        "Content-Length: 10000000000\r\nContent-Type: multipart/form-data; boundary=b\r\n",
        "",
    )
    .await;
    assert!(ten_gb.starts_with("HTTP/1.1 413"), "{ten_gb}");
    // One that doesn't announce its length is cut off at the limit.
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let head = format!("{:x}\r\n{head}\r\n", head.len());
    let body = format!("{head}{}", chunk.repeat(20));
    let unannounced = raw(
        &server,
        "Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n",
        &body,
    )
    .await;
    assert!(unannounced.starts_with("HTTP/1.1 413"), "{unannounced}");

    problem(server.transcribe("manifest.tsv", &[]).await, 422, "refused").await;
    let unknown = [("response_format", "docx")];
    problem(
        server.transcribe("jfk.wav", &unknown).await,
        400,
        "malformed",
    )
    .await;
    let german = problem(
        server.transcribe("jfk.wav", &[("language", "de")]).await,
        422,
        "refused",
    )
    .await;
    assert!(
        german["detail"].as_str().unwrap().contains("language"),
        "{german}"
    );
    for path in [
        "/api/v1/recordings/..%2f..%2ftokens.json",
        "/api/v1/recordings/x/sound",
    ] {
        problem(
            server.request(Method::GET, path).send().await.unwrap(),
            404,
            "not-found",
        )
        .await;
    }
}

/// Sends bytes as they are to the transcription endpoint; gives what comes back.
async fn raw(server: &ApiServer, headers: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = server.url.strip_prefix("http://").unwrap();
    let token = server.token.as_ref().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
    );
    let (mut reader, mut writer) = stream.split();
    // The server may answer and close while this is being sent.
    let send = async {
        writer.write_all(head.as_bytes()).await.ok();
        writer.write_all(body.as_bytes()).await.ok();
        std::future::pending::<()>().await;
    };
    let mut answer = vec![0; 16 * 1024];
    let read = tokio::time::timeout(Duration::from_secs(60), reader.read(&mut answer));
    let len = tokio::select! {
        len = read => len.expect("an answer").unwrap(),
        () = send => 0,
    };
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

#[tokio::test]
async fn the_token_is_shown_once_kept_as_a_hash_and_can_be_renewed() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &[]);
    let token = server.token.clone().unwrap();
    let file = speakr.home().join("tokens.json");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o077,
        0
    );
    assert!(
        !std::fs::read_to_string(&file)
            .unwrap()
            .contains(token.strip_prefix("speakr_").unwrap())
    );
    let (code, took) = server.interrupt();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");

    let again = ApiServer::start(&speakr, &[]);
    assert_eq!(again.token, None);
    let with = async |server: &ApiServer, token: &str| {
        let request = server
            .bare(Method::GET, "/api/v1/recordings")
            .bearer_auth(token);
        request.send().await.unwrap().status()
    };
    assert_eq!(with(&again, &token).await, 200);
    drop(again);
    let renewed = ApiServer::start(&speakr, &["--new-token"]);
    let newer = renewed.token.clone().unwrap();
    assert_eq!(with(&renewed, &token).await, 401);
    assert_eq!(with(&renewed, &newer).await, 200);
}

#[tokio::test]
async fn an_origin_that_is_allowed_gets_its_answers() {
    let speakr = Speakr::new();
    let server = ApiServer::start(&speakr, &["--allow-origin", "https://notes.example"]);
    let asked = server
        .bare(Method::OPTIONS, "/api/v1/query")
        .header(header::ORIGIN, "https://notes.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        asked.headers()["access-control-allow-origin"],
        "https://notes.example"
    );
    let list = server
        .request(Method::GET, "/api/v1/recordings")
        .header(header::ORIGIN, "https://notes.example")
        .send()
        .await
        .unwrap();
    assert_eq!(
        list.headers()["access-control-allow-origin"],
        "https://notes.example"
    );
}
