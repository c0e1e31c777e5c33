mod live;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};

use self::world::{Heard, ScriptedEngine, microphone, run_all, said, silence, speech, transcriber};
use super::*;
use crate::ports::speech::Decoded;

#[tokio::test]
async fn sound_without_speech_gives_no_text_and_never_wakes_the_engine() {
    let engine = Arc::new(ScriptedEngine::new(|_, pcm, _| said("invented", pcm)));
    for pace in [Pace::Live, Pace::File] {
        let sound = run_all(&engine, silence(60_000), pace, &Heard::default()).await;
        assert_eq!(sound.segments, []);
        assert_eq!((sound.duration_ms, sound.speech_ms), (60_000, 0));
    }
    assert_eq!(engine.calls(), []);
}

#[tokio::test]
async fn no_sound_at_all_is_an_empty_transcript() {
    let engine = Arc::new(ScriptedEngine::new(|_, pcm, _| said("invented", pcm)));
    let sound = run_all(&engine, Vec::new(), Pace::Live, &Heard::default()).await;
    assert_eq!(sound, TranscribedSound::default());
}

#[tokio::test]
async fn times_are_those_of_the_whole_sound() {
    let engine = Arc::new(ScriptedEngine::new(|i, pcm, _| {
        said(&format!("piece {i}"), pcm)
    }));
    let pcm = [
        silence(5_000),
        speech(2_000),
        silence(5_000),
        speech(2_000),
        silence(100),
    ]
    .concat();
    let sound = run_all(&engine, pcm, Pace::File, &Heard::default()).await;
    let padding = SegmenterConfig::file().padding_ms;
    let times: Vec<_> = sound
        .segments
        .iter()
        .map(|s| (s.start_ms, s.end_ms))
        .collect();
    // Speech is found in frames of 32 ms.
    assert!(times[0].0.abs_diff(5_000 - padding) <= 32, "{times:?}");
    assert!(times[0].1.abs_diff(7_000 + padding) <= 32, "{times:?}");
    assert!(times[1].0.abs_diff(12_000 - padding) <= 32, "{times:?}");
    assert!(times[1].1 <= sound.duration_ms, "{times:?}");
    assert_eq!(sound.duration_ms, 14_100);
    assert!(sound.speech_ms.abs_diff(4_000) <= 128);
    assert!((sound.mean_log_probability + 0.2).abs() < 1e-6);
}

#[tokio::test]
async fn times_out_of_order_or_past_the_end_are_put_right() {
    let engine = Arc::new(ScriptedEngine::new(|_, _, _| Decoded {
        segments: [(900, 700), (100, 99_000), (50, 60)]
            .into_iter()
            .map(|(start_ms, end_ms)| Segment {
                start_ms,
                end_ms,
                text: "word".to_owned(),
                words: Some(vec![crate::Word {
                    start_ms: 70_000,
                    end_ms: 3,
                    text: "word".to_owned(),
                }]),
            })
            .collect(),
        ..Decoded::default()
    }));
    let sound = run_all(
        &engine,
        [silence(1_000), speech(1_500)].concat(),
        Pace::File,
        &Heard::default(),
    )
    .await;
    let mut last = 0;
    for segment in &sound.segments {
        assert!(last <= segment.start_ms && segment.start_ms <= segment.end_ms);
        assert!(segment.end_ms <= sound.duration_ms);
        for word in segment.words.iter().flatten() {
            assert!(segment.start_ms <= word.start_ms && word.start_ms <= word.end_ms);
            assert!(word.end_ms <= segment.end_ms);
        }
        last = segment.end_ms;
    }
    assert_eq!(sound.segments.len(), 3);
}

