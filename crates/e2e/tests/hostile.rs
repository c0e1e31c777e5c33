//! Who means the platform no good: uploads that are too large, tokens that have run out, ids and names
//! that are paths, bodies that say they are compressed.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    dead_code,
    reason = "test code"
)]

#[path = "common/store.rs"]
mod store;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use reqwest::{Method, header};
use serde_json::json;
use speakr_e2e::{clip, platform::Platform, program::PATIENCE};

/// Sends a request's head and some of its body, however much the head promises; gives the first line of
/// the answer.
fn answer_to(platform: &Platform, head: &str, body: &[u8]) -> String {
    let address = platform.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "{head}\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        platform.token()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It may have answered and closed before all of it is sent.
    let _ = stream.write_all(body);
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let platform = Platform::start();
    let began = Instant::now();
    let answer = answer_to(
        &platform,
        "POST /v1/audio/transcriptions HTTP/1.1\r\nContent-Length: 10000000000\r\n\
         Content-Type: multipart/form-data; boundary=b",
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF",
    );
    assert!(answer.contains(" 413 "), "{answer}");
    let answer = answer_to(
        &platform,
        "POST /api/v1/query HTTP/1.1\r\nContent-Length: 10000000000\r\nContent-Type: application/json",
        b"{\"query_text\": \"",
    );
    assert!(answer.contains(" 413 "), "{answer}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

/// A connection that is closed on unread bytes is reset, and the reset overtakes the answer.
#[test]
fn who_is_refused_while_sending_still_hears_why() {
    let platform = Platform::start();
    let address = platform.url().replace("http://", "");
    for _ in 0..5 {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {address}\r\nContent-Length: 8388608\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nAuthorization: Bearer wrong\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..128 {
            stream.write_all(&[0; 65_536]).unwrap();
        }
        // Not read before all is sent, as many clients do.
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("problem+json"), "{answer}");
    }
}

/// A load balancer keeps connections, and uses one as long as it takes it for open.
#[test]
fn who_says_nothing_is_sent_away_and_who_has_asked_may_ask_again_later() {
    let platform = Platform::start();
    let address = platform.url().replace("http://", "");
    let mut mute = TcpStream::connect(&address).unwrap();
    mute.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut asks = TcpStream::connect(&address).unwrap();
    asks.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = || {
        asks.write_all(format!("GET /docs HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 65_536];
        while !answer.ends_with(b"</html>\n") && !answer.ends_with(b"</html>") {
            let read = asks.read(&mut piece).unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "));
    };
    ask();
    let began = Instant::now();
    // Half a head is none.
    mute.write_all(b"GET /docs HTTP/1.1\r\n").unwrap();
    let end = mute.read(&mut [0; 64]);
    assert!(
        !matches!(end, Ok(1..)),
        "nothing was asked, and yet: {end:?}"
    );
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(25), "{waited:?}");
    std::thread::sleep(Duration::from_secs(20).saturating_sub(waited));
    ask();
}

#[tokio::test]
async fn a_token_that_has_run_out_and_one_of_another_scope_allow_nothing() {
    let platform = Platform::start();
    let token = platform.new_token("write");
    let ask = || {
        let request = platform.bare(Method::GET, "/api/v1/recordings");
        request.bearer_auth(&token).send()
    };
    assert_eq!(ask().await.unwrap().status(), 403);
    let _ = platform.sql(
        "UPDATE speakr.tokens SET expires_at = '2020-01-01T00:00:00Z' WHERE scopes = '{write}'",
    );
    // What was looked up is remembered for some seconds.
    let began = Instant::now();
    while ask().await.unwrap().status() != 401 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A FLAC file of an hour of silence: some kilobytes.
fn silent_hour() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("silence.flac");
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "anullsrc=r=16000:cl=mono",
        ])
        .args(["-t", "3600"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    std::fs::read(file).unwrap()
}

/// The same, with so many bytes of nothing in it: too large for a message of the bus.
fn padded(flac: &[u8], padding: usize) -> Vec<u8> {
    // "fLaC", the header of the first block, and its 34 bytes; it isn't the last block.
    let (info, rest) = flac.split_at(42);
    assert!(info.starts_with(b"fLaC") && info[4] == 0);
    let length = u32::try_from(padding).unwrap().to_be_bytes();
    [info, &[1], &length[1..], &vec![0; padding], rest].concat()
}

#[tokio::test]
async fn a_small_file_with_much_sound_in_it_is_refused_and_leaves_nothing() {
    let platform = Platform::start_with(&[("SPEAKR_MAX_SOUND", "30m")]);
    let bomb = silent_hour();
    assert!(bomb.len() < 1_000_000, "{}", bomb.len());
    for bomb in [bomb.clone(), padded(&bomb, 9_000_000)] {
        let bytes = bomb.len();
        let file = reqwest::multipart::Part::bytes(bomb).file_name("a.flac");
        let form = reqwest::multipart::Form::new()
            .part("file", file)
            .text("model", "whisper-1")
            .text("store", "true");
        let answer = platform
            .request(Method::POST, "/v1/audio/transcriptions")
            .multipart(form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 422, "{bytes}");
        let problem = answer.text().await.unwrap();
        assert!(problem.contains("longer than 1800 seconds"), "{problem}");
        let listed = platform.request(Method::GET, "/api/v1/recordings");
        let listed: serde_json::Value = listed.send().await.unwrap().json().await.unwrap();
        assert_eq!(listed["count"], 0, "{listed}");
        // An upload is taken away after its answer.
        let began = Instant::now();
        loop {
            let kept = store::versions(&platform.s3, "recordings/").await;
            if kept.is_empty() {
                break;
            }
            let keys: Vec<_> = kept.iter().map(|(key, _)| key).collect();
            assert!(began.elapsed() < PATIENCE, "{bytes}: {keys:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn ids_names_and_tags_are_no_paths_and_no_sql() {
    let platform = Platform::start();
    for id in [
        "..%2F..%2Fetc%2Fpasswd",
        "00000000-0000-4000-8000-000000000000%00",
        "'%20OR%201=1--",
        "%F0%9F%92%A9",
    ] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::GET, "/sound"),
            (Method::GET, "/export?format=srt"),
            (Method::DELETE, ""),
        ] {
            let path = format!("/api/v1/recordings/{id}{rest}");
            let answer = platform.request(method, &path).send().await.unwrap();
            let status = answer.status().as_u16();
            assert!([400, 404].contains(&status), "{path}: {status}");
        }
    }
    // The file's own name is a path, a tag is a statement; both are kept as what they are.
    let file = std::fs::read(clip("pv-en.wav")).unwrap();
    let form = reqwest::multipart::Form::new()
        .part(
            "file",
            reqwest::multipart::Part::bytes(file).file_name("../../../../tmp/speakr-was-here.wav"),
        )
        .text("model", "whisper-1")
        .text("store", "true")
        .text("tags", "'; DELETE FROM speakr.recordings; --");
    let answer = platform
        .request(Method::POST, "/v1/audio/transcriptions")
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert!(!std::path::Path::new("/tmp/speakr-was-here.wav").exists());
    let query =
        json!({"query_text": "platforms", "filter_tags": ["'; DELETE FROM speakr.recordings; --"]});
    platform
        .query_until(&query, |found| found["count"] == 1)
        .await;
}

#[tokio::test]
async fn a_body_that_says_it_is_compressed_is_not_inflated() {
    let platform = Platform::start();
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let answer = platform
            .request(Method::POST, "/api/v1/query")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, encoding)
            .body(vec![0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00])
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        assert!([400, 415].contains(&status), "{encoding}: {status}");
    }
}
