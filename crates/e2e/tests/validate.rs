//! `speakr-validate` against a platform that is well, and against platforms that aren't: each fault turns
//! the check red that is meant for it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    response::Response,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use speakr_e2e::{
    platform::{Options, Platform, Role},
    program::binary_of,
    validation::{Seen, validator},
};
use speakr_testkit::s3::Kind;

async fn recordings(platform: &Platform) -> Value {
    let list = platform.request(Method::GET, "/api/v1/recordings?limit=100");
    list.send().await.unwrap().json().await.unwrap()
}

/// The command that makes tokens, beside this test's program.
fn token_command() -> String {
    format!("{} token", binary_of("speakr-query-svc").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_well_passes_and_is_left_as_it_was() {
    let platform = Platform::start();
    let before = platform.run(Role::QuerySvc, &["token", "list"]);
    let tokens = token_command();
    let arguments = [
        "--group",
        "system,contract,health,secrets",
        "--token-command",
        &tokens,
        "--config-dump",
        "env -i LISTENS=here env",
    ];
    // An empty name of a file is none: so a workflow hands over what isn't there.
    let mut validator_of_all = validator(&platform, &arguments);
    validator_of_all.env("NATS_CREDS_FILE", "");
    let seen = Seen::by(&mut validator_of_all);
    assert_eq!(seen.code, Some(0), "{}\n{:#}", seen.said, seen.report);
    assert_eq!(
        seen.that("not_checked"),
        [
            "health.embedder-stopped",
            "health.query_svc-stopped",
            "health.transcriber-stopped",
            "secrets.history",
        ],
        "{}",
        seen.said
    );
    assert!(seen.that("failed").is_empty());
    assert!(seen.that("passed").len() >= 28, "{:#?}", seen.checks);
    let criteria = &seen.report["criteria"];
    for shown in ["P3-PROD1.1", "P3-PROD1.2"] {
        assert_eq!(criteria[shown]["not_checked"], 0, "{criteria}");
    }
    // Nothing of it stays.
    assert_eq!(recordings(&platform).await["count"], 0);
    let after = platform.run(Role::QuerySvc, &["token", "list"]);
    let active = |list: &str| {
        list.lines()
            .filter(|line| !line.contains("revoked_at\":\""))
            .count()
    };
    assert_eq!(active(&before), active(&after), "{after}");
    // What can't hold here is named, with its reason: it isn't looked at, and isn't said to hold.
    let left_out = ["--group", "health", "--leave-out", "health.api=it is a try"];
    let left_out = Seen::by(&mut validator(&platform, &left_out));
    assert_eq!(left_out.code, Some(0), "{}", left_out.said);
    assert_eq!(left_out.checks["health.api"], "not_checked");
    assert_eq!(left_out.details["health.api"], "left out here: it is a try");
    assert_eq!(left_out.checks["health.embedder"], "passed");
    // What wasn't looked at is a failure where that is asked for.
    let strict = ["--group", "health", "--strict"];
    let strict = Seen::by(&mut validator(&platform, &strict));
    assert_eq!(strict.code, Some(1), "{}", strict.said);
}

/// As a first deployment is validated, before there is a token: nothing could be deleted again.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_made_and_nothing_fails() {
    let platform = Platform::start();
    let mut without = validator(&platform, &["--group", "system,contract,secrets"]);
    without.env_remove("SPEAKR_API_TOKEN");
    let seen = Seen::by(&mut without);
    assert_eq!(seen.code, Some(0), "{}\n{:#}", seen.said, seen.report);
    for check in ["system.text", "system.cancel", "contract.flow"] {
        assert_eq!(seen.checks[check], "not_checked", "{check}: {}", seen.said);
        assert!(seen.details[check].contains("no token"), "{check}");
    }
    assert!(!seen.checks.contains_key("system.clean"), "{}", seen.said);
    assert_eq!(seen.checks["contract.openapi"], "passed");
    assert_eq!(recordings(&platform).await["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_stands_on_is_looked_at_as_far_as_one_machine_shows_it() {
    let platform = Platform::start_as(&Options {
        with_tls: true,
        ..Options::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, platform.token()).unwrap();
    let secret_file = secret.display().to_string();
    // moto, where there is nothing better, gives everything to anybody.
    let open_store = platform.s3.kind() == Kind::Moto;
    let infra = |more: &[&str]| {
        let mut arguments = vec!["--group", "infra", "--secret-file", &secret_file];
        if open_store {
            arguments.extend(["--leave-out", "infra.store-strangers=it is moto"]);
        }
        arguments.extend(more);
        Seen::by(&mut validator(&platform, &arguments))
    };

    std::fs::set_permissions(&secret, Permissions::from_mode(0o440)).unwrap();
    let seen = infra(&[]);
    assert_eq!(seen.that("failed"), Vec::<&str>::new(), "{}", seen.said);
    for passes in [
        "infra.bus-plaintext",
        "infra.pgvector",
        "infra.secret-files",
        "infra.streams",
    ] {
        assert_eq!(seen.checks[passes], "passed", "{passes}: {}", seen.said);
    }
    let strangers = if open_store { "not_checked" } else { "passed" };
    assert_eq!(seen.checks["infra.store-strangers"], strangers);
    // There is no network here that could be listened to, nor an address that could be public.
    for not_here in [
        "infra.addresses",
        "infra.api-plaintext",
        "infra.database-plaintext",
        "infra.store-encryption",
    ] {
        assert_eq!(seen.checks[not_here], "not_checked", "{not_here}");
    }

    std::fs::set_permissions(&secret, Permissions::from_mode(0o444)).unwrap();
    let seen = infra(&["--replicas", "3"]);
    seen.fails(&["infra.secret-files", "infra.streams"]);
}

/// What an API gets wrong that otherwise is the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    FindsNothing,
    AnswersAnybody,
    ForgetsToDelete,
    IgnoresRanges,
    LeavesOut,
    SaysErrorsPlainly,
    ShowsItsToken,
    OtherDocument,
}

/// A server that passes requests on, and lies in one thing.
#[derive(Clone)]
struct Liar {
    lie: Lie,
    to: String,
    token: String,
    client: reqwest::Client,
}

async fn pass_on(State(liar): State<Arc<Liar>>, request: Request) -> Response {
    let lie = liar.lie;
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let asked = parts.uri.path_and_query().unwrap().as_str().to_owned();
    if lie == Lie::ForgetsToDelete && parts.method == Method::DELETE {
        return Response::builder().status(204).body(Body::empty()).unwrap();
    }
    if lie == Lie::IgnoresRanges {
        parts.headers.remove(header::RANGE);
    }
    if lie == Lie::AnswersAnybody {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", liar.token)).unwrap();
        parts.headers.insert(header::AUTHORIZATION, bearer);
    }
    parts.headers.remove(header::HOST);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let answer = liar
        .client
        .request(parts.method.clone(), format!("{}{asked}", liar.to))
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await.unwrap();
    let told = serde_json::from_slice::<Value>(&body);
    match (lie, told) {
        (Lie::FindsNothing, _) if path == "/api/v1/query" && status == 200 => {
            body = Bytes::from_static(br#"{"results":[],"count":0}"#);
        }
        (Lie::LeavesOut, Ok(mut told)) if path == "/api/v1/recordings" && status == 200 => {
            told.as_object_mut().unwrap().remove("count");
            body = told.to_string().into();
        }
        (Lie::SaysErrorsPlainly, _) if status == 400 => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        (Lie::ShowsItsToken, Ok(mut told)) if path == "/health" => {
            told["token"] = liar.token.clone().into();
            body = told.to_string().into();
        }
        (Lie::OtherDocument, Ok(mut told)) if path == "/openapi.json" => {
            told["paths"]
                .as_object_mut()
                .unwrap()
                .remove("/api/v1/query");
            body = told.to_string().into();
        }
        _ => {}
    }
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    let mut answer = Response::builder()
        .status(status)
        .body(Body::from(body))
        .unwrap();
    *answer.headers_mut() = headers;
    answer
}

/// Starts the liar; gives its address.
async fn lie(platform: &Platform, lie: Lie) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = Liar {
        lie,
        to: platform.url(),
        token: platform.token().to_owned(),
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
    };
    let router = Router::new().fallback(pass_on).with_state(Arc::new(liar));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_of_an_api_turns_its_check_red() {
    let platform = Platform::start();
    for (what, group, red) in [
        (
            Lie::FindsNothing,
            "system",
            vec!["system.delete", "system.found", "system.tags"],
        ),
        (
            Lie::AnswersAnybody,
            "secrets",
            vec!["secrets.no-token", "secrets.wrong-token"],
        ),
        (
            Lie::ForgetsToDelete,
            "system",
            vec!["system.clean", "system.delete"],
        ),
        (Lie::IgnoresRanges, "system", vec!["system.sound"]),
        (Lie::LeavesOut, "contract", vec!["contract.answers"]),
        (
            Lie::SaysErrorsPlainly,
            "contract",
            vec!["contract.refusals"],
        ),
        (Lie::ShowsItsToken, "secrets", vec!["secrets.shown"]),
        (
            Lie::OtherDocument,
            "contract",
            vec!["contract.answers", "contract.openapi", "contract.refusals"],
        ),
    ] {
        let url = lie(&platform, what).await;
        // Where what is waited for never comes, the wait is a short one.
        let patience = match what {
            Lie::FindsNothing | Lie::ForgetsToDelete => "30",
            _ => "120",
        };
        let arguments = ["--url", &url, "--group", group, "--patience", patience];
        let mut command = validator(&platform, &arguments);
        let seen = tokio::task::block_in_place(|| Seen::by(&mut command));
        assert_eq!(
            seen.that("failed"),
            red,
            "{what:?}\n{}\n{:#}",
            seen.said,
            seen.report
        );
        assert_eq!(seen.code, Some(1), "{what:?}");
        if what == Lie::ForgetsToDelete {
            for left in recordings(&platform).await["recordings"]
                .as_array()
                .unwrap()
            {
                let path = format!(
                    "/api/v1/recordings/{}",
                    left["recording_id"].as_str().unwrap()
                );
                platform
                    .request(Method::DELETE, &path)
                    .send()
                    .await
                    .unwrap();
            }
        }
        assert_eq!(recordings(&platform).await["count"], 0, "{what:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_away_turns_its_checks_red() {
    let mut platform = Platform::start();
    let short = |platform: &Platform, more: &[&str]| {
        let arguments = [&["--patience", "15"], more].concat();
        Seen::by(&mut validator(platform, &arguments))
    };

    platform.embedder.kill();
    let seen = short(&platform, &["--group", "system,health"]);
    let red = seen.that("failed");
    for wanted in [
        "health.embedder",
        "health.one-version",
        "system.bus",
        "system.found",
    ] {
        assert!(red.contains(&wanted), "{wanted}: {}", seen.said);
    }
    assert!(
        !red.contains(&"system.text") && !red.contains(&"health.transcriber"),
        "{red:?}"
    );
    assert_eq!(seen.code, Some(1));
    platform.revive();

    platform.transcriber.kill();
    let seen = short(&platform, &["--group", "system,health"]);
    let red = seen.that("failed");
    for wanted in [
        "health.transcriber",
        "system.text",
        "system.bus",
        "system.cancel",
    ] {
        assert!(red.contains(&wanted), "{wanted}: {}", seen.said);
    }
    // What rests on it isn't said to hold.
    assert!(
        seen.that("not_checked").contains(&"system.found"),
        "{}",
        seen.said
    );
    platform.revive();

    // A token that isn't known any more.
    let mut command = validator(&platform, &["--group", "system,contract"]);
    let seen = Seen::by(command.env("SPEAKR_API_TOKEN", "wrong"));
    let red = seen.that("failed");
    for wanted in ["system.text", "contract.answers", "contract.refusals"] {
        assert!(red.contains(&wanted), "{wanted}: {}", seen.said);
    }
    assert!(seen.report.to_string().contains("401"), "{}", seen.said);

    // No token, no bus: nothing is said to hold that wasn't seen.
    let mut command = validator(&platform, &["--group", "system,contract"]);
    command
        .env_remove("SPEAKR_API_TOKEN")
        .env_remove("NATS_URL");
    let seen = Seen::by(&mut command);
    assert_eq!(seen.that("passed"), ["contract.openapi"], "{}", seen.said);
    assert!(seen.that("failed").is_empty());

    platform.query_svc.kill();
    let seen = short(&platform, &["--group", "system"]);
    assert_eq!(seen.code, Some(3), "{}", seen.said);
    let seen = short(&platform, &["--level", "full"]);
    assert_eq!(seen.code, Some(2), "{}", seen.said);
    let seen = short(&platform, &["--group", "nonsense"]);
    assert_eq!(seen.code, Some(2), "{}", seen.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_off_it_takes_away_what_it_made() {
    let platform = Platform::start();
    for after in ["system.text", "system.silence"] {
        let mut child = validator(&platform, &["--group", "system"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.contains(after)));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let rest: Vec<String> = lines.collect();
        let mut printed = String::new();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_to_string(&mut printed).unwrap();
        let code = child.wait().unwrap().code();
        let seen = Seen::of(code, &printed, rest.join("\n"));
        assert_eq!(seen.code, Some(130), "{}", seen.said);
        assert_eq!(seen.report["interrupted"], true);
        assert_eq!(seen.checks["system.clean"], "passed", "{}", seen.said);
        assert_eq!(recordings(&platform).await["count"], 0, "{}", seen.said);
    }
}