#[tokio::test]
async fn speech_that_the_engine_left_out_at_the_end_is_decoded_again() {
    let engine = Arc::new(ScriptedEngine::new(|i, pcm, _| match i {
        0 => said("first half", &pcm[..4 * 16_000]),
        _ => said("second half", pcm),
    }));
    let sound = run_all(&engine, speech(9_000), Pace::File, &Heard::default()).await;
    let texts: Vec<_> = sound.segments.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts, ["first half", "second half"]);
    assert_eq!(sound.segments[1].start_ms, 4_000);
    assert_eq!(engine.calls().len(), 2);
}

#[tokio::test]
async fn an_engine_that_always_stops_early_comes_to_an_end() {
    let engine = Arc::new(ScriptedEngine::new(|_, pcm, _| {
        said("a", &pcm[..pcm.len().min(8_000)])
    }));
    let sound = run_all(&engine, speech(9_000), Pace::File, &Heard::default()).await;
    assert!(
        (8..20).contains(&sound.segments.len()),
        "{}",
        sound.segments.len()
    );
}

#[tokio::test]
async fn a_file_waits_for_the_engine() {
    let mut engine = ScriptedEngine::new(|_, pcm, _| said("text", pcm));
    engine.takes = Duration::from_millis(20);
    let engine = Arc::new(engine);
    let taken = Arc::new(AtomicUsize::new(0));
    let worst = Arc::new(AtomicUsize::new(0));
    // Two seconds of speech, then three without, in one chunk: each chunk makes a piece.
    let chunks = stream::iter(0..30).map({
        let (taken, worst, engine) = (taken.clone(), worst.clone(), engine.clone());
        move |_| {
            let ahead =
                taken.fetch_add(1, Ordering::SeqCst) - engine.finished.load(Ordering::SeqCst);
            worst.fetch_max(ahead, Ordering::SeqCst);
            [speech(2_000), silence(3_000)].concat()
        }
    });
    let sound = transcriber(&engine)
        .run(
            chunks,
            Pace::File,
            &DecodeOptions::default(),
            &(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(sound.segments.len(), 30);
    assert_eq!(taken.load(Ordering::SeqCst), 30);
    assert!(
        worst.load(Ordering::SeqCst) <= 3,
        "{worst:?} pieces were read ahead"
    );
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_run_and_the_decode() {
    let mut engine = ScriptedEngine::new(|_, pcm, _| said("text", pcm));
    engine.takes = Duration::from_secs(1_000);
    let engine = Arc::new(engine);
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        later.cancel();
    });
    let pcm = [speech(2_000), silence(60_000)].concat();
    let error = transcriber(&engine)
        .run(
            microphone(pcm),
            Pace::Live,
            &DecodeOptions::default(),
            &(),
            &cancel,
        )
        .await
        .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(engine.busy.load(Ordering::SeqCst), 0);
    // A look at the open piece, and one at the whole of it: nothing is begun after the cancel.
    assert_eq!(engine.calls().len(), 2);
}

#[tokio::test]
async fn a_language_that_the_model_does_not_know_is_refused_before_any_sound() {
    let engine = Arc::new(ScriptedEngine::new(|_, pcm, _| said("text", pcm)));
    let options = DecodeOptions {
        language: Some(Language::new("de")),
        ..DecodeOptions::default()
    };
    let never = stream::pending::<Vec<i16>>();
    let error = transcriber(&engine)
        .run(never, Pace::Live, &options, &(), &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        TranscribeError::Speech(SpeechError::UnknownLanguage { .. })
    ));
}

fn heard_in(
    language: &str,
    probability: Option<f32>,
    log_probability: f32,
    pcm: &[i16],
) -> Decoded {
    Decoded {
        language: Some(Language::new(language)),
        language_probability: probability,
        mean_log_probability: log_probability,
        ..said("text", pcm)
    }
}

