//! Answers are what the OpenAPI document says, events what their schemas say, and what isn't allowed is
//! refused.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, header};
use serde_json::{Value, json};
use speakr_contract::{catalogue, ids};
use uuid::Uuid;

use super::{
    Context,
    api::{Answer, Api, SPEECH},
    bus::Spoken,
    check::{Runner, Seen, ensure, failed},
};

/// The API as this version of it is documented.
const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

/// Events of speech that is streamed, in their order.
const FLOW: [&str; 4] = [
    "speakr.event.recording.started",
    "speakr.event.recording.finished",
    "speakr.event.transcription.succeeded",
    "speakr.event.embedding.succeeded",
];

pub(super) async fn run(context: &Context, runner: &Runner<'_>) {
    let api = &context.api;
    runner
        .check(
            "openapi",
            "the API serves the document of this version",
            async { served(api).await.map(|document| shown(&document)) },
        )
        .await;
    runner
        .check(
            "answers",
            "every kind of answer is as the document says",
            async {
                api.need_token()?;
                let document = served(api).await?;
                answers(context, &document).await
            },
        )
        .await;
    runner
        .check(
            "refusals",
            "what is wrong is refused, with a problem that says why",
            async {
                api.need_token()?;
                let document = served(api).await?;
                refusals(api, &document).await
            },
        )
        .await;
    runner
        .check("growth", "fields that nobody knows are ignored", async {
            api.need_token()?;
            let query =
                json!({"query_text": "anything", "limit": 1, "not_in_the_contract": {"a": 1}});
            api.query(&query).await?;
            match context.spoken().await {
                Ok(_) => Ok("in a query, and in a command over the bus".to_owned()),
                Err(_) => Ok("in a query; over the bus it wasn't looked at".to_owned()),
            }
        })
        .await;
    runner
        .check(
            "events",
            "every event over the bus is valid by its schema",
            async { valid(&context.spoken().await?) },
        )
        .await;
    runner
        .check(
            "flow",
            "events come in order, once each, with the ids of their request",
            async { flow(&context.spoken().await?) },
        )
        .await;
    runner
        .check(
            "twice",
            "a command that is sent again makes no second recording",
            async {
                let spoken = context.spoken().await?;
                once(&spoken)?;
                api.need_token()?;
                let path = format!("/api/v1/recordings?limit=100&tags={}", api.own.tag);
                let list = api.get(&path).await?.json()?;
                let of_this = |r: &&Value| r["metadata"]["from"] == "speakr-validate";
                let found = list["recordings"].as_array();
                let count = found.map_or(0, |all| all.iter().filter(of_this).count());
                ensure(count == 1, || {
                    format!("{count} recordings of one start that was sent twice: {list}")
                })?;
                Ok("two starts, one recording".to_owned())
            },
        )
        .await;
}

fn shown(document: &Value) -> String {
    let paths = document["paths"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    format!(
        "OpenAPI {}, {paths} paths",
        document["openapi"].as_str().unwrap_or_default()
    )
}

/// The document that the API serves, which has to be the one of this version.
async fn served(api: &Api) -> Seen<Value> {
    let answer = api.once(api.bare(Method::GET, "/openapi.json")).await?;
    let served = answer.expect(200)?.json()?;
    let ours: Value = serde_json::from_str(OPENAPI)?;
    for part in ["openapi", "paths", "components"] {
        ensure(served[part] == ours[part], || {
            let differing = first_difference(part, &ours[part], &served[part]);
            format!("the API serves another document than this version's: {differing}")
        })?;
    }
    Ok(served)
}

/// Where two documents part.
fn first_difference(at: &str, ours: &Value, theirs: &Value) -> String {
    if let (Some(a), Some(b)) = (ours.as_object(), theirs.as_object()) {
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let (a, b) = (&ours[key.as_str()], &theirs[key.as_str()]);
            if a != b {
                return first_difference(&format!("{at}.{key}"), a, b);
            }
        }
    }
    let short = |value: &Value| value.to_string().chars().take(80).collect::<String>();
    format!("{at} is {} and should be {}", short(theirs), short(ours))
}

