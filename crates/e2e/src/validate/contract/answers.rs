//! Answers of the API, held against its document.

use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        Context,
        api::{Answer, Api, SPEECH},
        check::{Seen, ensure, failed},
    },
    complain,
};

/// What is wrong with `answer` by what `document` says of the operation.
fn conforms(document: &Value, method: &str, path: &str, answer: &Answer) -> Seen<()> {
    let status = answer.status.to_string();
    let response = &document["paths"][path][method]["responses"][status.as_str()];
    ensure(response.is_object(), || {
        format!(
            "{} is answered with {status}, which isn't documented",
            answer.asked
        )
    })?;
    let bare = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_owned();
    let kind = bare(answer.header("content-type"));
    let Some(content) = response["content"].as_object() else {
        return ensure(answer.body.is_empty(), || {
            format!(
                "{} with {status} has a body, and none is documented",
                answer.asked
            )
        });
    };
    let entry = content
        .iter()
        .find(|(documented, _)| bare(documented) == kind);
    let (_, entry) = entry.ok_or_else(|| {
        let documented: Vec<&String> = content.keys().collect();
        failed(format!(
            "{} with {status} is \"{kind}\" and not {documented:?}",
            answer.asked
        ))
    })?;
    if !kind.ends_with("json") {
        return Ok(());
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": document["components"],
        "allOf": [entry["schema"]],
    });
    complain(
        &schema,
        &answer.json()?,
        &format!("{} with {status}", answer.asked),
    )
}

pub(super) async fn answers(context: &Context, document: &Value) -> Seen {
    let api = &context.api;
    let stored = context.stored().await?;
    let id = stored.id;
    let mut looked_at = 0;
    let mut look = |method: &str, path: &str, answer: Seen<Answer>| -> Seen<()> {
        looked_at += 1;
        conforms(document, method, path, &answer?)
    };
    let query = json!({"query_text": "serving your nation", "filter_tags": [api.own.tag]});
    api.query_until(&query, |answer| answer["count"] != 0)
        .await?;
    let request = api.request(Method::POST, "/api/v1/query").json(&query);
    look("post", "/api/v1/query", api.send(request).await)?;
    let of = |rest: &str| format!("/api/v1/recordings/{id}{rest}");
    for (template, path) in [
        (
            "/api/v1/recordings",
            "/api/v1/recordings?limit=5".to_owned(),
        ),
        ("/api/v1/recordings/{recording_id}", of("")),
        (
            "/api/v1/recordings/{recording_id}/export",
            of("/export?format=json"),
        ),
        (
            "/api/v1/recordings/{recording_id}/export",
            of("/export?format=srt"),
        ),
        ("/api/v1/recordings/{recording_id}/sound", of("/sound")),
        ("/health", "/health".to_owned()),
        ("/docs", "/docs".to_owned()),
    ] {
        look(
            "get",
            template,
            api.send(api.request(Method::GET, &path)).await,
        )?;
    }
    let request = api
        .request(Method::PATCH, &of("/tags"))
        .json(&json!({"add": ["validated"]}));
    look(
        "patch",
        "/api/v1/recordings/{recording_id}/tags",
        api.send(request).await,
    )?;
    for format in ["json", "verbose_json", "text", "srt"] {
        let fields = [("response_format", format)];
        let answer = api.transcribe(Uuid::new_v4(), SPEECH, &fields).await;
        look("post", "/v1/audio/transcriptions", answer)?;
    }
    Ok(format!("{looked_at} answers, each valid"))
}

/// A request that has to be refused: operation, template of its path, status.
type Refusal = (RequestBuilder, &'static str, &'static str, u16);

