//! Runs: of kept sound, and of files.

use super::*;

fn of(sound: Sound, tags: &[&str]) -> Run {
    Run {
        sound,
        tags: Tags::new(tags),
        metadata: serde_json::from_value(json!({"run": tags.len()})).unwrap(),
        created_at: None,
        options: None,
    }
}

fn succeeded(seconds: usize, tags: &[&str]) -> Told {
    let tags = tags.iter().map(|t| (*t).to_owned()).collect();
    Told::Succeeded(text_of(seconds), tags)
}

#[tokio::test(start_paused = true)]
async fn a_file_becomes_a_recording_with_text_and_once() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let run = || of(Sound::File("sound-4".into()), &["a"]);
    for _ in 0..2 {
        let outcome = replica.recordings.run(&asked, run()).await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
    }
    assert_eq!(world.told(), [succeeded(4, &["a"]), succeeded(4, &["a"])]);
    let kept = world.kept(asked.own_recording());
    assert_eq!(kept.pcm, speech(4));
    assert!(kept.compacted);
    assert_eq!(kept.recording.unwrap().created_at, asked.at);
}

#[tokio::test(start_paused = true)]
async fn a_file_whose_keeping_was_broken_off_is_kept_whole_by_the_next() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let run = || of(Sound::File("sound-4".into()), &["a"]);
    replica.recordings.run(&asked, run()).await.unwrap();
    {
        let mut kept = world.kept.lock().unwrap();
        let kept = kept.get_mut(&asked.own_recording()).unwrap();
        kept.recording.as_mut().unwrap().state = RecordingState::Capturing;
        kept.pcm.truncate(20_000);
        (kept.compacted, kept.transcript) = (false, None);
    }
    replica.recordings.run(&asked, run()).await.unwrap();
    assert_eq!(world.kept(asked.own_recording()).pcm, speech(4));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_sound_is_refused_by_the_name_its_sender_knows_and_leaves_no_trace() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let run = of(Sound::File("/scratch/x".into()), &[]);
    let refused = replica.recordings.run(&asked, run).await.unwrap_err();
    let expected = "audio_data holds no sound that can be decoded: it has none";
    assert!(
        matches!(&refused, Trouble::Refused(why) if why == expected),
        "{refused}"
    );
    assert!(world.kept.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tags_and_metadata_of_a_run_add_to_those_of_the_recording() {
    let world = Arc::new(World::default());
    let (replica, first, second) = (replica(&world), asked(&world), asked(&world));
    let id = first.own_recording();
    world.send(id, seconds(2));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(false)).await.unwrap();
    replica
        .recordings
        .start(&first, tagged(&["a"]))
        .await
        .unwrap();
    let run = of(Sound::Kept(id), &["b"]);
    replica.recordings.run(&second, run).await.unwrap();
    assert_eq!(world.told().last(), Some(&succeeded(2, &["a", "b"])));
    let recording = world.kept(id).recording.unwrap();
    assert_eq!(recording.tags, Tags::new(["a", "b"]));
    let metadata = serde_json::Value::Object(recording.metadata);
    assert_eq!(metadata, json!({"stopped": true, "run": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_its_recording_without_taking_up_room() {
    let world = Arc::new(World::default());
    let (replica, recording, mut run) = (replica(&world), asked(&world), asked(&world));
    let id = recording.own_recording();
    let wanted = || of(Sound::Kept(id), &[]);
    let outcome = replica.recordings.run(&run, wanted()).await.unwrap();
    assert!(matches!(outcome, Outcome::Postpone(_)), "{outcome:?}");
    let work = started(&replica, &recording);
    pass(1).await;
    run.at = Timestamp::now() - Duration::from_secs(600);
    let outcome = replica.recordings.run(&run, wanted()).await.unwrap();
    assert_eq!(outcome, Outcome::Postpone(Duration::from_secs(30)));
    work.abort();

    let elsewhere = of(Sound::Kept(run.own_recording()), &[]);
    let refused = replica.recordings.run(&run, elsewhere).await.unwrap_err();
    assert!(
        refused.to_string().starts_with("there is no recording"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_of_a_deleted_recording_ends_as_deleted_and_not_as_refused() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.deleted.lock().unwrap().insert(id);
    let run = of(Sound::Kept(id), &[]);
    let deleted = replica.recordings.run(&asked, run).await.unwrap_err();
    assert!(
        matches!(&deleted, Trouble::Archive(ArchiveError::Deleted(of)) if *of == id),
        "{deleted}"
    );
    assert!(deleted.to_string().contains("was deleted"), "{deleted}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_and_deleted_while_it_is_worked_on_is_cancelled() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    let work = {
        let (recordings, asked) = (Arc::clone(&replica.recordings), asked.clone());
        let run = of(Sound::File("sound-25".into()), &[]);
        tokio::spawn(async move { recordings.run(&asked, run).await })
    };
    let is_kept = || {
        let kept = world.kept.lock().unwrap();
        kept.get(&id).is_some_and(|kept| kept.compacted)
    };
    while !is_kept() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!work.is_finished(), "its text is being made");
    // Nobody nudges it, and its text is made before it looks again what is wanted.
    world.kept.lock().unwrap().remove(&id);
    world.deleted.lock().unwrap().insert(id);
    world
        .intents
        .lock()
        .unwrap()
        .entry(id)
        .or_default()
        .cancelled = true;
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(world.told(), [Told::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_for_a_while_when_its_replica_ends_and_is_handed_back_then() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let work = {
        let (recordings, asked) = (Arc::clone(&replica.recordings), asked.clone());
        let run = of(Sound::File("sound-600".into()), &[]);
        tokio::spawn(async move { recordings.run(&asked, run).await })
    };
    while world.partials.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    replica.stop.cancel();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!work.is_finished());
    replica.stop_now.cancel();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::HandBack);
    assert_eq!(world.told(), []);
    assert_eq!(world.state(asked.own_recording()), RecordingState::Captured);
}
