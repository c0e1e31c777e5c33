//! What is made from the types is in the repository as it would be made now.
//! `UPDATE_CONTRACT=1` writes it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use speakr_contract::{catalogue, document};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Compares `wanted` with the file, or writes it when asked to.
fn hold(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        std::fs::write(path, wanted).expect("the file can be written");
        return;
    }
    let is = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        is,
        wanted,
        "{} isn't what the types say: run UPDATE_CONTRACT=1 cargo nextest run -p speakr-contract",
        path.display()
    );
}

#[test]
fn every_schema_file_says_what_its_type_says() {
    for entry in catalogue::all() {
        let text = format!("{:#}\n", entry.schema);
        hold(&root().join("schemas").join(entry.schema_file()), &text);
    }
}

#[test]
fn there_is_one_schema_and_one_example_a_subject_and_no_other_file() {
    let mut wanted: Vec<_> = catalogue::all().iter().map(|e| e.schema_file()).collect();
    wanted.sort();
    for folder in ["schemas", "golden"] {
        let mut is: Vec<String> = std::fs::read_dir(root().join(folder))
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap())
            .collect();
        is.sort();
        assert_eq!(is, wanted, "{folder}");
    }
}

#[test]
fn the_documents_say_what_the_types_say() {
    let docs = root().join("../../docs");
    hold(&docs.join("CONTRACT.md"), &document::contract_md());
    hold(&docs.join("asyncapi.yaml"), &document::asyncapi_yaml());
}

#[test]
fn every_reference_of_the_asyncapi_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "$ref" => found.push(text),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|i| references(i, found)),
            _ => {}
        }
    }
    let document = document::asyncapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference inside");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
