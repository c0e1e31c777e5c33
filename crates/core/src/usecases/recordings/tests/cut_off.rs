//! Replicas that were taken for dead and weren't, and others that hold one recording at a time.

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

/// Answers a start as often as it takes; gives how often another took the recording away.
async fn held(replica: &Replica, asked: &Asked) -> usize {
    let mut taken = 0;
    loop {
        match replica.recordings.start(asked, tagged(&["a"])).await {
            Err(Trouble::Archive(ArchiveError::Taken { .. })) => taken += 1,
            done => {
                assert_eq!(done.unwrap(), Outcome::Done);
                return taken;
            }
        }
        pass(2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_that_hold_one_recording_keep_all_of_it_once_and_both_end_well() {
    let world = Arc::new(World::default());
    let (first, second) = (replica(&world), replica(&world));
    let asked = asked(&world);
    let id = asked.own_recording();
    let speaking = async {
        for _ in 0..25 {
            world.send(id, seconds(1));
            pass(1).await;
        }
        world.send(id, [Heard::End]);
        second.recordings.stop(id, stop(true)).await.unwrap();
    };
    let later = async {
        pass(7).await;
        held(&second, &asked).await
    };
    let (by_second, by_first, ()) = tokio::join!(held(&first, &asked), later, speaking);
    assert!(by_first + by_second > 0, "they never met");
    let kept = world.kept(id);
    assert_eq!(kept.pcm, speech(25), "nothing twice, nothing lost");
    let recording = kept.recording.unwrap();
    assert_eq!(recording.state, RecordingState::Transcribed);
    assert_eq!(recording.duration_ms, Some(25_000));
    assert!(kept.transcript.is_some());
}
