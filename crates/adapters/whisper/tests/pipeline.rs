//! The whole way from sound to text on the bundled models.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Heard, clip, music, noise, silence, tone, transcribe, transcriber};
use futures::stream;
use speakr_core::{
    ports::speech::DecodeOptions,
    transcript::join_texts,
    usecases::transcribe::{Pace, TranscriptionEvent},
};
use tokio_util::sync::CancellationToken;

const PACES: [Pace; 2] = [Pace::File, Pace::Live];

async fn text(pcm: &[i16], pace: Pace) -> String {
    join_texts(
        &transcribe(pcm, pace, &DecodeOptions::default())
            .await
            .segments,
    )
}

#[tokio::test]
async fn sound_without_speech_gives_no_text() {
    let sounds = [
        ("silence", silence(30.0)),
        ("faint noise", noise(30.0, 60.0)),
        ("noise", noise(30.0, 3_000.0)),
        ("loud noise", noise(30.0, 30_000.0)),
        ("a low tone", tone(20.0, 110.0)),
        ("a tone", tone(20.0, 440.0)),
        ("a high tone", tone(20.0, 3_000.0)),
        ("music", music(40.0)),
        (
            "a click",
            [silence(3.0), vec![i16::MAX; 20], silence(3.0)].concat(),
        ),
    ];
    for (name, pcm) in sounds {
        for pace in PACES {
            assert_eq!(text(&pcm, pace).await, "", "{name}");
        }
    }
}

#[tokio::test]
async fn long_silence_around_speech_adds_no_word_and_moves_the_times() {
    let speech = clip("austen-0880.wav");
    let alone = text(&speech, Pace::File).await;
    assert!(alone.to_lowercase().contains("young man"), "{alone}");
    let pcm = [silence(40.0), speech, silence(40.0)].concat();
    for pace in PACES {
        let sound = transcribe(&pcm, pace, &DecodeOptions::default()).await;
        let found = join_texts(&sound.segments);
        assert_eq!(
            found.split_whitespace().count(),
            alone.split_whitespace().count(),
            "{found}"
        );
        for segment in &sound.segments {
            assert!(
                segment.start_ms >= 39_500 && segment.end_ms <= 43_600,
                "{segment:?}"
            );
        }
        assert!(
            (1_500..3_200).contains(&sound.speech_ms),
            "{}",
            sound.speech_ms
        );
    }
}

#[tokio::test]
async fn speech_between_noises_is_still_heard() {
    let pcm = [noise(8.0, 300.0), clip("pv-en.wav"), noise(8.0, 300.0)].concat();
    for pace in PACES {
        let found = text(&pcm, pace).await.to_lowercase();
        assert!(
            found.contains("platforms") && found.contains("used"),
            "{found}"
        );
        assert!(found.split_whitespace().count() <= 9, "{found}");
    }
}

#[tokio::test]
async fn a_final_segment_comes_before_the_sound_ends() {
    let heard = Arc::new(Heard::default());
    let cancel = CancellationToken::new();
    let pcm = [clip("pv-en.wav"), silence(2.0)].concat();
    // The rest of the sound comes only when a final segment has been seen.
    let chunks: Vec<Vec<i16>> = pcm.chunks(512).map(<[i16]>::to_vec).collect();
    let watched = Arc::clone(&heard);
    let sound = stream::unfold((chunks.into_iter(), false), move |(mut chunks, waited)| {
        let heard = Arc::clone(&watched);
        async move {
            if let Some(chunk) = chunks.next() {
                return Some((chunk, (chunks, waited)));
            }
            if waited {
                return None;
            }
            loop {
                let seen = heard
                    .0
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|e| matches!(e, TranscriptionEvent::Segment(_)));
                if seen {
                    return Some((vec![0; 512], (chunks, true)));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let options = DecodeOptions::default();
    let transcriber = transcriber();
    let run = transcriber.run(Box::pin(sound), Pace::Live, &options, &*heard, &cancel);
    let sound = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .unwrap()
        .unwrap();
    assert!(!sound.segments.is_empty());
}

#[tokio::test]
async fn file_and_live_say_the_same_words_where_speech_is_plain() {
    let pcm = [clip("jfk.wav"), silence(1.5), clip("LJ001-0005.wav")].concat();
    let words = |text: String| -> Vec<String> {
        text.to_lowercase()
            .split_whitespace()
            .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
            .collect()
    };
    let file = words(text(&pcm, Pace::File).await);
    let live = words(text(&pcm, Pace::Live).await);
    assert_eq!(file, live);
    assert!((45..50).contains(&file.len()), "{file:?}");
}

#[tokio::test]
async fn cancelling_in_the_middle_of_a_decode_ends_the_run() {
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        later.cancel();
    });
    let pcm: Vec<i16> = (0..10).flat_map(|_| clip("jfk.wav")).collect();
    let error = transcriber()
        .run(
            stream::iter([pcm]),
            Pace::File,
            &DecodeOptions::default(),
            &(),
            &cancel,
        )
        .await
        .unwrap_err();
    assert!(error.is_cancelled());
}
