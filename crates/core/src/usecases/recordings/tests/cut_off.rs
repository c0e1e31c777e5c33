//! Replicas that were taken for dead and weren't.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_cut_off_leaves_the_text_of_the_one_that_heard_more() {
    for heard in [0, 3] {
        let world = Arc::new(World::default());
        let (first, asked) = (replica(&world), asked(&world));
        let id = asked.own_recording();
        world.send(id, seconds(heard));
        let mut cut_off = Box::pin(first.recordings.start(&asked, tagged(&["a"])));
        let heard_for = tokio::time::timeout(Duration::from_secs(5), &mut cut_off).await;
        assert!(heard_for.is_err(), "it waits for more");

        // Its machine stands still from now on, and another finishes the recording.
        world.send(id, seconds(9 - heard));
        world.send(id, [Heard::End]);
        let second = replica(&world);
        second.recordings.stop(id, stop(true)).await.unwrap();
        let finished = second.recordings.start(&asked, tagged(&["a"])).await;
        assert_eq!(finished.unwrap(), Outcome::Done);
        pass(100).await;

        assert_eq!(cut_off.await.unwrap(), Outcome::Done);
        let kept = world.kept(id);
        let (recording, transcript) = (kept.recording.unwrap(), kept.transcript.unwrap());
        assert_eq!(transcript.text, text_of(9), "after {heard} s were heard");
        assert_eq!(recording.duration_ms, Some(9_000));
        assert!(!recording.without_text);
        assert_eq!(kept.pcm, speech(9));
        let text = Told::Succeeded(text_of(9), vec!["a".to_owned()]);
        assert_eq!(world.told().last(), Some(&text));
    }
}
