//! The bundled engine may not get worse on the bundled speech.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

use std::{path::Path, sync::Arc};

use speakr_bench::{
    accuracy::{Measurement, measure},
    manifest, thresholds,
};
use speakr_core::usecases::transcribe::Pace;
use speakr_whisper::{ModelBytes, SileroModel, WhisperEngine};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_word_error_rate_of_the_bundled_speech_stays_below_its_threshold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let assets = root.join("../../assets");
    let clips = manifest::read(&assets.join("speech")).unwrap();
    assert_eq!(clips.len(), 6);
    let limits = thresholds::read(&root.join("thresholds.toml")).unwrap();
    let model = |name: &str| ModelBytes::File(assets.join("models").join(name));
    let vad = SileroModel::load(&model("ggml-silero-v6.2.0.bin")).unwrap();
    let engine = WhisperEngine::load("tiny.en-q8_0", false, &model("ggml-tiny.en-q8_0.bin"), 1);
    let engine = Arc::new(engine.unwrap());
    let mut measured = Vec::new();
    for pace in [Pace::File, Pace::Live] {
        let measurement = Measurement {
            engine: engine.clone(),
            vad: &vad,
            pace,
            segmentation: None,
            real_time: false,
            detect_language: false,
        };
        measured.push(measure(&measurement, &clips).await.unwrap());
    }
    let breaches = thresholds::breaches(&limits, &measured);
    assert!(breaches.is_empty(), "{breaches:?}\n{measured:#?}");
}
