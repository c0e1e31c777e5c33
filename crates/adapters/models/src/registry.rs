//! The list of models: ids, files, digests, licences, languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Speech to text (Whisper).
    Speech,
    /// Where in the sound somebody speaks (Silero VAD).
    VoiceActivity,
    /// Sentences to vectors.
    Embedding,
}

/// What one file of a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// The weights (with the graph).
    Weights,
    /// `tokenizer.json`.
    Tokenizer,
    /// `config.json`.
    Config,
    /// `special_tokens_map.json`.
    SpecialTokensMap,
    /// `tokenizer_config.json`.
    TokenizerConfig,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// What it is.
    pub role: FileRole,
    /// Its name in a models folder (below the model's own folder, where it has one).
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 in lower-case hexadecimal; empty where no public pin is known.
    #[serde(default)]
    pub sha256: String,
    /// SHA-1 in lower-case hexadecimal, where the publisher gives one; empty elsewhere.
    #[serde(default)]
    pub sha1: String,
    /// Where the digests come from, as a text to look it up by.
    #[serde(default)]
    pub digest_source: Vec<String>,
    /// The hub repository that publishes it ("owner/name"); empty where nobody does.
    #[serde(default)]
    pub repo: String,
    /// The commit of that repository.
    #[serde(default)]
    pub revision: String,
    /// Its path there.
    #[serde(default)]
    pub path: String,
}

impl FileEntry {
    /// Whether it can be downloaded.
    #[must_use]
    pub fn is_published(&self) -> bool {
        !self.repo.is_empty()
    }

    /// Whether there is a digest to check it against.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        !self.sha256.is_empty() || !self.sha1.is_empty()
    }

    /// Its address below `endpoint` (which has no slash at its end), where it is published.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> Option<String> {
        self.is_published().then(|| {
            format!(
                "{endpoint}/{}/resolve/{}/{}",
                self.repo, self.revision, self.path
            )
        })
    }
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelEntry {
    /// What it is called everywhere: on the command line, in transcripts, in the index.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// What people call it.
    pub name: String,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Codes of the languages it knows; empty where language has no meaning to it.
    pub languages: Vec<String>,
    /// The published model of which this is the same quantisation in other bytes: who asks for
    /// that one gets this one where it is at hand, under this id.
    pub variant_of: Option<String>,
    /// The folder that its files share, below a models folder.
    pub folder: Option<String>,
    /// Length of its vectors, for an embedding model.
    pub dimensions: Option<usize>,
    /// Longest sequence it reads, special tokens counted, for an embedding model.
    pub max_sequence_tokens: Option<usize>,
    /// Its files.
    pub files: Vec<FileEntry>,
}

impl ModelEntry {
    /// Whether it knows other languages than English.
    #[must_use]
    pub fn is_multilingual(&self) -> bool {
        self.languages.iter().any(|language| language != "en")
    }

    /// Whether all its files can be downloaded.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.files.iter().all(FileEntry::is_published)
    }

    /// Whether all its files have a digest to be checked against.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.files.iter().all(FileEntry::is_pinned)
    }

    /// Length of all its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Where one of its files stands below a models folder.
    #[must_use]
    pub fn relative_path(&self, file: &FileEntry) -> std::path::PathBuf {
        match &self.folder {
            Some(folder) => std::path::Path::new(folder).join(&file.name),
            None => file.name.clone().into(),
        }
    }
}

/// Why a registry can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It isn't the TOML that a registry is.
    #[error("the model registry can't be read")]
    Toml(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("the model registry is wrong: {0}")]
    Invalid(String),
}

/// The list of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    models: Vec<ModelEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryFile {
    sources: BTreeMap<String, String>,
    languages: BTreeMap<String, Vec<String>>,
    model: Vec<RegistryModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryModel {
    id: String,
    kind: ModelKind,
    name: String,
    licence: String,
    languages: String,
    variant_of: Option<String>,
    folder: Option<String>,
    dimensions: Option<usize>,
    max_sequence_tokens: Option<usize>,
    file: Vec<FileEntry>,
}

