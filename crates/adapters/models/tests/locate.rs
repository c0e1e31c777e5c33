//! Finding, listing, checking and removing models in folders.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::{fs, path::Path};

use sha2::{Digest, Sha256};
use speakr_models::{
    FileRole, ModelError, ModelSource, ModelStore, Registry, State, Trust, Verification,
};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// "base" (published), "base-q" (published) with a variant "base-q-ours" of the same name, "sentences" of two files.
fn registry() -> Registry {
    let model = |id: &str, extra: &str, files: &[(&str, &str, &str, bool)]| {
        let mut text = format!(
            "[[model]]\nid = \"{id}\"\nkind = \"speech\"\nname = \"{id}\"\nlicence = \"MIT\"\n\
             languages = \"english\"\n{extra}"
        );
        for (role, name, content, published) in files {
            text += &format!(
                "[[model.file]]\nrole = \"{role}\"\nname = \"{name}\"\nsize_bytes = {}\n\
                 sha256 = \"{}\"\ndigest_source = [\"test\"]\n",
                content.len(),
                sha256(content.as_bytes())
            );
            if *published {
                text += &format!("repo = \"o/n\"\nrevision = \"r\"\npath = \"{name}\"\n");
            }
        }
        text
    };
    let head = "[sources]\ntest = \"this test\"\n[languages]\nenglish = [\"en\"]\n";
    let weights = |name, content, published| [("weights", name, content, published)];
    Registry::parse(
        &[
            head.to_owned(),
            model(
                "base",
                "",
                &weights("ggml-base.bin", "the base model", true),
            ),
            model(
                "base-q",
                "",
                &weights("ggml-base-q.bin", "base, published", true),
            ),
            model(
                "base-q-ours",
                "variant_of = \"base-q\"\n",
                &weights("ggml-base-q.bin", "base, ours ....", false),
            ),
            model(
                "sentences",
                "folder = \"sentences\"\n",
                &[
                    ("weights", "model.onnx", "graph", true),
                    ("tokenizer", "tokenizer.json", "{}", true),
                ],
            ),
        ]
        .concat(),
    )
    .unwrap()
}

struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["home", "extra"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn store(&self) -> ModelStore {
        ModelStore::new(registry(), self.path("home"), vec![self.path("extra")]).without_bundled()
    }

    fn weights(&self, id: &str) -> Result<(String, String), ModelError> {
        let found = self.store().locate(id, Trust::Verified)?;
        let ModelSource::Path(path) = found.weights()?.clone() else {
            panic!("not a file")
        };
        let path = path.strip_prefix(self.root.path()).unwrap().to_owned();
        Ok((found.id, path.to_str().unwrap().to_owned()))
    }
}

#[test]
fn a_missing_model_says_how_to_get_it() {
    let folders = Folders::new();
    let error = folders.weights("base").unwrap_err().to_string();
    assert!(error.contains("speakr models pull base"), "{error}");
    assert!(
        error.contains("https://huggingface.co/o/n/resolve/r/ggml-base.bin"),
        "{error}"
    );
    assert!(
        error.contains(&folders.path("home/ggml-base.bin").display().to_string()),
        "{error}"
    );
}

