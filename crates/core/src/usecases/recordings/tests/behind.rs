//! Sound that comes faster than anything is made of it.

use super::*;

/// Stretches of speech, and what comes after each: silence, at which pieces end.
const STRETCHES: u64 = 90;
const SPEECH_MS: u64 = 9_000;
const SILENCE_MS: u64 = 1_000;

#[tokio::test(start_paused = true)]
async fn sound_that_comes_all_at_once_has_its_whole_text_once_it_is_kept() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    for _ in 0..STRETCHES {
        world.send(id, seconds(9));
        world.send(id, [Heard::Sound(vec![0; 16_000])]);
    }
    world.send(id, [Heard::End]);
    let work = started(&replica, &asked);
    pass(1).await;
    assert!(
        world.partials.lock().unwrap().is_empty(),
        "too much waits for a text to be made meanwhile"
    );
    replica.recordings.stop(id, stop(true)).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(world.kept(id).pcm.len(), 900 * 16_000);
    let segments = world.kept(id).transcript.unwrap().segments;
    for number in 0..STRETCHES {
        let start_ms = number * (SPEECH_MS + SILENCE_MS);
        let middle_ms = start_ms + SPEECH_MS / 2;
        let of_it = segments
            .iter()
            .filter(|s| (s.start_ms..s.end_ms).contains(&middle_ms));
        assert_eq!(of_it.count(), 1, "stretch {number}: {segments:?}");
    }
    let texts = |told: &Told| matches!(told, Told::Succeeded(..));
    assert_eq!(world.told().iter().filter(|told| texts(told)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_stop_is_kept_whole_by_a_slow_store() {
    let world = Arc::new(World::default());
    *world.store_takes.lock().unwrap() = Duration::from_secs(1);
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    // Three minutes to write, and a client is waited for one.
    world.send(id, seconds(180));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    let outcome = replica.recordings.start(&asked, tagged(&["a"])).await;
    assert_eq!(outcome.unwrap(), Outcome::Done);
    assert_eq!(world.kept(id).pcm, speech(180));
}
