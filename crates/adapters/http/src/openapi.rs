//! The OpenAPI 3.1 document, made from the table of operations and the types on the wire.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    operations::{self, Operation},
    wire::ProblemBody,
};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<ProblemBody>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all() {
        let described = describe(&operation, &mut generator, &problem.clone().to_value());
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "speakr",
            "version": "1",
            "description": "Find what was said by meaning, read and hear it, and make text from sound. \
                Everything but /health, /openapi.json and /docs wants a bearer token. Who may read, may read all. \
                The header Speakr-Correlation-Id (a UUID) goes with a request through all logs and comes back; \
                X-Request-Id names the one request.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    for (status, kind, schema) in operation.answers {
        let response = responses
            .entry(*status)
            .or_insert_with(|| json!({"description": "Done"}));
        if !kind.is_empty() {
            response["content"][*kind] = json!({"schema": schema(generator)});
        }
    }
    // A malformed Content-Length can come with any request; only a token brings the others.
    let common: &[u16] = if operation.scope.is_some() {
        &[400, 401, 403, 421, 429, 500, 503, 504]
    } else {
        &[403, 421]
    };
    let mut problems: Vec<u16> = [common, operation.problems].concat();
    problems.sort_unstable();
    problems.dedup();
    for status in problems {
        let title = axum::http::StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("Problem");
        responses.insert(
            status.to_string(),
            json!({
                "description": title,
                "content": {"application/problem+json": {"schema": problem}},
            }),
        );
    }

    let mut parameters: Vec<Value> = operation
        .parameters
        .iter()
        .map(|p| {
            json!({
                "name": p.name, "in": p.place, "required": false, "description": p.doc,
                "schema": {"type": "string"},
            })
        })
        .collect();
    if operation.path.contains("{recording_id}") {
        parameters.push(json!({
            "name": "recording_id", "in": "path", "required": true,
            "schema": {"type": "string", "format": "uuid"},
        }));
    }

    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses,
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some((kind, schema)) = operation.body {
        described["requestBody"] =
            json!({"required": true, "content": {kind: {"schema": schema(generator)}}});
    }
    if let Some(scope) = operation.scope {
        described["security"] = json!([{"token": []}]);
        described["description"] = format!("Wants a token with the scope `{scope}`.").into();
    }
    described
}
