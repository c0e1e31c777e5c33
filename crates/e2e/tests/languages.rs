//! Speech in other languages, by a model that knows them. None is bundled: `SPEAKR_TEST_MODELS_DIR` names a
//! folder with one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use speakr_e2e::{Speakr, program::path_of};

/// The model, by its name in the registry and in its folder.
const MODEL: &str = "base-q5_1";
const FILE: &str = "ggml-base-q5_1.bin";

/// The program with a folder that holds a multilingual model; `None` where nobody has named one, which the
/// run tells.
fn multilingual() -> Option<Speakr> {
    let Some(folder) = std::env::var_os("SPEAKR_TEST_MODELS_DIR").map(PathBuf::from) else {
        println!("left out: SPEAKR_TEST_MODELS_DIR names no folder with {FILE}");
        return None;
    };
    assert!(
        folder.join(FILE).is_file(),
        "{} lacks {FILE}",
        folder.display()
    );
    Some(Speakr::new().env("SPEAKR_MODELS_DIR", folder.to_str().unwrap()))
}

fn transcribe(speakr: &Speakr, more: &[&str]) -> Value {
    let german = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/german.wav");
    let mut args = vec!["transcribe", "--json", "--model", MODEL];
    args.extend(more);
    args.push(german.to_str().unwrap());
    speakr.run(args).success().json()
}

#[test]
fn a_language_is_found_out_or_taken_as_told() {
    let Some(speakr) = multilingual() else { return };
    for more in [&[][..], &["--language", "de"]] {
        let heard = transcribe(&speakr, more);
        assert_eq!(heard["language"], "de", "{more:?}");
        assert_eq!(
            heard["text"], "Die Werbung vermittelt einen falschen Eindruck.",
            "{more:?}"
        );
    }
    let jfk = path_of("jfk.wav");
    let args = ["transcribe", "--json", "--model", MODEL, &jfk];
    assert_eq!(speakr.run(args).success().json()["language"], "en");
}

#[test]
fn speech_is_translated_into_english() {
    let Some(speakr) = multilingual() else { return };
    let heard = transcribe(&speakr, &["--translate"]);
    // What was spoken, whatever it was made into.
    assert_eq!(heard["language"], "de");
    let text = heard["text"].as_str().unwrap().to_lowercase();
    // So small a model translates loosely.
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.contains(&"the") || words.contains(&"a"), "{text}");
    for german in ["die", "werbung", "einen", "falschen", "eindruck."] {
        assert!(!words.contains(&german), "{text}");
    }
}
