//! Answers are what the OpenAPI document says, events what their schemas say, and what isn't allowed is
//! refused.

mod answers;
mod events;

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Context,
    api::Api,
    check::{Runner, Seen, ensure, failed},
};

/// The API as this version of it is documented.
const OPENAPI: &str = include_str!("../../../../../docs/openapi.json");

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
                answers::answers(context, &document).await
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
                answers::refusals(api, &document).await
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
            async { events::valid(&context.spoken().await?) },
        )
        .await;
    runner
        .check(
            "flow",
            "events come in order, once each, with the ids of their request",
            async { events::flow(&context.spoken().await?) },
        )
        .await;
    runner
        .check(
            "twice",
            "a command that is sent again makes no second recording",
            async {
                let spoken = context.spoken().await?;
                events::once(&spoken)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
