//! What `--json` prints is what `docs/json` says, for every command and kind of answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{fs, path::Path};

use serde_json::{Value, json};
use speakr_e2e::{
    Speakr,
    program::{microphone, path_of},
    wav,
};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/json")
        .join(format!("{name}.schema.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn complaints(schema_name: &str, document: &Value) -> Vec<String> {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema(schema_name))
        .unwrap();
    validator
        .iter_errors(document)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect()
}

#[track_caller]
fn conforms(schema_name: &str, document: &Value) {
    let complaints = complaints(schema_name, document);
    assert!(complaints.is_empty(), "{complaints:#?}\n{document:#}");
}

/// A library with one transcribed recording, and what `transcribe` printed of it.
fn library_with_a_recording() -> (Speakr, Value) {
    let speakr = Speakr::new();
    let transcript = speakr
        .run(["transcribe", "--json", "--tags", "b,a", &path_of("jfk.wav")])
        .success()
        .json();
    (speakr, transcript)
}

#[test]
fn the_schemas_are_schemas() {
    for name in ["transcript", "list", "search", "stream"] {
        jsonschema::meta::validate(&schema(name)).unwrap();
    }
}

#[test]
fn a_transcript_conforms_wherever_it_is_printed_and_kept() {
    let (speakr, transcript) = library_with_a_recording();
    conforms("transcript", &transcript);
    assert!(!transcript["segments"].as_array().unwrap().is_empty());

    let id = transcript["recording_id"].as_str().unwrap();
    let shown = speakr.run(["show", "--json", id]).success().json();
    conforms("transcript", &shown);
    assert_eq!(shown, transcript);

    let kept = speakr
        .home()
        .join("recordings")
        .join(id)
        .join("transcript.json");
    conforms(
        "transcript",
        &serde_json::from_str(&fs::read_to_string(kept).unwrap()).unwrap(),
    );
}

#[test]
fn a_recording_tells_its_latency_and_is_found_with_all_that_is_promised() {
    let speakr = Speakr::new();
    let device = microphone("jfk.wav");
    let transcript = speakr
        .run(["record", "--json", "--no-clipboard", "--device", &device])
        .success()
        .json();
    conforms("transcript", &transcript);
    assert!(transcript["latency_ms"].is_u64(), "{transcript:#}");

    // Nothing was given with it; the field is there all the same.
    let found = speakr.run(["search", "--json", "country"]).success().json();
    conforms("search", &found);
    assert_eq!(found["results"][0]["metadata"], json!({}));
}

#[test]
fn every_line_of_a_stream_conforms() {
    let speakr = Speakr::new();
    let device = microphone("jfk.wav");
    let args = ["record", "--stream", "--no-clipboard", "--device", &device];
    let printed = speakr.run(args).success().stdout;
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        conforms("stream", line);
    }
    let of = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap();
    conforms("transcript", of("transcript"));
    assert_eq!(lines.last().unwrap()["event"], "transcript");
    for field in ["start_ms", "end_ms", "text"] {
        let mut lacking = of("segment").clone();
        lacking.as_object_mut().unwrap().remove(field);
        assert!(!complaints("stream", &lacking).is_empty(), "{field}");
    }
}

#[test]
fn a_recording_of_silence_conforms() {
    let speakr = Speakr::new();
    let silence = speakr.scratch().join("silence.wav");
    wav::write(&silence, &vec![0; 3 * wav::RATE as usize]);
    let args = ["transcribe", "--json", silence.to_str().unwrap()];
    let transcript = speakr.run(args).success().json();
    conforms("transcript", &transcript);
    assert_eq!(transcript["text"], "");
    assert_eq!(transcript["segments"], json!([]));
    assert_eq!(transcript["language"], Value::Null);
}

#[test]
fn words_have_times_of_their_own() {
    let speakr = Speakr::new();
    let transcript = speakr
        .run([
            "transcribe",
            "--json",
            "--no-save",
            "--word-timestamps",
            &path_of("jfk.wav"),
        ])
        .success()
        .json();
    conforms("transcript", &transcript);
    assert!(
        !transcript["segments"][0]["words"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_list_conforms_when_it_is_empty_and_when_it_is_not() {
    let empty = Speakr::new().run(["list", "--json"]).success().json();
    conforms("list", &empty);
    assert_eq!(empty, json!({"recordings": [], "count": 0}));

    let (speakr, _) = library_with_a_recording();
    let list = speakr.run(["list", "--json"]).success().json();
    conforms("list", &list);
    assert_eq!(list["count"], 1);
    assert_eq!(list["recordings"][0]["tags"], json!(["a", "b"]));

    let retried = speakr.run(["retry", "--json"]).success().json();
    conforms("list", &retried);
    assert_eq!(retried["count"], 0);
    let id = list["recordings"][0]["recording_id"].as_str().unwrap();
    let again = speakr.run(["retry", "--json", id]).success().json();
    conforms("list", &again);
    assert_eq!(again["recordings"][0]["recording_id"], id);
}

#[test]
fn a_search_conforms_in_every_mode() {
    let (speakr, _) = library_with_a_recording();
    for mode in ["hybrid", "semantic", "keyword"] {
        let found = speakr
            .run(["search", "--json", "--mode", mode, "country"])
            .success()
            .json();
        conforms("search", &found);
        assert_eq!(found["count"], 1, "{mode}: {found:#}");
        assert_eq!(
            found["results"][0]["similarity"].is_null(),
            mode == "keyword"
        );
    }
}

#[test]
fn a_document_that_lacks_a_promised_field_is_refused() {
    let (speakr, transcript) = library_with_a_recording();
    let list = speakr.run(["list", "--json"]).success().json();
    let found = speakr.run(["search", "--json", "country"]).success().json();
    for (name, document, inner) in [
        ("transcript", transcript, "/segments/0"),
        ("list", list, "/recordings/0"),
        ("search", found.clone(), "/results/0"),
        ("search", found, "/results/0/passages/0"),
    ] {
        for place in ["", inner] {
            let fields = document.pointer(place).unwrap().as_object().unwrap();
            for field in fields.keys() {
                let mut lacking = document.clone();
                let object = lacking.pointer_mut(place).unwrap();
                object.as_object_mut().unwrap().remove(field);
                assert!(
                    !complaints(name, &lacking).is_empty(),
                    "{name} doesn't ask for {place}/{field}"
                );
            }
        }
    }
}
