use std::path::{Path, PathBuf};

use whisper_rs::{WhisperVadContext, WhisperVadContextParams};

use super::*;

fn asset(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../assets")
        .join(path)
}

fn model() -> SileroModel {
    SileroModel::load(&ModelBytes::File(asset("models/ggml-silero-v6.2.0.bin"))).unwrap()
}

fn clip(name: &str) -> Vec<i16> {
    let mut reader = hound::WavReader::open(asset("speech").join(name)).unwrap();
    reader.samples::<i16>().map(Result::unwrap).collect()
}

/// The network over frames as whisper.cpp pads them: mirrored at the left too, where the stream
/// and the published network have the sound before.
fn mirrored_at_both_ends(model: &SileroModel, pcm: &[i16]) -> Vec<f32> {
    let weights = &model.0;
    let mut state = LstmState::new(weights.lstm.hidden());
    let mut scratch = Scratch::default();
    pcm.chunks_exact(weights.window)
        .map(|frame| {
            let x: Vec<f32> = frame.iter().map(|&s| f32::from(s) / 32_768.0).collect();
            let mut padded: Vec<f32> = x[1..=weights.context].iter().rev().copied().collect();
            padded.extend(&x);
            padded.extend(x.iter().rev().skip(1).take(MIRRORED));
            scratch.padded = padded;
            evaluate(weights, &mut state, &mut scratch)
        })
        .collect()
}

#[test]
fn the_network_reckons_as_whisper_cpp_does() {
    crate::log_hook::install();
    let path = asset("models/ggml-silero-v6.2.0.bin");
    let mut parameters = WhisperVadContextParams::new();
    // More would spin on busy cores.
    parameters.set_n_threads(1);
    let mut theirs = WhisperVadContext::new(path.to_str().unwrap(), parameters).unwrap();
    for name in ["jfk.wav", "LJ001-0005.wav"] {
        let mut pcm = clip(name);
        pcm.truncate(pcm.len() / 512 * 512);
        let sound: Vec<f32> = pcm.iter().map(|&s| f32::from(s) / 32_768.0).collect();
        theirs.detect_speech(&sound).unwrap();
        let ours = mirrored_at_both_ends(&model(), &pcm);
        assert_eq!(ours.len(), theirs.probabilities().len());
        let worst = ours
            .iter()
            .zip(theirs.probabilities())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        // They keep activations in half precision between layers.
        assert!(worst < 0.02, "{name}: {worst}");
    }
}

#[test]
fn a_stream_in_any_chunks_is_one_pass_over_the_whole() {
    let pcm = clip("jfk.wav");
    let whole = model().detector().push(&pcm).unwrap();
    assert_eq!(whole.len(), pcm.len() / 512);
    for size in [1, 160, 512, 1_000, 4_096] {
        let mut detector = model().detector();
        let stream: Vec<f32> = pcm
            .chunks(size)
            .flat_map(|chunk| detector.push(chunk).unwrap())
            .collect();
        assert_eq!(stream, whole, "in chunks of {size}");
    }
}

#[test]
fn speech_is_told_from_silence_around_it() {
    let silence = vec![0; 3 * 16_000];
    let speech = clip("LJ001-0005.wav");
    let sound = [&silence[..], &speech, &silence].concat();
    let probabilities = model().detector().push(&sound).unwrap();
    let mean = |seconds: std::ops::Range<f64>| {
        let from = (seconds.start * 31.25) as usize;
        let to = (seconds.end * 31.25) as usize;
        probabilities[from..to].iter().sum::<f32>() / (to - from) as f32
    };
    assert!(mean(0.5..2.9) < 0.1);
    assert!(mean(3.5..10.5) > 0.8);
    assert!(mean(12.0..14.0) < 0.1);
}

#[test]
fn a_model_in_memory_is_a_model_in_a_file() {
    let bytes = std::fs::read(asset("models/ggml-silero-v6.2.0.bin")).unwrap();
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let pcm = clip("austen-0880.wav");
    let mut in_memory = SileroDetector::load(&ModelBytes::Static(bytes)).unwrap();
    assert_eq!(
        in_memory.push(&pcm).unwrap(),
        model().detector().push(&pcm).unwrap()
    );
}

#[test]
fn files_that_are_no_model_are_refused_with_their_reason() {
    let bytes = std::fs::read(asset("models/ggml-silero-v6.2.0.bin")).unwrap();
    let load = |bytes: Vec<u8>| {
        let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
        SileroModel::load(&ModelBytes::Static(bytes)).map(drop)
    };
    assert!(matches!(
        load(Vec::new()),
        Err(SileroModelError::NotAModel(_))
    ));
    assert!(matches!(
        load(b"RIFF is another kind of file".to_vec()),
        Err(SileroModelError::NotAModel(_))
    ));
    for len in [5, 30, 100, 5_000, bytes.len() - 1] {
        let error = load(bytes[..len].to_vec()).unwrap_err();
        assert!(
            matches!(error, SileroModelError::Damaged { .. }),
            "{len}: {error}"
        );
    }
    let missing = SileroModel::load(&ModelBytes::File("/nonexistent/silero.bin".into()));
    assert!(matches!(missing, Err(SileroModelError::Unreadable { .. })));
}
