//! Cancel, giving up, and what is swept up afterwards.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_cancelled_recording_leaves_a_tombstone_alone() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    let work = started(&replica, &asked);
    pass(3).await;
    replica.recordings.cancel(&asked, id).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(world.told(), [Told::Started, Told::Cancelled]);
    assert!(world.deleted.lock().unwrap().contains(&id));
    assert!(world.sent.lock().unwrap().is_empty());
    // A stop that comes late, and the start once more, bring nothing back.
    replica.recordings.stop(id, stop(true)).await.unwrap();
    let again = replica.recordings.start(&asked, tagged(&[])).await;
    assert_eq!(again.unwrap(), Outcome::Done);
    assert_eq!(world.told().last(), Some(&Told::Cancelled));
    assert!(world.kept.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_overtakes_its_start_holds() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    replica.recordings.cancel(&asked, id).await.unwrap();
    let outcome = replica.recordings.start(&asked, tagged(&[])).await;
    assert_eq!(outcome.unwrap(), Outcome::Done);
    assert_eq!(world.told(), [Told::Cancelled, Told::Cancelled]);
    assert!(world.kept.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_the_decoding_ends_it() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    let work = {
        let (recordings, asked) = (Arc::clone(&replica.recordings), asked.clone());
        tokio::spawn(async move {
            let run = Run {
                sound: Sound::File("sound-600".into()),
                tags: Tags::default(),
                metadata: Metadata::new(),
                created_at: None,
                options: None,
            };
            recordings.run(&asked, run).await
        })
    };
    while world.partials.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    replica.recordings.cancel(&asked, id).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(world.told(), [Told::Cancelled]);
    assert!(world.deleted.lock().unwrap().contains(&id));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_comes_too_late_takes_no_text_away() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(1));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    replica.recordings.start(&asked, tagged(&[])).await.unwrap();
    replica.recordings.cancel(&asked, id).await.unwrap();
    assert_eq!(world.state(id), RecordingState::Transcribed);
    assert!(!world.told().contains(&Told::Cancelled));
    // One that was written down before the text was kept, and read after.
    world
        .intents
        .lock()
        .unwrap()
        .entry(id)
        .or_default()
        .cancelled = true;
    replica.recordings.start(&asked, tagged(&[])).await.unwrap();
    assert_eq!(world.state(id), RecordingState::Transcribed);
    assert!(!world.told().contains(&Told::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_given_up_marks_its_recording_unless_its_text_is_there() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    let give_up = async || {
        let given_up = replica
            .recordings
            .give_up(&asked, 1, id, "it is broken", None);
        given_up.await.unwrap();
    };
    give_up().await;
    assert_eq!(world.told(), [Told::Failed("it is broken".to_owned())]);

    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(false)).await.unwrap();
    replica.recordings.start(&asked, tagged(&[])).await.unwrap();
    give_up().await;
    assert_eq!(world.state(id), RecordingState::Failed);
    let error = world.kept(id).recording.unwrap().error;
    assert_eq!(error.as_deref(), Some("it is broken"));

    let set = |state| {
        let mut kept = world.kept.lock().unwrap();
        let recording = kept.get_mut(&id).unwrap().recording.as_mut().unwrap();
        recording.state = state;
    };
    for state in [RecordingState::Transcribed, RecordingState::Capturing] {
        set(state);
        give_up().await;
        assert_eq!(world.state(id), state);
    }
}

#[tokio::test(start_paused = true)]
async fn sound_that_comes_after_its_recording_has_ended_is_swept_away() {
    let world = Arc::new(World::default());
    let replica = replica(&world);
    let (ended, cancelled, unknown) = (asked(&world), asked(&world), asked(&world));
    world.send(ended.own_recording(), [Heard::End]);
    let id = ended.own_recording();
    replica.recordings.stop(id, stop(false)).await.unwrap();
    replica.recordings.start(&ended, tagged(&[])).await.unwrap();
    let id = cancelled.own_recording();
    replica.recordings.cancel(&cancelled, id).await.unwrap();
    let live = asked(&world);
    let work = started(&replica, &live);
    pass(1).await;
    for asked in [&ended, &cancelled, &unknown, &live] {
        world.send(asked.own_recording(), seconds(1));
    }
    assert_eq!(replica.recordings.sweep().await.unwrap(), 2);
    let left: Vec<_> = world.sent.lock().unwrap().keys().copied().collect();
    assert_eq!(left.len(), 2);
    assert!(
        left.contains(&unknown.own_recording()),
        "its start may still come"
    );
    assert!(left.contains(&live.own_recording()));
    work.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_a_full_bus_refuses_has_not_vanished() {
    for stopped in [false, true] {
        let world = Arc::new(World::default());
        let (replica, asked) = (replica(&world), asked(&world));
        let id = asked.own_recording();
        world.send(id, seconds(2));
        let work = started(&replica, &asked);
        pass(5).await;
        world.bus_is_full.store(true, Ordering::SeqCst);
        if stopped {
            // It has more to say, and can't.
            replica.recordings.stop(id, stop(true)).await.unwrap();
        }
        pass(300).await;
        assert!(!work.is_finished());
        world.bus_is_full.store(false, Ordering::SeqCst);
        // It tries again now and then.
        pass(30).await;
        assert!(!work.is_finished());
        world.send(id, seconds(1));
        world.send(id, [Heard::End]);
        replica.recordings.stop(id, stop(true)).await.unwrap();
        assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
        assert_eq!(*world.vanished.lock().unwrap(), 0);
        let text = Told::Succeeded(text_of(3), vec!["a".to_owned()]);
        assert_eq!(world.told().last(), Some(&text));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_does_not_keep_a_full_bus_full_for_ever() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    world.bus_is_full.store(true, Ordering::SeqCst);
    let work = started(&replica, &asked);
    pass(590).await;
    assert!(!work.is_finished());
    pass(60).await;
    assert_eq!(*world.vanished.lock().unwrap(), 1);
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert!(world.sent.lock().unwrap().is_empty(), "there is room");
}