impl Registry {
    /// The registry that is part of this program.
    ///
    /// # Errors
    /// [`RegistryError`]: only when the program was built from a broken one, which a test rules
    /// out.
    pub fn embedded() -> Result<Self, RegistryError> {
        Self::parse(include_str!("registry.toml"))
    }

    /// Reads a registry.
    ///
    /// # Errors
    /// [`RegistryError`] when it isn't one, names something that it doesn't define, or would put
    /// a file outside the models folder.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let file: RegistryFile = toml::from_str(text)?;
        let invalid = |reason: String| Err(RegistryError::Invalid(reason));
        let mut models: Vec<ModelEntry> = Vec::with_capacity(file.model.len());
        for model in file.model {
            if models.iter().any(|other| other.id == model.id) {
                return invalid(format!("there are two models \"{}\"", model.id));
            }
            let Some(languages) = file.languages.get(&model.languages) else {
                return invalid(format!("no languages \"{}\"", model.languages));
            };
            let mut files = model.file;
            for entry in &mut files {
                for source in &mut entry.digest_source {
                    match file.sources.get(source) {
                        Some(text) => source.clone_from(text),
                        None => return invalid(format!("no source \"{source}\"")),
                    }
                }
                check_file(&model.id, model.folder.as_deref(), entry)?;
            }
            if files
                .iter()
                .filter(|file| file.role == FileRole::Weights)
                .count()
                != 1
            {
                return invalid(format!(
                    "\"{}\" has not exactly one file of weights",
                    model.id
                ));
            }
            models.push(ModelEntry {
                id: model.id,
                kind: model.kind,
                name: model.name,
                licence: model.licence,
                languages: languages.clone(),
                variant_of: model.variant_of,
                folder: model.folder,
                dimensions: model.dimensions,
                max_sequence_tokens: model.max_sequence_tokens,
                files,
            });
        }
        for model in &models {
            if let Some(published) = &model.variant_of
                && !models.iter().any(|other| other.id == *published)
            {
                return invalid(format!("\"{}\" is a variant of no model", model.id));
            }
        }
        Ok(Self { models })
    }

    /// All models, in the registry's order.
    #[must_use]
    pub fn models(&self) -> &[ModelEntry] {
        &self.models
    }

    /// The model with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|model| model.id == id)
    }

    /// What may serve a request for `id`: the model itself, then its variants.
    pub(crate) fn candidates<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a ModelEntry> {
        let variants = self
            .models
            .iter()
            .filter(move |m| m.variant_of.as_deref() == Some(id));
        self.get(id).into_iter().chain(variants)
    }

    /// Ids like `id`, for a message: those that begin alike or hold it.
    pub(crate) fn similar(&self, id: &str) -> Vec<String> {
        let stem = id.split(['.', '-']).next().unwrap_or(id);
        let ids = self.models.iter().map(|model| model.id.clone());
        ids.filter(|other| !stem.is_empty() && other.contains(stem))
            .take(6)
            .collect()
    }
}