#[test]
fn an_unknown_id_names_its_like() {
    let error = Folders::new().weights("base.en").unwrap_err();
    assert!(matches!(error, ModelError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("base-q"), "{error}");
}

#[test]
fn the_users_folder_comes_before_the_data_folder() {
    let folders = Folders::new();
    folders.put("home/ggml-base.bin", "the base model");
    assert_eq!(folders.weights("base").unwrap().1, "home/ggml-base.bin");
    folders.put("extra/ggml-base.bin", "the base model");
    assert_eq!(folders.weights("base").unwrap().1, "extra/ggml-base.bin");
}

#[test]
fn the_users_folder_is_searched_by_digest() {
    let folders = Folders::new();
    folders.put("extra/sub/whatever.gguf", "the base model");
    assert_eq!(
        folders.weights("base").unwrap().1,
        "extra/sub/whatever.gguf"
    );
}

#[test]
fn another_file_under_the_name_is_refused_even_where_a_good_one_is_missing() {
    let folders = Folders::new();
    folders.put("extra/ggml-base.bin", "the base modem");
    let error = folders.weights("base").unwrap_err();
    assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
    assert!(error.to_string().contains("--allow-unverified"), "{error}");
    folders.put("extra/ggml-base.bin", "short");
    let error = folders.weights("base").unwrap_err();
    assert!(error.to_string().contains("5 bytes, not 14"), "{error}");
    // A good one elsewhere serves.
    folders.put("home/ggml-base.bin", "the base model");
    assert_eq!(folders.weights("base").unwrap().1, "home/ggml-base.bin");
}

#[test]
fn unverified_bytes_are_taken_when_told_and_bear_the_mark() {
    let folders = Folders::new();
    folders.put("extra/ggml-base.bin", "the base modem");
    let found = folders
        .store()
        .locate("base", Trust::AllowUnverified)
        .unwrap();
    assert_eq!(found.verification, Verification::WrongDigest);
    folders.put("extra/ggml-mine.bin", "a tuned model");
    assert!(folders.store().locate("mine", Trust::Verified).is_err());
    let found = folders
        .store()
        .locate("mine", Trust::AllowUnverified)
        .unwrap();
    assert_eq!(
        (found.id.as_str(), found.verification),
        ("mine", Verification::Unpinned)
    );
    assert!(
        folders
            .store()
            .locate("../extra/ggml-mine.bin", Trust::AllowUnverified)
            .is_err()
    );
}

#[test]
fn a_variant_serves_under_its_own_id() {
    let folders = Folders::new();
    folders.put("extra/ggml-base-q.bin", "base, ours ....");
    assert_eq!(folders.weights("base-q").unwrap().0, "base-q-ours");
    assert_eq!(folders.weights("base-q-ours").unwrap().0, "base-q-ours");
    folders.put("extra/ggml-base-q.bin", "base, published");
    assert_eq!(folders.weights("base-q").unwrap().0, "base-q");
    assert!(folders.weights("base-q-ours").is_err());
    // Bytes of neither are nobody's.
    folders.put("extra/ggml-base-q.bin", "base, by others");
    assert!(matches!(
        folders.weights("base-q").unwrap_err(),
        ModelError::WrongDigest { .. }
    ));
}

#[test]
fn a_quantised_model_never_stands_in_for_another() {
    let folders = Folders::new();
    folders.put("extra/ggml-base-q.bin", "base, published");
    assert!(matches!(
        folders.weights("base").unwrap_err(),
        ModelError::NotInstalled { .. }
    ));
}

#[test]
fn a_model_of_several_files_is_there_when_all_are() {
    let folders = Folders::new();
    folders.put("home/sentences/model.onnx", "graph");
    assert!(folders.weights("sentences").is_err());
    folders.put("home/sentences/tokenizer.json", "{}");
    let found = folders
        .store()
        .locate("sentences", Trust::Verified)
        .unwrap();
    assert_eq!(
        &*found.file(FileRole::Tokenizer).unwrap().read().unwrap(),
        b"{}"
    );
}

#[test]
fn the_list_tells_where_each_model_is() {
    let folders = Folders::new();
    folders.put("home/ggml-base.bin", "the base model");
    folders.put("extra/ggml-base-q.bin", "base, ours ....");
    folders.put("home/sentences/model.onnx", "other");
    folders.put("home/sentences/tokenizer.json", "{}");
    let states: Vec<State> = folders
        .store()
        .list()
        .into_iter()
        .map(|model| model.state)
        .collect();
    let State::Installed {
        path,
        removable: true,
    } = &states[0]
    else {
        panic!("{states:?}")
    };
    assert_eq!(path, &folders.path("home/ggml-base.bin"));
    assert_eq!(states[1], State::Absent);
    assert!(matches!(
        &states[2],
        State::Installed {
            removable: false,
            ..
        }
    ));
    assert!(matches!(&states[3], State::Damaged { .. }), "{states:?}");
}

#[test]
fn verifying_reads_the_bytes_whatever_was_remembered() {
    let folders = Folders::new();
    folders.put("home/ggml-base.bin", "the base model");
    let store = folders.store();
    assert_eq!(
        store.verify("base").unwrap()[0].verification,
        Verification::Verified
    );
    // The same length and time, other bytes.
    let path = folders.path("home/ggml-base.bin");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "the base modem").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let verified = store.verify("base").unwrap();
    assert_eq!(verified[0].verification, Verification::WrongDigest);
    assert_eq!(verified[0].sha256, sha256(b"the base modem"));
    // And what it found is remembered from then on.
    assert!(matches!(
        folders.weights("base").unwrap_err(),
        ModelError::WrongDigest { .. }
    ));
}

