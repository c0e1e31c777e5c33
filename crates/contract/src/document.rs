//! The contract as documents for people and their tools: `docs/CONTRACT.md` and
//! `docs/asyncapi.yaml`.

use serde_json::{Map, Value, json};

use crate::{audio, catalogue, catalogue::Entry, message::Kind, subjects, yaml};

const INTRODUCTION: &str = "\
<!-- Made from crates/contract: UPDATE_CONTRACT=1 cargo nextest run -p speakr-contract -->

# The contract

> Stable for v1.0: within 1.x it only grows.

What programs say to each other over NATS. Any client that keeps to this page can have speech made
into text; `crates/contract` holds the same as Rust types, JSON Schemas (`schemas/`) and examples
(`golden/`), and `asyncapi.yaml` is for tools.

- Payloads are JSON in UTF-8, except sound. A field that a receiver doesn't know is ignored. A field
  that is missing or of the wrong kind is refused, by its path.
- A schema that was released only grows.
- Commands go into the stream `SPEAKR_COMMANDS`: publish through JetStream and wait for its answer,
  and the command isn't lost. When the stream is full, that answer is an error and nothing is lost
  unsaid.
- Events come as they happen on their subjects, and those of the last seven days from the stream
  `SPEAKR_EVENTS` (all but `transcription.partial`). An event can come twice: drop the one whose
  `event_id` you have seen.
- An event that would be larger than a message goes without `segments`, then with an empty `metadata`,
  and then without `tags`, as far as it has them and as is needed.

## Headers

| header | on | what |
|---|---|---|
| `Speakr-Correlation-Id` | all | a UUID that the client makes, one a request; every event that the request causes has it. Without it, one is derived from where the command is stored |
| `traceparent`, `tracestate` | all | W3C trace context |
| `Nats-Msg-Id` | all | a message with an id that the server has seen in the last two minutes (an event: in the last day) is dropped. For commands: anything of the client's that is the same when it sends the command again |
| `Speakr-Chunk`, `Speakr-End` | sound | see below |

## Ids

`recording_id` is the UUID version 5 of the correlation id's 16 bytes in the namespace
`8c6f1d0e-52a7-5b0d-9a3e-4b1f70c2d6a5`. So a client knows it before it is told, and a start or run
that is sent again with the same correlation id makes no second recording. A stop, a cancel and a
run by `recording_id` name the recording that they mean; the tags of a start and of a later run add
up.

";

const SOUND: &str = "\
## Sound

With `capture: client` (the default) the client sends the sound of the recording to
`speakr.audio.<recording_id>` as soon as it likes, before `recording.started` too:

- 16 kHz, mono, signed 16-bit little-endian samples without a header, 100 ms (3,200 bytes) a message
  and at most 320,000 bytes;
- `Speakr-Chunk: 0`, `1`, `2` … on each;
- after the last, an empty message with `Speakr-End: <how many there were>`;
- `Nats-Msg-Id: <recording_id>:<number>`, and `<recording_id>:end:<count>` on the end mark.

Messages may come twice and in any order. Publish through JetStream: what has been acknowledged is
durable until the recording is kept. What wasn't, send again within five seconds, and as soon as a lost
connection is back: a message that is missing between others is waited for until ten seconds of sound
have come after it, and the text goes on without it then. Then stop the recording. A client that sends
nothing for 60 seconds has its recording finished with the sound that came; one that pauses sends a
message with a number and no sound every 15 seconds or so.

A file too large for one message (8 MB) goes the same way: decode it, start, send, stop.
";

/// `docs/CONTRACT.md`.
#[must_use]
pub fn contract_md() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (kind, title) in [(Kind::Command, "Commands"), (Kind::Event, "Events")] {
        out.push_str(&format!("## {title}\n\n"));
        for entry in catalogue::all().iter().filter(|e| e.kind == kind) {
            message_md(entry, &mut out);
        }
    }
    out.push_str(SOUND);
    out
}

fn message_md(entry: &Entry, out: &mut String) {
    out.push_str(&format!("### `{}`\n\n", entry.subject));
    let about = entry.schema["description"].as_str().unwrap_or_default();
    let about = about.split_once(": ").map_or(about, |(_, rest)| rest);
    let mut letters = about.chars();
    if let Some(first) = letters.next() {
        out.push_str(&one_line(&format!(
            "{}{}",
            first.to_uppercase(),
            letters.as_str()
        )));
        out.push_str("\n\n");
    }
    out.push_str("| field | kind | what |\n|---|---|---|\n");
    fields_md(&entry.schema, &entry.schema, "", out);
    out.push_str(&format!(
        "\nSchema: `crates/contract/schemas/{}`; example: `crates/contract/golden/{}`.\n\n",
        entry.schema_file(),
        entry.schema_file()
    ));
}

fn fields_md(root: &Value, schema: &Value, prefix: &str, out: &mut String) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let meant = target(root, field);
        let about = field["description"]
            .as_str()
            .or(meant["description"].as_str())
            .unwrap_or_default();
        let mut kind = kind_of(root, field);
        if !required.contains(&name.as_str()) {
            let default = &field["default"];
            kind = if default.is_null() {
                format!("{kind}, optional")
            } else {
                format!("{kind}, `{default}` where absent")
            };
        }
        out.push_str(&format!("| `{path}` | {kind} | {} |\n", one_line(about)));
        let items = target(root, &meant["items"]);
        if items["properties"].is_object() {
            fields_md(root, items, &format!("{path}[]."), out);
        } else if meant["properties"].is_object() {
            fields_md(root, meant, &format!("{path}."), out);
        }
    }
}