#[tokio::test]
async fn a_language_once_surely_detected_is_kept_until_a_piece_fits_badly() {
    let mut engine = ScriptedEngine::new(|i, pcm, options| match (i, &options.language) {
        // Once more, with more sound around it.
        (0 | 1, None) => heard_in("de", Some(0.5), -0.3, pcm),
        (2, None) => heard_in("de", Some(0.95), -0.3, pcm),
        (3, Some(l)) => heard_in(l.as_str(), None, -0.3, pcm),
        (4, Some(l)) => heard_in(l.as_str(), None, -1.4, pcm),
        (5, None) => heard_in("en", Some(0.99), -0.2, pcm),
        (_, Some(l)) => heard_in(l.as_str(), None, -0.2, pcm),
        (_, None) => panic!("detected again without need"),
    });
    engine.model.multilingual = true;
    let engine = Arc::new(engine);
    let pcm: Vec<i16> = (0..5)
        .flat_map(|_| [speech(2_000), silence(3_000)].concat())
        .collect();
    let sound = run_all(&engine, pcm, Pace::File, &Heard::default()).await;
    let asked: Vec<_> = engine
        .calls()
        .into_iter()
        .map(|c| c.language.map(|l| l.to_string()))
        .collect();
    let de = Some("de".to_owned());
    assert_eq!(
        asked,
        [
            None,
            None,
            None,
            de.clone(),
            de,
            None,
            Some("en".to_owned())
        ]
    );
    assert_eq!(sound.segments.len(), 5);
    assert_eq!(sound.language, Some(Language::new("de")));
    assert_eq!(sound.language_probability, Some(0.5));
}

#[tokio::test]
async fn speech_that_turns_out_not_to_be_english_is_decoded_with_more_sound_around_it() {
    for (language, most_calls) in [("de", 3), ("en", 2)] {
        let mut engine = ScriptedEngine::new(move |_, pcm, options| match &options.language {
            None => heard_in(language, Some(0.9), -0.3, pcm),
            Some(l) => heard_in(l.as_str(), None, -0.3, pcm),
        });
        engine.model.multilingual = true;
        let engine = Arc::new(engine);
        let pcm: Vec<i16> = (0..2)
            .flat_map(|_| [silence(3_000), speech(2_000), silence(3_000)].concat())
            .collect();
        let sound = run_all(&engine, pcm, Pace::File, &Heard::default()).await;
        assert_eq!(sound.language_probability, Some(0.9));
        assert_eq!(sound.segments.len(), 2);
        let padding_ms: Vec<_> = engine
            .calls()
            .iter()
            .map(|call| (call.samples as u64 / 16 - 2_000) / 2)
            .collect();
        assert_eq!(padding_ms.len(), most_calls, "{padding_ms:?}");
        let narrow = SegmenterConfig::file().padding_ms;
        for (nth, padding_ms) in padding_ms.into_iter().enumerate() {
            let wanted = if nth == 0 || language == "en" {
                narrow
            } else {
                800
            };
            assert!(padding_ms.abs_diff(wanted) <= 32, "{nth}: {padding_ms}");
        }
        // The times are those of the whole sound all the same.
        let start_ms = sound.segments[1].start_ms;
        let padding_ms = if language == "en" { narrow } else { 800 };
        assert!(start_ms.abs_diff(11_000 - padding_ms) <= 32, "{start_ms}");
    }
}

#[tokio::test]
async fn progress_only_grows_and_reaches_the_end() {
    let engine = Arc::new(ScriptedEngine::new(|_, pcm, _| said("text", pcm)));
    let heard = Heard::default();
    let pcm: Vec<i16> = (0..4)
        .flat_map(|_| [speech(3_000), silence(4_000)].concat())
        .collect();
    run_all(&engine, pcm, Pace::File, &heard).await;
    let steps: Vec<u64> = heard
        .events()
        .into_iter()
        .filter_map(|e| match e {
            TranscriptionEvent::Progress { decoded_ms } => Some(decoded_ms),
            _ => None,
        })
        .collect();
    assert!(steps.len() > 4 && steps.is_sorted());
    assert_eq!(steps.last(), Some(&28_000));
}
