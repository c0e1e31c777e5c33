//! Every operation of the API, once: the router and the OpenAPI document are both made from this
//! table, so that neither can have what the other lacks.

use std::sync::LazyLock;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use speakr_core::ports::access::Scope;

use crate::{
    api::Api,
    openapi, page, query, recordings, sound,
    transcriptions::{self, FormFields, JsonAnswer, VerboseAnswer},
    wire::{
        Alive, QueryRequest, QueryResponse, RecordingDetail, RecordingList, RecordingSummary,
        TagChange,
    },
};

/// What both say is the same as long as the program lives.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| page::page(&openapi::document()));

/// How large its requests may be, and how long its answers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Ordinary,
    Upload,
}

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A parameter of the query string or a header.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: &'static str,
    pub(crate) doc: &'static str,
}

/// One operation.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// What a token needs; none for what tells nothing of anybody.
    pub(crate) scope: Option<Scope>,
    pub(crate) size: Size,
    pub(crate) parameters: &'static [Parameter],
    /// Media type and schema of its body.
    pub(crate) body: Option<(&'static str, SchemaOf)>,
    /// Status, media type and schema of its answers when it succeeds.
    pub(crate) answers: &'static [(&'static str, &'static str, SchemaOf)],
    /// Status codes of its problems beside those that every operation has.
    pub(crate) problems: &'static [u16],
    pub(crate) handler: fn() -> MethodRouter<Api>,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn text(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string"})
}

fn binary(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "format": "binary"})
}

fn object(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "object"})
}

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

const FILTERS: &[Parameter] = &[
    Parameter {
        name: "tags",
        place: "query",
        doc: "Only recordings with all of these tags, separated by commas.",
    },
    Parameter {
        name: "since",
        place: "query",
        doc: "Only captured at this time (RFC 3339) or later.",
    },
    Parameter {
        name: "until",
        place: "query",
        doc: "Only captured before this time (RFC 3339): that of the last one listed gives the next page.",
    },
    Parameter {
        name: "limit",
        place: "query",
        doc: "Most recordings: 1 to 1000, 50 where absent.",
    },
    Parameter {
        name: "id_prefix",
        place: "query",
        doc: "Only recordings whose id begins with these hexadecimal digits, ten at most; the other parameters don't count then.",
    },
];

