//! The examples: each is read, written and valid, and what isn't is refused by types and schema
//! alike.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use speakr_contract::catalogue::{self, Entry};

fn golden(entry: &Entry) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(entry.schema_file());
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("an example is JSON")
}

fn reread(entry: &Entry, message: &Value) -> Result<Value, (String, String)> {
    (entry.reread)(message.to_string().as_bytes()).map_err(|r| (r.path, r.reason))
}

fn is_valid(entry: &Entry, message: &Value) -> bool {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&entry.schema)
        .expect("a schema is a schema")
        .is_valid(message)
}

#[test]
fn an_example_says_all_that_its_message_can_say() {
    for entry in catalogue::all() {
        let example = golden(&entry);
        for name in entry.schema["properties"].as_object().unwrap().keys() {
            // A run has either of two fields.
            if entry.subject.ends_with("transcription.run") && name == "recording_id" {
                continue;
            }
            assert!(example.get(name).is_some(), "{}: {name}", entry.subject);
        }
    }
}

#[test]
fn an_example_is_read_and_written_without_change_and_is_valid() {
    for entry in catalogue::all() {
        let example = golden(&entry);
        assert!(is_valid(&entry, &example), "{}", entry.subject);
        assert_eq!(
            reread(&entry, &example).as_ref(),
            Ok(&example),
            "{}",
            entry.subject
        );
    }
}

#[test]
fn a_field_that_nobody_knows_passes() {
    for entry in catalogue::all() {
        let example = golden(&entry);
        let mut more = example.clone();
        more["field_of_the_future"] = json!({"a": [1]});
        assert!(is_valid(&entry, &more), "{}", entry.subject);
        assert_eq!(reread(&entry, &more), Ok(example), "{}", entry.subject);
    }
}

#[test]
fn a_required_field_that_is_missing_is_refused_by_its_name() {
    let mut tried = 0;
    for entry in catalogue::all() {
        for name in entry.schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap();
            let mut less = golden(&entry);
            less.as_object_mut().unwrap().remove(name);
            assert!(!is_valid(&entry, &less), "{}: {name}", entry.subject);
            let (path, _) = reread(&entry, &less).unwrap_err();
            assert_eq!(path, name, "{}", entry.subject);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_field_of_the_wrong_kind_is_refused_by_its_name() {
    for entry in catalogue::all() {
        let example = golden(&entry);
        for name in example.as_object().unwrap().keys() {
            for wrong in [
                json!(true),
                json!(-1),
                json!("x y"),
                json!([[]]),
                json!({"z": 1}),
            ] {
                let mut message = example.clone();
                message[name] = wrong.clone();
                let valid = is_valid(&entry, &message);
                match reread(&entry, &message) {
                    Ok(_) => assert!(valid, "{}: {name} = {wrong}", entry.subject),
                    Err((path, reason)) => {
                        assert!(
                            !valid
                                || reason.contains("base64")
                                || reason.contains("time")
                                || reason.contains("UUID")
                                || reason.contains("parse"),
                            "{}: {name} = {wrong}: {reason}",
                            entry.subject
                        );
                        assert!(
                            path.starts_with(name.as_str()),
                            "{}: {name}: {path}",
                            entry.subject
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_run_names_a_recording_or_brings_its_sound_and_not_both() {
    let entry = catalogue::find("speakr.command.transcription.run").unwrap();
    let id = "00000000-0000-0000-0000-000000000001";
    for (message, ok) in [
        (json!({"recording_id": id}), true),
        (json!({"audio_data": "AAAA"}), true),
        (json!({"audio_data": "AAAA", "recording_id": null}), true),
        (json!({}), false),
        (json!({"recording_id": null}), false),
        (json!({"recording_id": id, "audio_data": "AAAA"}), false),
    ] {
        assert_eq!(is_valid(&entry, &message), ok, "{message}");
        assert_eq!(reread(&entry, &message).is_ok(), ok, "{message}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("00000000-0000-0000-0000-000000000001")),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(
                (
                    prop_oneof![
                        Just("recording_id".to_owned()),
                        Just("event_id".to_owned()),
                        Just("tags".to_owned()),
                        Just("metadata".to_owned()),
                        Just("segments".to_owned()),
                        Just("text".to_owned()),
                        Just("options".to_owned()),
                        "[a-z_]{1,12}",
                    ],
                    inner
                ),
                0..6
            )
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_read_is_valid_when_written_and_reads_the_same(
        which in 0..catalogue::all().len(), field in any::<prop::sample::Index>(), value in any_json(),
    ) {
        let entry = &catalogue::all()[which];
        let mut message = golden(entry);
        let names: Vec<String> = message.as_object().unwrap().keys().cloned().collect();
        message[field.get(&names)] = value;
        if let Ok(written) = reread(entry, &message) {
            prop_assert!(is_valid(entry, &written), "{}", written);
            prop_assert_eq!(reread(entry, &written), Ok(written));
        }
    }

    #[test]
    fn no_payload_panics(which in 0..catalogue::all().len(), payload in prop::collection::vec(any::<u8>(), 0..256), json in any_json()) {
        let entry = &catalogue::all()[which];
        let _ = (entry.reread)(&payload);
        let _ = (entry.reread)(json.to_string().as_bytes());
    }
}