/// What a field's schema stands for, past references and "or null".
fn target<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        return target(root, root.pointer(pointer).unwrap_or(&Value::Null));
    }
    schema["anyOf"]
        .as_array()
        .and_then(|of| of.iter().find(|s| s["type"] != "null"))
        .map_or(schema, |some| target(root, some))
}

fn kind_of(root: &Value, field: &Value) -> String {
    let schema = target(root, field);
    let words: Vec<String> = schema["oneOf"]
        .as_array()
        .or(schema["enum"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|w| w["const"].as_str().or(w.as_str()))
        .map(|w| format!("`{w}`"))
        .collect();
    if !words.is_empty() {
        return words.join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(types) => types
            .iter()
            .filter_map(Value::as_str)
            .find(|t| *t != "null")
            .unwrap_or("any"),
        Value::String(name) => name,
        _ => "any",
    };
    match (name, schema["format"].as_str()) {
        ("string", Some("uuid")) => "UUID".to_owned(),
        ("string", Some("date-time")) => "RFC 3339 time".to_owned(),
        ("string", _) if schema["contentEncoding"] == "base64" => "base64".to_owned(),
        ("array", _) => format!("list of {}", kind_of(root, &schema["items"])),
        (name, _) => name.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// `docs/asyncapi.yaml` (AsyncAPI 3.0).
#[must_use]
pub fn asyncapi_yaml() -> String {
    format!(
        "# Made from crates/contract: UPDATE_CONTRACT=1 cargo nextest run -p speakr-contract\n{}",
        yaml::write(&asyncapi())
    )
}

/// The AsyncAPI document.
#[must_use]
pub fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    let mut schemas = Map::new();
    for entry in catalogue::all() {
        let name = entry.name().replace('.', "_");
        let mut schema = entry.schema.clone();
        hoist(&mut schema, &mut schemas);
        schemas.insert(name.clone(), schema);
        channels.insert(
            name.clone(),
            json!({
                "address": entry.subject,
                "summary": entry.summary,
                "messages": {&name: {"$ref": format!("#/components/messages/{name}")}},
            }),
        );
        messages.insert(
            name.clone(),
            json!({
                "name": entry.name(),
                "summary": entry.summary,
                "contentType": "application/json",
                "headers": {"$ref": "#/components/schemas/headers"},
                "payload": {"$ref": format!("#/components/schemas/{name}")},
            }),
        );
        // As the platform sees it: it receives commands and sends events.
        let action = match entry.kind {
            Kind::Command => "receive",
            Kind::Event => "send",
        };
        operations.insert(
            name.clone(),
            json!({
                "action": action,
                "channel": {"$ref": format!("#/channels/{name}")},
                "summary": entry.summary,
            }),
        );
    }
    schemas.insert("headers".to_owned(), headers());
    add_audio(&mut channels, &mut operations, &mut messages);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "speakr",
            "version": "1.0.0",
            "description": "Speech to text over NATS. docs/CONTRACT.md tells it for people.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

/// Moves a schema's own definitions to where the document keeps all.
fn hoist(schema: &mut Value, schemas: &mut Map<String, Value>) {
    let definitions = match schema.as_object_mut() {
        Some(fields) => {
            fields.remove("$schema");
            fields.remove("$defs")
        }
        None => None,
    };
    point_to_components(schema);
    if let Some(Value::Object(definitions)) = definitions {
        for (name, mut definition) in definitions {
            point_to_components(&mut definition);
            schemas.insert(name, definition);
        }
    }
}

fn point_to_components(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "$ref" => {
                        *text = text.replace("#/$defs/", "#/components/schemas/");
                    }
                    other => point_to_components(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_components),
        _ => {}
    }
}

fn headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            crate::headers::CORRELATION_ID: {
                "type": "string", "format": "uuid",
                "description": "One request, from its first command to its last event.",
            },
            crate::headers::TRACEPARENT: {"type": "string", "description": "W3C trace context."},
            crate::headers::TRACESTATE: {"type": "string", "description": "W3C trace context."},
            crate::headers::MESSAGE_ID: {
                "type": "string", "description": "By this the server drops a repeat.",
            },
        },
    })
}

fn add_audio(
    channels: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
    messages: &mut Map<String, Value>,
) {
    channels.insert(
        "audio".to_owned(),
        json!({
            "address": subjects::AUDIO.replace('*', "{recording_id}"),
            "summary": "The sound of a recording as it is spoken.",
            "parameters": {"recording_id": {"description": "Which recording."}},
            "messages": {"audio": {"$ref": "#/components/messages/audio"}},
        }),
    );
    operations.insert(
        "audio".to_owned(),
        json!({"action": "receive", "channel": {"$ref": "#/channels/audio"}}),
    );
    messages.insert(
        "audio".to_owned(),
        json!({
            "name": "audio",
            "summary": format!("{} Hz mono s16le samples, 100 ms of them.", audio::SAMPLE_RATE_HZ),
            "contentType": "application/octet-stream",
            "headers": {
                "type": "object",
                "properties": {
                    crate::headers::CHUNK: {
                        "type": "integer", "minimum": 0, "description": "Its place, from 0.",
                    },
                    crate::headers::END: {
                        "type": "integer", "minimum": 0,
                        "description": "On an empty last message: how many there were.",
                    },
                },
            },
        }),
    );
}
