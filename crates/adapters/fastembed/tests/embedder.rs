//! The bundled model, as a search uses it.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::{
    borrow::Cow,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use speakr_core::ports::embedding::Embedder;
use speakr_fastembed::{EmbedderError, ModelFiles, OnnxRuntime, SentenceEmbedder};

/// Tokens of a text that all-MiniLM-L6-v2 reads: 256 with `[CLS]` and `[SEP]`.
const READ_TOKENS: usize = 254;

fn read(name: &str) -> Cow<'static, [u8]> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../assets/models/all-minilm-l6-v2");
    Cow::Owned(fs::read(folder.join(name)).unwrap())
}

fn files() -> ModelFiles {
    ModelFiles {
        onnx: read("model_int8.onnx"),
        tokenizer: read("tokenizer.json"),
        config: read("config.json"),
        special_tokens_map: read("special_tokens_map.json"),
        tokenizer_config: read("tokenizer_config.json"),
    }
}

fn load(files: ModelFiles) -> Result<SentenceEmbedder, EmbedderError> {
    SentenceEmbedder::load("minilm", 256, files, &OnnxRuntime::Tract)
}

/// Loading takes a while: once for all tests.
static EMBEDDER: LazyLock<Arc<SentenceEmbedder>> =
    LazyLock::new(|| Arc::new(load(files()).unwrap()));

fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    EMBEDDER.embed_blocking(&texts).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn what_means_the_same_is_nearer_than_what_shares_words_or_nothing() {
    for (text, alike, unlike) in [
        (
            "Where did I leave my car keys?",
            "I can't find the thing that starts my vehicle.",
            "The committee approved the annual budget.",
        ),
        (
            "The surgeon operated for six hours.",
            "A doctor performed a long procedure.",
            "The train was six hours late.",
        ),
        (
            "We need to hire more engineers.",
            "Recruiting developers is our priority.",
            "The engine needs more oil.",
        ),
    ] {
        let vectors = embed(&[text, alike, unlike]);
        let (near, far) = (
            cosine(&vectors[0], &vectors[1]),
            cosine(&vectors[0], &vectors[2]),
        );
        assert!(near > far + 0.02, "{text}: {near} and {far}");
    }
}

#[test]
fn vectors_are_those_of_onnx_runtime() {
    // Computed from the same files with ONNX Runtime 1.32.0 and tokenizers, mean-pooled.
    let vectors = embed(&["The cat sat on the mat.", "Où est la gare ? 🚆", ""]);
    let expected = [
        [0.127_181, -0.016_011, -0.035_063, 0.055_422],
        [-0.059_254, -0.053_756, 0.040_358, -0.042_694],
        [-0.127_353, 0.040_874, -0.001_428, -0.015_986],
    ];
    for (vector, expected) in vectors.iter().zip(expected) {
        assert!(
            distance(&vector[..4], &expected) < 1e-3,
            "{:?} {expected:?}",
            &vector[..4]
        );
    }
}

#[test]
fn every_vector_has_unit_length() {
    let long = "word ".repeat(2_000);
    for vector in embed(&[
        "",
        " ",
        "a",
        "🦀🎙️",
        "Grüße aus 北京",
        "\u{0}\u{feff}",
        &long,
    ]) {
        assert_eq!(vector.len(), 384);
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        assert!(vector.iter().all(|number| number.is_finite()));
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    let texts: Vec<String> = (0..40)
        .map(|i| {
            format!(
                "{} In meeting {i} we spoke of the garden.",
                "Well, ".repeat(i % 9)
            )
        })
        .collect();
    let together = EMBEDDER.embed_blocking(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        let alone = EMBEDDER.embed_blocking(std::slice::from_ref(text)).unwrap();
        assert!(distance(&alone[0], vector) < 1e-4, "{text}");
    }
}

#[test]
fn the_same_text_always_has_the_same_vector() {
    let text = ["Once more, with feeling."];
    assert_eq!(embed(&text), embed(&text));
}

#[test]
fn a_text_is_read_up_to_its_254th_token_and_no_further() {
    assert_eq!(EMBEDDER.max_tokens(), READ_TOKENS);
    let words = |count: usize| vec!["apple"; count].join(" ");
    assert_eq!(EMBEDDER.count_tokens(&words(READ_TOKENS)), READ_TOKENS);
    let full = words(READ_TOKENS);
    let beyond = format!("{full} violin");
    let within = format!("{} violin", words(READ_TOKENS - 1));
    let vectors = embed(&[&full, &beyond, &within]);
    assert!(distance(&vectors[0], &vectors[1]) < 1e-4);
    assert!(distance(&vectors[0], &vectors[2]) > 1e-3);
}

#[test]
fn tokens_are_counted_without_special_ones_and_without_limit() {
    assert_eq!(EMBEDDER.count_tokens(""), 0);
    assert_eq!(EMBEDDER.count_tokens("hello"), 1);
    assert_eq!(EMBEDDER.count_tokens("Hello, world!"), 4);
    assert_eq!(EMBEDDER.count_tokens(&"apple ".repeat(1_000)), 1_000);
}

#[tokio::test]
async fn the_port_answers_in_order_and_says_what_it_is() {
    let embedder: Arc<dyn Embedder> = Arc::<SentenceEmbedder>::clone(&EMBEDDER);
    assert_eq!(
        (embedder.model_id(), embedder.dimensions()),
        ("minilm", 384)
    );
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
    let texts = ["a much longer text than the other one is", "short"].map(str::to_owned);
    let vectors = embedder.embed(&texts).await.unwrap();
    assert!(distance(&vectors[1], &embed(&["short"])[0]) < 1e-4);
    assert!(distance(&vectors[0], &vectors[1]) > 1e-2);
}

#[test]
fn files_that_are_not_a_model_are_refused_by_name() {
    let error = load(ModelFiles {
        onnx: Cow::Borrowed(b"<html>"),
        ..files()
    })
    .unwrap_err();
    assert!(matches!(error, EmbedderError::NotOnnx { .. }), "{error}");
    let error = load(ModelFiles {
        config: Cow::Borrowed(b"{}"),
        ..files()
    })
    .unwrap_err();
    assert!(error.to_string().contains("config.json"), "{error}");
    let error = load(ModelFiles {
        tokenizer: Cow::Borrowed(b"{}"),
        ..files()
    })
    .unwrap_err();
    assert!(matches!(error, EmbedderError::Load { .. }), "{error}");
    let half = files().onnx[..10_000_000].to_vec();
    let error = load(ModelFiles {
        onnx: Cow::Owned(half),
        ..files()
    })
    .unwrap_err();
    assert!(matches!(error, EmbedderError::NotOnnx { .. }), "{error}");
}