/// What is wrong with `answer` by what `document` says of the operation.
pub(super) fn conforms(document: &Value, method: &str, path: &str, answer: &Answer) -> Seen<()> {
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

/// Fails with what `schema` finds in `document`.
fn complain(schema: &Value, document: &Value, what: &str) -> Seen<()> {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| failed(format!("the schema of {what} is none: {error}")))?;
    let complaints: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure(complaints.is_empty(), || {
        format!("{what}: {}", complaints.join("; "))
    })
}

async fn answers(context: &Context, document: &Value) -> Seen {
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

async fn refusals(api: &Api, document: &Value) -> Seen {
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

fn valid(spoken: &Spoken) -> Seen {
    let mut kinds = BTreeSet::new();
    for event in &spoken.events {
        let entry = catalogue::find(&event.subject)
            .ok_or_else(|| failed(format!("{} isn't in the contract", event.subject)))?;
        let json: Value = serde_json::from_slice(&event.payload)?;
        complain(&entry.schema, &json, &event.subject)?;
        (entry.reread)(&event.payload).map_err(failed)?;
        kinds.insert(entry.name());
    }
    let names: Vec<&str> = kinds.iter().copied().collect();
    Ok(format!(
        "{} events: {}",
        spoken.events.len(),
        names.join(", ")
    ))
}

fn flow(spoken: &Spoken) -> Seen {
    let mut at = 0;
    for subject in FLOW {
        let place = spoken.events.iter().position(|e| e.subject == subject);
        let place = place.ok_or_else(|| failed(format!("{subject} never came")))?;
        ensure(place >= at, || {
            format!("{subject} came before what it follows")
        })?;
        at = place;
    }
    ensure(
        spoken.id == ids::recording_id(spoken.correlation_id),
        || {
            format!(
                "recording {} isn't the UUIDv5 of its correlation id",
                spoken.id
            )
        },
    )?;
    for event in &spoken.events {
        let json = event.json();
        ensure(json["recording_id"] == spoken.id.to_string(), || {
            format!("{} names another recording: {json}", event.subject)
        })?;
        let bears = event.correlation_id.as_deref() == Some(&spoken.correlation_id.to_string());
        ensure(bears, || {
            format!(
                "{} has correlation id {:?}",
                event.subject, event.correlation_id
            )
        })?;
        let trace = event.traceparent.as_deref().unwrap_or_default();
        ensure(trace.contains(&spoken.trace_id), || {
            format!("{} is in another trace: \"{trace}\"", event.subject)
        })?;
    }
    let finished = spoken
        .on(FLOW[1])
        .next()
        .map(super::bus::Event::json)
        .unwrap_or_default();
    ensure(
        finished["audio_file_path"] == format!("recordings/{}/audio.wav", spoken.id),
        || format!("its sound is said to be in {}", finished["audio_file_path"]),
    )?;
    ensure(finished["metadata"]["from"] == "speakr-validate", || {
        format!("its metadata didn't travel with it: {finished}")
    })?;
    ensure(spoken.overheard == 0, || {
        format!(
            "a client overheard {} commands and messages of sound",
            spoken.overheard
        )
    })?;
    Ok("started, finished, transcribed, embedded; one correlation id, one trace".to_owned())
}

/// Each event but the partial ones has one id, however often it is told.
fn once(spoken: &Spoken) -> Seen<()> {
    for subject in FLOW {
        let ids: BTreeSet<String> = spoken
            .on(subject)
            .map(|event| event.json()["event_id"].to_string())
            .collect();
        ensure(ids.len() == 1, || {
            format!("{subject} has {} ids: {ids:?}", ids.len())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn the_place_where_documents_part_is_named() {
        let (a, b) = (
            json!({"x": {"y": 1, "z": 2}}),
            json!({"x": {"y": 1, "z": 3}}),
        );
        assert_eq!(
            first_difference("paths", &a, &b),
            "paths.x.z is 3 and should be 2"
        );
    }
}
