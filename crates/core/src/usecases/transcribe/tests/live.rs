//! Text while somebody speaks.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_microphone_is_never_held_up_and_its_text_comes_while_it_runs() {
    let mut engine = ScriptedEngine::new(|i, pcm, _| said(&format!("piece {i}"), pcm));
    engine.takes = Duration::from_secs(20);
    let engine = Arc::new(engine);
    let pcm: Vec<i16> = (0..10)
        .flat_map(|_| [speech(2_000), silence(2_500)].concat())
        .collect();
    let heard = Heard::default();
    let began = tokio::time::Instant::now();
    let last_taken = Mutex::new(None);
    let sound = microphone(pcm).inspect(|_| *last_taken.lock().unwrap() = Some(began.elapsed()));
    let sound = transcriber(&engine)
        .run(
            sound,
            Pace::Live,
            &DecodeOptions::default(),
            &heard,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(sound.segments.len(), 10);
    // The engine took five times as long as the sound; the sound was taken as it came.
    assert!(last_taken.lock().unwrap().unwrap() < Duration::from_secs(46));
}

#[tokio::test(start_paused = true)]
async fn final_segments_and_partials_come_before_the_sound_ends() {
    let mut engine = ScriptedEngine::new(|_, pcm, _| said("text", pcm));
    engine.takes = Duration::from_millis(300);
    let engine = Arc::new(engine);
    let heard = Arc::new(Heard::default());
    let pcm = [speech(3_000), silence(2_500), speech(6_000)].concat();
    let seen = Mutex::new((0, 0));
    let sound =
        microphone(pcm).inspect(|_| *seen.lock().unwrap() = (heard.finals(), heard.partials()));
    transcriber(&engine)
        .run(
            sound,
            Pace::Live,
            &DecodeOptions::default(),
            &*heard,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    let (finals, partials) = *seen.lock().unwrap();
    assert_eq!(finals, 1);
    assert!(partials >= 3, "{partials}");
    assert_eq!(
        engine.most_busy.load(Ordering::SeqCst),
        1,
        "one decode at a time"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_decoded_in_a_pause_is_not_decoded_again_at_the_end() {
    let mut engine = ScriptedEngine::new(|_, pcm, _| said("all of it", pcm));
    engine.takes = Duration::from_millis(100);
    let engine = Arc::new(engine);
    // The end comes in a pause that is too short to end the piece by itself.
    let pcm = [speech(3_000), silence(450)].concat();
    let began = tokio::time::Instant::now();
    let sound = transcriber(&engine)
        .run(
            microphone(pcm),
            Pace::Live,
            &DecodeOptions::default(),
            &(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    let after_end = began.elapsed() - Duration::from_millis(3_450);
    assert_eq!(sound.segments.len(), 1);
    assert!(after_end < Duration::from_millis(90), "{after_end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_has_become_useless_gives_way_to_the_last_piece() {
    let mut engine = ScriptedEngine::new(|_, pcm, _| said("text", pcm));
    engine.takes = Duration::from_millis(900);
    let engine = Arc::new(engine);
    let began = tokio::time::Instant::now();
    let sound = transcriber(&engine)
        .run(
            microphone(speech(2_500)),
            Pace::Live,
            &DecodeOptions::default(),
            &(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(sound.segments.len(), 1);
    // One decode of the last piece, without waiting for a look to end first.
    let after_end = began.elapsed() - Duration::from_millis(2_500);
    assert!(after_end < Duration::from_millis(1_000), "{after_end:?}");
}

/// Says how long the piece is, in tenths of a second.
fn length_said(_: usize, pcm: &[i16], _: &DecodeOptions) -> Decoded {
    said(&format!("{}", (pcm.len() + 800) / 1_600), pcm)
}

#[tokio::test(start_paused = true)]
async fn after_the_end_only_what_came_since_the_last_pause_is_left() {
    let mut engine = ScriptedEngine::new(length_said);
    // Slower than it should be, so that the whole would take more than three seconds.
    engine.takes_per_second = Duration::from_millis(200);
    let engine = Arc::new(engine);
    let pcm = [
        speech(5_000),
        silence(600),
        speech(5_000),
        silence(600),
        speech(5_000),
        silence(600),
        speech(1_500),
    ]
    .concat();
    let length = Duration::from_millis((pcm.len() / 16) as u64);
    let heard = Heard::default();
    let began = tokio::time::Instant::now();
    let sound = transcriber(&engine)
        .run(
            microphone(pcm),
            Pace::Live,
            &DecodeOptions::default(),
            &heard,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    let after_end = began.elapsed() - length;
    assert!(after_end < Duration::from_millis(900), "{after_end:?}");
    assert!(sound.segments.len() >= 2, "{:?}", sound.segments);
    assert!(
        (16_450..16_700).contains(&sound.speech_ms),
        "{}",
        sound.speech_ms
    );
    let covered: u64 = sound.segments.iter().map(|s| s.end_ms - s.start_ms).sum();
    assert!(covered >= 16_500, "{:?}", sound.segments);
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_ends_by_itself_is_decoded_as_a_whole() {
    let mut engine = ScriptedEngine::new(length_said);
    engine.takes_per_second = Duration::from_millis(50);
    let engine = Arc::new(engine);
    let pcm = [
        speech(5_000),
        silence(600),
        speech(5_000),
        silence(2_500),
        speech(3_000),
        silence(2_500),
    ]
    .concat();
    let heard = Heard::default();
    let sound = transcriber(&engine)
        .run(
            microphone(pcm),
            Pace::Live,
            &DecodeOptions::default(),
            &heard,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(sound.segments.len(), 2, "{:?}", sound.segments);
    assert_eq!(sound.segments[0].start_ms, 0);
    assert!(sound.segments[0].end_ms >= 10_600, "{:?}", sound.segments);
    // While it was open, all of its parts were shown in one line.
    assert!(
        heard.events().iter().any(
            |e| matches!(e, TranscriptionEvent::Partial { start_ms: 0, text, .. } if text.contains(' '))
        ),
        "{:?}",
        heard.events()
    );
}