fn check_file(model: &str, folder: Option<&str>, file: &FileEntry) -> Result<(), RegistryError> {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    let hexadecimal = |digest: &str, len: usize| {
        digest.is_empty()
            || digest.len() == len
                && digest
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let problem = if !plain(&file.name) || !folder.is_none_or(plain) {
        "an unsafe name"
    } else if !hexadecimal(&file.sha256, 64) || !hexadecimal(&file.sha1, 40) {
        "a digest that isn't one"
    } else if file.is_pinned() == file.digest_source.is_empty() {
        "a digest without a source, or a source without a digest"
    } else if file.repo.is_empty() != file.path.is_empty()
        || file.repo.is_empty() != file.revision.is_empty()
    {
        "half an address"
    } else {
        return Ok(());
    };
    Err(RegistryError::Invalid(format!(
        "\"{model}\", file \"{}\" has {problem}",
        file.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_registry_is_whole() {
        let registry = Registry::embedded().unwrap();
        for id in [
            "tiny.en",
            "tiny",
            "base.en",
            "base",
            "small",
            "small.en",
            "medium",
            "medium.en",
            "large-v3-turbo",
            "tiny-q5_1",
            "base-q8_0",
            "large-v3-turbo-q5_0",
        ] {
            let model = registry
                .get(id)
                .unwrap_or_else(|| panic!("{id} is missing"));
            assert_eq!(model.kind, ModelKind::Speech);
            assert_eq!(model.is_multilingual(), !id.contains(".en"), "{id}");
            assert!(model.is_published() && model.is_pinned(), "{id}");
            assert!(
                model.files[0]
                    .url("https://hub")
                    .unwrap()
                    .starts_with("https://hub/ggerganov/")
            );
        }
        for id in ["all-minilm-l6-v2", "paraphrase-multilingual-minilm-l12-v2"] {
            let model = registry.get(id).unwrap();
            assert_eq!(
                (model.kind, model.dimensions),
                (ModelKind::Embedding, Some(384))
            );
            assert_eq!(model.files.len(), 5);
        }
        assert!(
            registry
                .get("paraphrase-multilingual-minilm-l12-v2")
                .unwrap()
                .is_multilingual()
        );
    }

    #[test]
    fn no_two_entries_claim_one_digest_as_weights() {
        let registry = Registry::embedded().unwrap();
        let mut digests: Vec<&str> = registry
            .models()
            .iter()
            .flat_map(|model| &model.files)
            .filter(|file| file.role == FileRole::Weights)
            .map(|file| file.sha256.as_str())
            .collect();
        let all = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), all);
    }

    #[test]
    fn a_request_may_be_served_by_the_same_quantisation_in_other_bytes() {
        let registry = Registry::embedded().unwrap();
        let ids: Vec<&str> = registry
            .candidates("base-q5_1")
            .map(|model| model.id.as_str())
            .collect();
        assert_eq!(ids, ["base-q5_1", "base-q5_1-speakr"]);
        let ids: Vec<&str> = registry
            .candidates("base")
            .map(|model| model.id.as_str())
            .collect();
        assert_eq!(ids, ["base"]);
    }

    const HEAD: &str = "[sources]\ns = \"somewhere\"\n[languages]\nany = []\n";

    fn with_file(lines: &str) -> Result<Registry, RegistryError> {
        Registry::parse(&format!(
            "{HEAD}[[model]]\nid = \"m\"\nkind = \"speech\"\nname = \"M\"\nlicence = \"MIT\"\n\
             languages = \"any\"\n[[model.file]]\nrole = \"weights\"\nsize_bytes = 3\n{lines}"
        ))
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for name in ["../x.bin", "/etc/x", ".hidden", "a/b", ""] {
            let error = with_file(&format!("name = \"{name}\"\n")).unwrap_err();
            assert!(error.to_string().contains("unsafe name"), "{name}: {error}");
        }
        with_file("name = \"x.bin\"\n").unwrap();
    }

    #[test]
    fn a_digest_needs_its_source() {
        let digest = "a".repeat(64);
        let error = with_file(&format!("name = \"x\"\nsha256 = \"{digest}\"\n")).unwrap_err();
        assert!(error.to_string().contains("source"), "{error}");
        with_file(&format!(
            "name = \"x\"\nsha256 = \"{digest}\"\ndigest_source = [\"s\"]\n"
        ))
        .unwrap();
        let error =
            with_file("name = \"x\"\nsha256 = \"abc\"\ndigest_source = [\"s\"]\n").unwrap_err();
        assert!(error.to_string().contains("isn't one"), "{error}");
    }

    #[test]
    fn an_unpinned_file_says_so() {
        let registry = with_file("name = \"x\"\n").unwrap();
        assert!(!registry.get("m").unwrap().is_pinned());
    }
}