#[test]
fn removing_takes_the_pulled_file_and_nothing_else() {
    let folders = Folders::new();
    folders.put("home/ggml-base.bin", "the base model");
    folders.put("home/ggml-base-q.bin.part", "bas");
    let removed = folders.store().remove("base").unwrap();
    assert_eq!((removed.files.len(), removed.freed_bytes), (1, 14));
    assert!(!folders.path("home/ggml-base.bin").exists());
    assert_eq!(folders.store().remove("base-q").unwrap().freed_bytes, 3);
    let error = folders.store().remove("base").unwrap_err();
    assert!(matches!(error, ModelError::NotInstalled { .. }), "{error}");
}

#[test]
fn removing_leaves_folders_of_the_user_alone() {
    let folders = Folders::new();
    folders.put("extra/ggml-base.bin", "the base model");
    let error = folders.store().remove("base").unwrap_err();
    assert!(matches!(error, ModelError::NotRemovable { .. }), "{error}");
    assert!(folders.path("extra/ggml-base.bin").exists());
}

#[test]
fn folders_that_are_not_there_are_empty_ones() {
    let store = ModelStore::new(
        registry(),
        Path::new("/nowhere/models").into(),
        vec!["/nowhere/else".into()],
    )
    .without_bundled();
    assert!(
        store
            .list()
            .iter()
            .all(|model| model.state == State::Absent)
    );
    assert!(matches!(
        store.locate("base", Trust::Verified).unwrap_err(),
        ModelError::NotInstalled { .. }
    ));
}

#[cfg(feature = "bundled-models")]
mod bundled {
    use super::*;

    #[test]
    fn bundled_models_need_no_folder() {
        let store = ModelStore::new(
            Registry::embedded().unwrap(),
            Path::new("/nowhere/models").into(),
            Vec::new(),
        );
        for id in [
            "tiny.en-q8_0",
            "silero-vad-v6.2.0",
            "all-minilm-l6-v2-int8-speakr",
        ] {
            let found = store.locate(id, Trust::Verified).unwrap();
            assert!(
                matches!(found.weights().unwrap(), ModelSource::Bundled(_)),
                "{id}"
            );
            assert_eq!(found.verification, Verification::Verified);
        }
        assert_eq!(
            store.locate("tiny.en-q8_0", Trust::Verified).unwrap().id,
            "tiny.en-q8_0-speakr"
        );
        // The 16-bit model isn't inside.
        assert!(store.locate("tiny.en", Trust::Verified).is_err());
        assert_eq!(
            store.path("silero-vad-v6.2.0", Trust::Verified).unwrap(),
            None
        );
        assert!(store.verify("tiny.en-q8_0").unwrap()[0].verification == Verification::Verified);
        let error = store.remove("silero-vad-v6.2.0").unwrap_err();
        assert!(error.to_string().contains("part of the program"), "{error}");
    }
}
