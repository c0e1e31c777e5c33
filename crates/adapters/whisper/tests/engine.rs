//! The engine's port on the bundled model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod common;

use std::time::{Duration, Instant};

use common::{asset, clip, engine, silence};
use speakr_core::{
    Language,
    ports::speech::{DecodeOptions, SpeechEngine, SpeechError},
    transcript::join_texts,
};
use speakr_whisper::{EngineError, ModelBytes, WhisperEngine};
use tokio_util::sync::CancellationToken;

const AUSTEN: &str = "He was not an ill disposed young man";

/// Lower-case words without punctuation.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('-', " ")
        .split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
        .filter(|w| !w.is_empty())
        .collect()
}

#[tokio::test]
async fn speech_becomes_text_with_times_inside_the_sound() {
    let pcm = clip("jfk.wav");
    let length = pcm.len() as u64 / 16;
    let decoded = engine()
        .decode(pcm, &DecodeOptions::default(), &CancellationToken::new())
        .await
        .unwrap();
    let text = join_texts(&decoded.segments);
    let expected = "and so my fellow americans ask not what your country can do for you ask what \
                    you can do for your country";
    assert_eq!(words(&text).join(" "), expected);
    assert_eq!(decoded.language, Some(Language::english()));
    assert_eq!(decoded.language_probability, None);
    assert!(decoded.mean_log_probability > -0.6 && decoded.mean_log_probability < 0.0);
    let mut last = 0;
    for segment in &decoded.segments {
        assert!(last <= segment.start_ms && segment.start_ms < segment.end_ms);
        assert!(segment.end_ms <= length);
        last = segment.end_ms;
    }
}

#[tokio::test]
async fn words_have_their_own_times_in_order() {
    let options = DecodeOptions {
        word_timestamps: true,
        ..DecodeOptions::default()
    };
    let decoded = engine()
        .decode(clip("jfk.wav"), &options, &CancellationToken::new())
        .await
        .unwrap();
    let timed: Vec<_> = decoded
        .segments
        .iter()
        .flat_map(|s| s.words.clone().unwrap())
        .collect();
    assert_eq!(timed.len(), 22);
    let text: Vec<_> = timed.iter().map(|w| w.text.as_str()).collect();
    assert_eq!(text.join(" "), join_texts(&decoded.segments));
    for pair in timed.windows(2) {
        assert!(pair[0].start_ms <= pair[0].end_ms && pair[0].end_ms <= pair[1].start_ms);
    }
    // "country" is said twice: around 5.5 s and at the end.
    let at: Vec<u64> = timed
        .iter()
        .filter(|w| w.text.starts_with("country"))
        .map(|w| w.start_ms)
        .collect();
    assert!(
        (4_000..7_500).contains(&at[0]) && (8_500..11_000).contains(&at[1]),
        "{at:?}"
    );
}

#[tokio::test]
async fn pieces_shorter_than_a_spectrum_are_no_danger() {
    for samples in [0, 1, 100, 300, 1_600, 8_000] {
        let decoded = engine()
            .decode(
                vec![0; samples],
                &DecodeOptions::default(),
                &CancellationToken::new(),
            )
            .await
            .unwrap();
        assert!(
            decoded
                .segments
                .iter()
                .all(|s| s.end_ms <= samples as u64 / 16)
        );
    }
}

#[tokio::test]
async fn the_same_sound_becomes_the_same_text_whatever_came_before_it() {
    // Speech backwards is a language that the model doesn't know: it has to guess.
    let foreign: Vec<i16> = clip("austen-0880.wav").into_iter().rev().collect();
    let decode = async || {
        engine()
            .decode(
                foreign.clone(),
                &DecodeOptions::default(),
                &CancellationToken::new(),
            )
            .await
            .unwrap()
    };
    let first = decode().await;
    assert!(first.guessed, "this test is about guesses");
    for _ in 0..2 {
        assert_eq!(decode().await.segments, first.segments);
    }
}

#[tokio::test]
async fn decodes_run_side_by_side_in_states_of_their_own() {
    let decode = |name: &'static str| async move {
        let decoded = engine()
            .decode(
                clip(name),
                &DecodeOptions::default(),
                &CancellationToken::new(),
            )
            .await
            .unwrap();
        join_texts(&decoded.segments)
    };
    let alone = (decode("austen-0880.wav").await, decode("pv-en.wav").await);
    let together = tokio::join!(decode("austen-0880.wav"), decode("pv-en.wav"));
    assert_eq!(together, alone);
}

