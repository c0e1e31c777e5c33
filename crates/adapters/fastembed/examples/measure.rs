//! Prints what loading and embedding cost here: `cargo run --release -p speakr-fastembed --example
//! measure [FOLDER]`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{borrow::Cow, env, error::Error, fs, path::PathBuf, time::Instant};

use speakr_core::ports::embedding::Embedder;
use speakr_fastembed::{ModelFiles, OnnxRuntime, SentenceEmbedder};

fn memory_kb(field: &str) -> String {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            status
                .lines()
                .find(|line| line.starts_with(field))
                .map(|line| line[7..].trim().to_owned())
        })
        .unwrap_or_else(|| "unknown".into())
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../assets/models/all-minilm-l6-v2"
            ))
        },
        PathBuf::from,
    );
    let read = |name: &str| fs::read(folder.join(name)).map(Cow::Owned);
    let files = ModelFiles {
        onnx: read("model_int8.onnx").or_else(|_| read("model.onnx"))?,
        tokenizer: read("tokenizer.json")?,
        config: read("config.json")?,
        special_tokens_map: read("special_tokens_map.json")?,
        tokenizer_config: read("tokenizer_config.json")?,
    };
    println!("files read: {}", memory_kb("VmRSS"));
    let start = Instant::now();
    let embedder = SentenceEmbedder::load("measured", 256, files, &OnnxRuntime::from_env())?;
    println!("load {:?}, {}", start.elapsed(), memory_kb("VmRSS"));
    let start = Instant::now();
    embedder.embed_blocking(&["where did we put the spare key?".to_owned()])?;
    println!("first sentence {:?}", start.elapsed());
    let start = Instant::now();
    let count = embedder.count_tokens("where did we put the spare key?");
    println!("first count ({count}) {:?}", start.elapsed());
    let sentences: Vec<String> = (0..64)
        .map(|i| {
            format!("In meeting number {i} we spoke of the garden, the budget and the way home.")
        })
        .collect();
    let start = Instant::now();
    for sentence in &sentences {
        embedder.embed_blocking(std::slice::from_ref(sentence))?;
    }
    println!("one by one {:?} a sentence", start.elapsed() / 64);
    let start = Instant::now();
    embedder.embed_blocking(&sentences)?;
    println!("in batches {:?} a sentence", start.elapsed() / 64);
    let passages: Vec<String> = (0..16).map(|_| sentences.join(" ")).collect();
    let start = Instant::now();
    embedder.embed_blocking(&passages)?;
    println!("passages of 256 tokens {:?} each", start.elapsed() / 16);
    println!("peak {}, now {}", memory_kb("VmHWM"), memory_kb("VmRSS"));
    Ok(())
}