pub(super) async fn refusals(api: &Api, document: &Value) -> Seen {
    const QUERY: &str = "/api/v1/query";
    const ONE: &str = "/api/v1/recordings/{recording_id}";
    let post = |body: Value| api.request(Method::POST, QUERY).json(&body);
    let raw = |body: &str, kind: &str| {
        api.request(Method::POST, QUERY)
            .header(header::CONTENT_TYPE, kind)
            .body(body.to_owned())
    };
    let get = |path: &str| api.request(Method::GET, path);
    let nobody = Uuid::new_v4();
    let cases: Vec<Refusal> = vec![
        (post(json!({})), "post", QUERY, 400),
        (post(json!({"query_text": 7})), "post", QUERY, 400),
        (
            post(json!({"query_text": "a", "mode": "guess"})),
            "post",
            QUERY,
            400,
        ),
        (
            post(json!({"query_text": "a", "limit": 0})),
            "post",
            QUERY,
            400,
        ),
        (
            post(json!({"query_text": "a", "limit": 101})),
            "post",
            QUERY,
            400,
        ),
        (
            post(json!({"query_text": "a", "since": "yesterday"})),
            "post",
            QUERY,
            400,
        ),
        (post(json!(["a"])), "post", QUERY, 400),
        (raw("{", "application/json"), "post", QUERY, 400),
        (
            raw("{\"query_text\": \"a\"}", "text/plain"),
            "post",
            QUERY,
            415,
        ),
        (
            get("/api/v1/recordings?limit=many"),
            "get",
            "/api/v1/recordings",
            400,
        ),
        (
            get(&format!("/api/v1/recordings/{nobody}")),
            "get",
            ONE,
            404,
        ),
        (get("/api/v1/recordings/not-an-id"), "get", ONE, 404),
    ];
    let count = cases.len();
    for (request, method, path, status) in cases {
        let answer = api.send(request).await?.expect(status)?;
        conforms(document, method, path, &answer)?;
        problem(&answer)?;
    }
    let answer = api
        .transcribe(Uuid::new_v4(), b"this is no sound", &[])
        .await?;
    ensure(matches!(answer.status, 400 | 415 | 422), || {
        format!("what is no sound is answered with {}", answer.status)
    })?;
    conforms(document, "post", "/v1/audio/transcriptions", &answer)?;
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::DELETE, "/api/v1/query", 405),
    ] {
        let answer = api.send(api.request(method, path)).await?.expect(status)?;
        problem(&answer)?;
    }
    Ok(format!(
        "{} requests, each refused with its status and a problem",
        count + 3
    ))
}

/// RFC 9457: a kind of its own, and what is said twice is the same.
fn problem(answer: &Answer) -> Seen<()> {
    let kind = answer.header("content-type");
    ensure(kind.starts_with("application/problem+json"), || {
        format!(
            "{} with {} is \"{kind}\", no problem of RFC 9457",
            answer.asked, answer.status
        )
    })?;
    let told = answer.json()?;
    ensure(told["status"] == answer.status, || {
        format!("a problem with {} says {told}", answer.status)
    })?;
    ensure(
        told["detail"].as_str().is_some_and(|d| !d.is_empty()),
        || format!("a problem that doesn't say what is wrong: {told}"),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::OPENAPI, *};
    use reqwest::header::{HeaderMap, HeaderValue};

    fn answer(status: u16, kind: &'static str, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Answer {
            asked: "POST /api/v1/query".to_owned(),
            status,
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn an_answer_is_held_against_the_document() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let complaint = |answer: &Answer| conforms(&document, "post", "/api/v1/query", answer);
        let good = r#"{"results": [], "count": 0}"#;
        assert!(complaint(&answer(200, "application/json", good)).is_ok());
        for (status, kind, body) in [
            (200, "application/json", r#"{"results": []}"#),
            (200, "application/json", r#"{"results": [{}], "count": 1}"#),
            (200, "application/json", r#"{"results": [], "count": "0"}"#),
            (200, "text/plain", good),
            (201, "application/json", good),
        ] {
            assert!(
                complaint(&answer(status, kind, body)).is_err(),
                "{status} {kind} {body}"
            );
        }
    }
}