#[tokio::test]
async fn a_cancelled_decode_ends_soon_and_the_engine_goes_on_working() {
    let pcm: Vec<i16> = [clip("jfk.wav"), clip("jfk.wav")].concat();
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        later.cancel();
    });
    let began = Instant::now();
    let whole = engine()
        .decode(
            pcm.clone(),
            &DecodeOptions::default(),
            &CancellationToken::new(),
        )
        .await;
    assert!(whole.is_ok());
    let whole = began.elapsed();

    let began = Instant::now();
    let cancelled = engine()
        .decode(pcm.clone(), &DecodeOptions::default(), &cancel)
        .await;
    assert!(matches!(cancelled, Err(SpeechError::Cancelled)));
    assert!(began.elapsed() < whole / 2 + Duration::from_millis(200));

    let mid = CancellationToken::new();
    let later = mid.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        later.cancel();
    });
    let broken_off = engine().decode(pcm, &DecodeOptions::default(), &mid).await;
    assert!(matches!(broken_off, Err(SpeechError::Cancelled)));

    let after = engine()
        .decode(
            clip("austen-0880.wav"),
            &DecodeOptions::default(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(
        words(&join_texts(&after.segments)).len(),
        words(AUSTEN).len()
    );
}

#[tokio::test]
async fn a_prompt_is_heard_and_its_cap_is_told() {
    let engine = engine();
    let short = engine.cap_prompt("Merneptah, Ephraim, Manasseh").unwrap();
    assert!(short.kept_tokens > 3 && short.dropped_tokens == 0);
    let long = engine.cap_prompt(&"Zarathustra ".repeat(500)).unwrap();
    assert_eq!(long.kept_tokens, 223);
    assert!(long.dropped_tokens > 300);
    // A prompt beyond the cap, with what C can't take in it, is no failure.
    let options = DecodeOptions {
        prompt: Some(format!("{}\0 young man", "ill-disposed ".repeat(300))),
        ..DecodeOptions::default()
    };
    let decoded = engine
        .decode(clip("austen-0880.wav"), &options, &CancellationToken::new())
        .await
        .unwrap();
    assert!(decoded.segments.len() < 10);
}

#[tokio::test]
async fn a_language_that_the_model_does_not_know_is_refused() {
    for language in ["de", "klingon", "e\0n", ""] {
        let options = DecodeOptions {
            language: Some(Language::new(language)),
            ..DecodeOptions::default()
        };
        let error = engine().accepts(&options).unwrap_err();
        assert!(
            matches!(error, SpeechError::UnknownLanguage { .. }),
            "{language:?}"
        );
    }
    let english = DecodeOptions {
        language: Some(Language::english()),
        ..DecodeOptions::default()
    };
    engine().accepts(&english).unwrap();
}

#[test]
fn a_model_in_memory_is_loaded_and_a_broken_one_is_refused() {
    let bytes = std::fs::read(asset("models/ggml-tiny.en-q8_0.bin")).unwrap();
    let bytes: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    WhisperEngine::load("tiny.en", false, &ModelBytes::Static(bytes), 1).unwrap();
    let error = |id, multilingual, source| {
        WhisperEngine::load(id, multilingual, &source, 1)
            .map(drop)
            .unwrap_err()
    };
    assert!(matches!(
        error("tiny", true, ModelBytes::Static(bytes)),
        EngineError::Mismatch { .. }
    ));
    assert!(matches!(
        error(
            "missing",
            false,
            ModelBytes::File("/nonexistent/ggml.bin".into())
        ),
        EngineError::Unreadable { .. }
    ));
    assert!(matches!(
        error(
            "silero",
            false,
            ModelBytes::File(asset("models/ggml-silero-v6.2.0.bin"))
        ),
        EngineError::NotWhisper(_)
    ));
    assert!(matches!(
        error("wav", false, ModelBytes::File(asset("speech/jfk.wav"))),
        EngineError::NotWhisper(_)
    ));
}

#[tokio::test]
async fn silence_alone_is_no_text_even_without_a_detector() {
    let decoded = engine()
        .decode(
            silence(5.0),
            &DecodeOptions::default(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    // The decoder alone may invent a word here; that is why sound without speech never gets this
    // far. What it must not do is fill the silence.
    assert!(words(&join_texts(&decoded.segments)).len() <= 3);
}
