//! Files inside the program.

use crate::registry::{FileEntry, ModelEntry};

/// One bundled file: its folder and name as in the registry, and its bytes.
type Bundled = (&'static str, &'static str, &'static [u8]);

#[cfg(any(feature = "bundled-speech", feature = "bundled-embedder"))]
macro_rules! asset {
    ($path:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../assets/models/",
            $path
        ))
    };
}

#[cfg(feature = "bundled-speech")]
static SPEECH: &[Bundled] = &[
    ("", "ggml-tiny.en-q8_0.bin", asset!("ggml-tiny.en-q8_0.bin")),
    (
        "",
        "ggml-silero-v6.2.0.bin",
        asset!("ggml-silero-v6.2.0.bin"),
    ),
];

#[cfg(feature = "bundled-embedder")]
static EMBEDDER: &[Bundled] = &[
    (
        "all-minilm-l6-v2",
        "model_int8.onnx",
        asset!("all-minilm-l6-v2/model_int8.onnx"),
    ),
    (
        "all-minilm-l6-v2",
        "tokenizer.json",
        asset!("all-minilm-l6-v2/tokenizer.json"),
    ),
    (
        "all-minilm-l6-v2",
        "config.json",
        asset!("all-minilm-l6-v2/config.json"),
    ),
    (
        "all-minilm-l6-v2",
        "special_tokens_map.json",
        asset!("all-minilm-l6-v2/special_tokens_map.json"),
    ),
    (
        "all-minilm-l6-v2",
        "tokenizer_config.json",
        asset!("all-minilm-l6-v2/tokenizer_config.json"),
    ),
];

#[cfg(not(feature = "bundled-speech"))]
static SPEECH: &[Bundled] = &[];
#[cfg(not(feature = "bundled-embedder"))]
static EMBEDDER: &[Bundled] = &[];

/// Ids of the models that are inside the program. Others have files of the same names.
const MODELS: [&str; 3] = [
    "tiny.en-q8_0-speakr",
    "silero-vad-v6.2.0",
    "all-minilm-l6-v2-int8-speakr",
];

/// The bytes of one file of a bundled model. They were checked against the registry by a test.
pub(crate) fn file(model: &ModelEntry, file: &FileEntry) -> Option<&'static [u8]> {
    if !MODELS.contains(&model.id.as_str()) {
        return None;
    }
    let folder = model.folder.as_deref().unwrap_or_default();
    SPEECH
        .iter()
        .chain(EMBEDDER)
        .find(|(in_folder, name, _)| *in_folder == folder && *name == file.name)
        .map(|(_, _, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{digest, registry::Registry};

    #[test]
    fn the_files_to_bundle_are_what_the_registry_says() {
        let registry = Registry::embedded().unwrap();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/models");
        let sums = fs::read_to_string(assets.join("SHA256SUMS")).unwrap();
        let readme = fs::read_to_string(assets.join("README.md")).unwrap();
        for id in MODELS {
            let model = registry.get(id).unwrap();
            for file in &model.files {
                let path = assets.join(model.relative_path(file));
                let found = digest::of_file(&path).unwrap();
                assert_eq!(found.size_bytes, file.size_bytes, "{}", path.display());
                assert_eq!(found.sha256, file.sha256, "{}", path.display());
                let line = format!("{}  {}", file.sha256, model.relative_path(file).display());
                assert!(sums.contains(&line), "SHA256SUMS lacks {line}");
                assert!(readme.contains(&line), "README.md lacks {line}");
            }
        }
    }

    #[cfg(all(feature = "bundled-speech", feature = "bundled-embedder"))]
    #[test]
    fn bundled_bytes_are_those_of_the_registry() {
        let registry = Registry::embedded().unwrap();
        for id in MODELS {
            let model = registry.get(id).unwrap();
            for entry in &model.files {
                let bytes = file(model, entry).unwrap();
                assert_eq!(digest::of_reader(bytes).unwrap().sha256, entry.sha256);
            }
        }
        assert!(
            file(
                registry.get("all-minilm-l6-v2").unwrap(),
                &registry.get("all-minilm-l6-v2").unwrap().files[1]
            )
            .is_none()
        );
    }
}
