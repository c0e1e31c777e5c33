//! What a microphone of the service hears is said once.

use std::sync::{Arc, atomic::Ordering};

use super::{
    super::*,
    pass, stop, tagged,
    world::{Replica, Told, World, asked, replica_that_hears},
};

fn started(replica: &Replica, asked: &Asked) -> tokio::task::JoinHandle<Result<Outcome, Trouble>> {
    let (recordings, asked) = (Arc::clone(&replica.recordings), asked.clone());
    let start = Start {
        side: Side::Host,
        ..tagged(&["a"])
    };
    tokio::spawn(async move { recordings.start(&asked, start).await })
}

fn spoken(world: &World) -> Vec<i16> {
    world.spoken.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_when_the_replica_ends_is_in_the_store() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica_that_hears(&world), asked(&world));
    let work = started(&replica, &asked);
    tokio::time::sleep(Duration::from_millis(3_350)).await;
    replica.stop.cancel();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::HandBack);
    assert!(!world.microphone_is_open.load(Ordering::SeqCst));
    let kept = world.kept(asked.own_recording());
    assert!(kept.pcm.len() >= 33 * 1_600, "{}", kept.pcm.len());
    assert!(kept.pcm == spoken(&world), "all that was heard, once");

    // Another goes on where it was left, and hears the stop.
    let second = replica_that_hears(&world);
    let work = started(&second, &asked);
    pass(2).await;
    let id = asked.own_recording();
    second.recordings.stop(id, stop(true)).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    let kept = world.kept(id);
    assert!(kept.pcm.len() >= 52 * 1_600, "{}", kept.pcm.len());
    assert!(kept.pcm == spoken(&world), "all that was heard, once");
    assert!(matches!(world.told().last(), Some(Told::Succeeded(..))));
}

#[tokio::test(start_paused = true)]
async fn a_kill_takes_no_more_than_the_last_second_or_so() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica_that_hears(&world), asked(&world));
    let work = started(&replica, &asked);
    pass(9).await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    let (kept, spoken) = (world.kept(asked.own_recording()).pcm, spoken(&world));
    assert!(
        spoken.len() - kept.len() <= 12 * 1_600,
        "{} of {}",
        kept.len(),
        spoken.len()
    );
    assert!(kept == spoken[..kept.len()]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_minutes_costs_no_sound() {
    for stopped_meanwhile in [false, true] {
        let world = Arc::new(World::default());
        let (replica, asked) = (replica_that_hears(&world), asked(&world));
        let id = asked.own_recording();
        let work = started(&replica, &asked);
        pass(4).await;
        world.store_is_away.store(true, Ordering::SeqCst);
        pass(120).await;
        if stopped_meanwhile {
            replica.recordings.stop(id, stop(true)).await.unwrap();
            pass(30).await;
            assert!(
                !world.microphone_is_open.load(Ordering::SeqCst),
                "who says stop isn't heard on, whatever the store does"
            );
            assert!(!work.is_finished());
        }
        world.store_is_away.store(false, Ordering::SeqCst);
        pass(10).await;
        if !stopped_meanwhile {
            replica.recordings.stop(id, stop(true)).await.unwrap();
        }
        assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
        assert!(world.kept(id).pcm == spoken(&world), "all, once, in order");
        assert!(matches!(world.told().last(), Some(Told::Succeeded(..))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_to_end_before_the_store_is_back_does_end() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica_that_hears(&world), asked(&world));
    let work = started(&replica, &asked);
    pass(4).await;
    world.store_is_away.store(true, Ordering::SeqCst);
    replica.stop.cancel();
    pass(10).await;
    assert!(
        !work.is_finished(),
        "it waits for the store as long as it may"
    );
    replica.stop_now.cancel();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::HandBack);
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_was_stopped_opens_no_microphone_again() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica_that_hears(&world), asked(&world));
    let id = asked.own_recording();
    let work = started(&replica, &asked);
    pass(3).await;
    work.abort();
    let _ = work.await;
    pass(1).await;
    world.microphone_is_open.store(false, Ordering::SeqCst);
    let before = spoken(&world).len();
    replica.recordings.stop(id, stop(true)).await.unwrap();
    let again = started(&replica, &asked);
    assert_eq!(again.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(spoken(&world).len(), before, "nobody was heard");
    assert_eq!(world.state(id), RecordingState::Transcribed);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_write_one_recording_the_second_lets_go_and_closes_its_microphone() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica_that_hears(&world), asked(&world));
    let work = started(&replica, &asked);
    pass(4).await;
    world.another_writes.store(true, Ordering::SeqCst);
    pass(3).await;
    assert!(work.is_finished(), "asking again would never help");
    assert!(matches!(
        work.await.unwrap(),
        Err(Trouble::Archive(ArchiveError::Taken { .. }))
    ));
    assert!(!world.microphone_is_open.load(Ordering::SeqCst));
}