/// All of them.
pub(crate) fn all() -> [Operation; 11] {
    // Function pointers, numbers and words alone: each takes what it shares with this one.
    let read = Operation {
        method: "get",
        path: "/api/v1/recordings",
        id: "listRecordings",
        summary: "List recordings, newest first",
        scope: Some(Scope::Read),
        size: Size::Ordinary,
        parameters: FILTERS,
        body: None,
        answers: &[("200", JSON, of::<RecordingList>)],
        problems: &[400],
        handler: || get(recordings::list),
    };
    [
        Operation {
            method: "post",
            path: "/api/v1/query",
            id: "query",
            summary: "Find what was said, by meaning and by words",
            parameters: &[],
            body: Some((JSON, of::<QueryRequest>)),
            answers: &[("200", JSON, of::<QueryResponse>)],
            problems: &[400, 413, 415],
            handler: || post(query::query),
            ..read
        },
        Operation { ..read },
        Operation {
            path: "/api/v1/recordings/{recording_id}",
            id: "showRecording",
            summary: "One recording with its text",
            parameters: &[],
            answers: &[("200", JSON, of::<RecordingDetail>)],
            problems: &[404, 410],
            handler: || get(recordings::show),
            ..read
        },
        Operation {
            method: "delete",
            path: "/api/v1/recordings/{recording_id}",
            id: "deleteRecording",
            summary: "Delete a recording for good: sound, text and vectors",
            scope: Some(Scope::Write),
            parameters: &[],
            answers: &[("204", "", object)],
            problems: &[404],
            handler: || delete(recordings::delete),
            ..read
        },
        Operation {
            path: "/api/v1/recordings/{recording_id}/export",
            id: "exportRecording",
            summary: "One recording's text as a file",
            parameters: &[Parameter {
                name: "format",
                place: "query",
                doc: "txt (where absent), srt, vtt, json or tsv.",
            }],
            answers: &[
                ("200", PLAIN, text),
                ("200", "application/x-subrip; charset=utf-8", text),
                ("200", "text/vtt; charset=utf-8", text),
                ("200", "text/tab-separated-values; charset=utf-8", text),
                ("200", JSON, object),
            ],
            problems: &[400, 404, 409, 410],
            handler: || get(recordings::export_text),
            ..read
        },
        Operation {
            path: "/api/v1/recordings/{recording_id}/sound",
            id: "recordingSound",
            summary: "One recording's sound, whole or a range of it",
            parameters: &[Parameter {
                name: "Range",
                place: "header",
                doc: "One range of bytes, as in `bytes=0-65535`.",
            }],
            answers: &[
                ("200", "audio/flac", binary),
                ("200", "audio/wav", binary),
                ("206", "audio/flac", binary),
                ("206", "audio/wav", binary),
            ],
            problems: &[404, 410, 416],
            handler: || get(sound::sound),
            ..read
        },
        Operation {
            method: "patch",
            path: "/api/v1/recordings/{recording_id}/tags",
            id: "changeTags",
            summary: "Add and remove tags",
            scope: Some(Scope::Write),
            parameters: &[],
            body: Some((JSON, of::<TagChange>)),
            answers: &[("200", JSON, of::<RecordingSummary>)],
            problems: &[400, 404, 410, 413, 415],
            handler: || patch(recordings::change_tags),
            ..read
        },
        Operation {
            method: "post",
            path: "/v1/audio/transcriptions",
            id: "createTranscription",
            summary: "Make text from a file, as OpenAI's API does",
            scope: Some(Scope::Transcribe),
            size: Size::Upload,
            parameters: &[Parameter {
                name: "Speakr-Correlation-Id",
                place: "header",
                doc: "A UUID that names this request and no other. One that is sent again with it stores \
                    nothing twice, and has the text that was stored the first time. One is made up \
                    where it is absent.",
            }],
            body: Some(("multipart/form-data", of::<FormFields>)),
            answers: &[
                ("200", JSON, any_json),
                ("200", PLAIN, text),
                ("200", "application/x-subrip; charset=utf-8", text),
                ("200", "text/vtt; charset=utf-8", text),
                ("200", "text/event-stream", text),
            ],
            problems: &[400, 404, 408, 413, 415, 422, 502, 503, 504],
            handler: || post(transcriptions::transcribe),
        },
        Operation {
            path: "/health",
            id: "health",
            summary: "Whether the server is alive",
            scope: None,
            parameters: &[],
            answers: &[("200", JSON, of::<Alive>)],
            problems: &[],
            handler: || get(async || Json(Alive { status: "alive" })),
            ..read
        },
        Operation {
            path: "/openapi.json",
            id: "openApi",
            summary: "This description",
            scope: None,
            parameters: &[],
            answers: &[("200", JSON, object)],
            problems: &[],
            handler: || {
                get(async || {
                    (
                        [(header::CONTENT_TYPE, "application/json")],
                        DOCUMENT.as_str(),
                    )
                })
            },
            ..read
        },
        Operation {
            path: "/docs",
            id: "docs",
            summary: "This description as a page",
            scope: None,
            parameters: &[],
            answers: &[("200", "text/html; charset=utf-8", text)],
            problems: &[],
            handler: || get(read_page),
            ..read
        },
    ]
}

fn any_json(generator: &mut SchemaGenerator) -> Schema {
    let (plain, verbose) = (of::<JsonAnswer>(generator), of::<VerboseAnswer>(generator));
    schemars::json_schema!({"anyOf": [plain, verbose]})
}

async fn read_page() -> Response {
    let mut response = Html(PAGE.as_str()).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    );
    response
}
