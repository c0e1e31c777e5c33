mod behind;
mod cut_off;
mod ends;
mod microphones;
mod own_microphone;
mod runs;
mod shelf;
mod world;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;

use self::world::{Kept, Replica, Told, World, asked, replica, replica_with, speech, text_of};
use super::*;
use crate::{
    CorrelationId, Language,
    ports::{
        platform::{Heard, Stop},
        speech::DecodeOptions,
    },
};

fn stop(transcribe: bool) -> Stop {
    Stop {
        transcribe,
        metadata: serde_json::from_value(json!({"stopped": true})).unwrap(),
    }
}

fn tagged(tags: &[&str]) -> Start {
    Start {
        tags: Tags::new(tags),
        ..Start::default()
    }
}

/// A start that is worked on meanwhile.
fn started(replica: &Replica, asked: &Asked) -> tokio::task::JoinHandle<Result<Outcome, Trouble>> {
    let (recordings, asked) = (Arc::clone(&replica.recordings), asked.clone());
    tokio::spawn(async move { recordings.start(&asked, tagged(&["a"])).await })
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// `seconds` of speech, second by second.
fn seconds(seconds: usize) -> Vec<Heard> {
    (0..seconds).map(|_| Heard::Sound(speech(1))).collect()
}

#[tokio::test(start_paused = true)]
async fn sound_that_is_sent_is_kept_and_becomes_text_when_it_is_stopped() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(3));
    let work = started(&replica, &asked);
    pass(10).await;
    assert!(
        !world.partials.lock().unwrap().is_empty(),
        "told while it comes"
    );
    assert_eq!(world.told(), [Told::Started]);
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(
        world.told(),
        [
            Told::Started,
            Told::Finished(Some(3_000)),
            Told::Succeeded(text_of(3), vec!["a".to_owned()])
        ]
    );
    let kept = world.kept(id);
    assert_eq!(kept.pcm, speech(3));
    assert!(kept.compacted);
    assert_eq!(kept.recording.unwrap().metadata["stopped"], true);
    assert_eq!(kept.transcript.unwrap().metadata["stopped"], true);
    assert_eq!(world.state(id), RecordingState::Transcribed);
    assert!(
        world.sent.lock().unwrap().is_empty(),
        "the bus is free of it"
    );
    assert!(world.held.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_pauses_for_long_and_says_so_without_sound_goes_on_in_the_same_recording() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    let work = started(&replica, &asked);
    for _ in 0..20 {
        pass(15).await;
        world.send(id, [Heard::Sound(Vec::new())]);
    }
    assert_eq!(world.state(id), RecordingState::Capturing);
    world.send(id, seconds(1));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(world.kept(id).pcm, speech(3));
    assert!(
        matches!(world.told().pop(), Some(Told::Succeeded(..))),
        "{:?}",
        world.told()
    );
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_given_while_somebody_speaks_or_the_text_is_made_holds() {
    for captured in [false, true] {
        let world = Arc::new(World::default());
        let (replica, asked) = (replica(&world), asked(&world));
        let id = asked.own_recording();
        world.send(id, seconds(if captured { 25 } else { 2 }));
        let work = started(&replica, &asked);
        pass(5).await;
        let label = || {
            let mut kept = world.kept.lock().unwrap();
            let kept = kept.get_mut(&id).unwrap();
            kept.recording.as_mut().unwrap().tags = Tags::new(["b"]);
        };
        if !captured {
            label();
        }
        world.send(id, [Heard::End]);
        replica.recordings.stop(id, stop(true)).await.unwrap();
        if captured {
            while world.state(id) == RecordingState::Capturing {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(!work.is_finished(), "its text is being made");
            label();
        }
        assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
        let Some(Told::Succeeded(_, tags)) = world.told().pop() else {
            panic!("no text");
        };
        assert_eq!(tags, ["b"], "after all was captured: {captured}");
        let kept = world.kept(id);
        assert_eq!(kept.recording.unwrap().tags, Tags::new(["b"]));
        assert_eq!(kept.transcript.unwrap().tags, Tags::new(["b"]));
    }
}

#[tokio::test(start_paused = true)]
async fn another_replica_goes_on_with_the_sound_where_one_broke_off() {
    let world = Arc::new(World::default());
    let (first, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(7));
    let work = started(&first, &asked);
    pass(9).await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled(), "it was killed");
    assert_eq!(
        world.kept(id).pcm.len(),
        5 * 16_000,
        "what the store was given"
    );

    world.send(id, seconds(2));
    world.send(id, [Heard::End]);
    let second = replica(&world);
    second.recordings.stop(id, stop(true)).await.unwrap();
    let outcome = second.recordings.start(&asked, tagged(&["a"])).await;
    assert_eq!(outcome.unwrap(), Outcome::Done);
    assert_eq!(world.kept(id).pcm, speech(9), "nothing twice, nothing lost");
    let text = Told::Succeeded(text_of(9), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_again_after_the_text_was_kept_only_says_so_again() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    let again = || replica.recordings.start(&asked, tagged(&["a"]));
    again().await.unwrap();
    let told = world.told();
    // Sound that the client sends again, too.
    world.send(id, seconds(2));
    again().await.unwrap();
    assert_eq!(world.told()[told.len()..], told[..]);
    assert_eq!(world.kept(id).pcm, speech(2));
    assert!(world.sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_again_tells_a_description_that_was_lost_what_was_asked() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    // As an archive makes it again that has pieces of sound alone.
    let mut made = Recording::begin(
        CorrelationId::from(*id.as_uuid()),
        jiff::Timestamp::UNIX_EPOCH,
        Tags::new(["meanwhile"]),
        DecodeOptions::default(),
    );
    made.recording_id = id;
    let kept = Kept {
        recording: Some(made),
        pcm: speech(1),
        ..Kept::default()
    };
    world.kept.lock().unwrap().insert(id, kept);
    world.send(id, seconds(2));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    let start = Start {
        metadata: serde_json::Map::from_iter([("call".to_owned(), 7.into())]),
        options: DecodeOptions {
            language: Some(Language::new("en")),
            ..DecodeOptions::default()
        },
        ..tagged(&["a"])
    };
    replica.recordings.start(&asked, start).await.unwrap();
    let recording = world.kept(id).recording.unwrap();
    assert_eq!(recording.tags, Tags::new(["a", "meanwhile"]));
    assert_eq!(recording.correlation_id, asked.correlation_id);
    assert_eq!(recording.created_at, asked.at);
    assert_eq!(recording.metadata["call"], 7);
    assert_eq!(recording.options.language, Some(Language::new("en")));
    assert_eq!(world.kept(id).pcm, speech(2));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_again_after_the_sound_was_kept_makes_its_text() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(false)).await.unwrap();
    let again = || replica.recordings.start(&asked, tagged(&["a"]));
    again().await.unwrap();
    assert_eq!(world.told().len(), 2, "no text was asked for");
    world.intents.lock().unwrap().clear();
    again().await.unwrap();
    let text = Told::Succeeded(text_of(2), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_has_its_recording_finished_and_transcribed() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    world.send(asked.own_recording(), seconds(2));
    let work = started(&replica, &asked);
    pass(55).await;
    assert_eq!(world.told(), [Told::Started], "it may come back");
    pass(15).await;
    assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
    assert_eq!(*world.vanished.lock().unwrap(), 1);
    let text = Told::Succeeded(text_of(2), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_stop_is_waited_upon_as_long_as_a_client() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(1));
    world.send(id, [Heard::End]);
    let work = started(&replica, &asked);
    pass(50).await;
    assert_eq!(world.told(), [Told::Started]);
    replica.recordings.stop(id, stop(false)).await.unwrap();
    work.await.unwrap().unwrap();
    assert_eq!(world.told(), [Told::Started, Told::Finished(Some(1_000))]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_sending_after_its_stop_is_not_heard_for_ever() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    let work = started(&replica, &asked);
    replica.recordings.stop(id, stop(false)).await.unwrap();
    for _ in 0..100 {
        world.send(id, seconds(1));
        pass(1).await;
    }
    assert!(work.is_finished(), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_away_for_a_while_does_not_end_a_recording() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(1));
    let work = started(&replica, &asked);
    pass(2).await;
    world.bus_is_away.store(true, Ordering::SeqCst);
    pass(300).await;
    world.bus_is_away.store(false, Ordering::SeqCst);
    world.send(id, seconds(1));
    world.send(id, [Heard::End]);
    replica.recordings.stop(id, stop(true)).await.unwrap();
    work.await.unwrap().unwrap();
    let text = Told::Succeeded(text_of(2), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_ends_hands_its_recording_back_with_its_sound_kept() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    let id = asked.own_recording();
    world.send(id, seconds(2));
    let work = started(&replica, &asked);
    pass(5).await;
    replica.stop.cancel();
    assert_eq!(work.await.unwrap().unwrap(), Outcome::HandBack);
    assert_eq!(world.told(), [Told::Started]);
    assert_eq!(world.state(id), RecordingState::Capturing);
    assert_eq!(world.sent.lock().unwrap()[&id].len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_microphone_of_the_service_is_used_only_where_its_operator_allows_it() {
    let world = Arc::new(World::default());
    let asked = asked(&world);
    let host = || Start {
        side: Side::Host,
        ..tagged(&["a"])
    };
    let refused = replica(&world).recordings.start(&asked, host()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("SPEAKR_HOST_CAPTURE"), "{refused}");
    assert!(world.kept.lock().unwrap().is_empty());

    let with_host = replica_with(&world, Some(speech(3)));
    with_host.recordings.start(&asked, host()).await.unwrap();
    let text = Told::Succeeded(text_of(3), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_host_recording_that_was_broken_off_is_of_all_its_sound() {
    let world = Arc::new(World::default());
    let asked = asked(&world);
    let first = replica_with(&world, Some(speech(2)));
    let host = Start {
        side: Side::Host,
        ..tagged(&["a"])
    };
    first.recordings.start(&asked, host.clone()).await.unwrap();
    // As if it had been killed before it was told that all was there.
    {
        let mut kept = world.kept.lock().unwrap();
        let kept = kept.get_mut(&asked.own_recording()).unwrap();
        kept.recording.as_mut().unwrap().state = RecordingState::Capturing;
        kept.compacted = false;
    }
    let second = replica_with(&world, Some(speech(3)));
    second.recordings.start(&asked, host).await.unwrap();
    let text = Told::Succeeded(text_of(5), vec!["a".to_owned()]);
    assert_eq!(world.told().last(), Some(&text));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_late_because_the_bus_was_away_is_waited_for() {
    for stopped_before in [true, false] {
        let world = Arc::new(World::default());
        let (replica, asked) = (replica(&world), asked(&world));
        let id = asked.own_recording();
        world.send(id, seconds(2));
        let work = started(&replica, &asked);
        pass(5).await;
        if stopped_before {
            replica.recordings.stop(id, stop(true)).await.unwrap();
            pass(1).await;
        }
        world.bus_is_away.store(true, Ordering::SeqCst);
        pass(200).await;
        world.bus_is_away.store(false, Ordering::SeqCst);
        pass(2).await;
        world.send(id, seconds(2));
        world.send(id, [Heard::End]);
        if !stopped_before {
            replica.recordings.stop(id, stop(true)).await.unwrap();
        }
        assert_eq!(work.await.unwrap().unwrap(), Outcome::Done);
        assert_eq!(
            world.kept(id).pcm,
            speech(4),
            "stopped before: {stopped_before}"
        );
        assert_eq!(*world.vanished.lock().unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_can_not_do_is_refused_before_any_sound_is_taken() {
    let world = Arc::new(World::default());
    let (replica, asked) = (replica(&world), asked(&world));
    for (options, reason) in [
        (
            DecodeOptions {
                model: Some("large".to_owned()),
                ..DecodeOptions::default()
            },
            "the model \"large\" isn't here; this service has \"counting\"",
        ),
        (
            DecodeOptions {
                language: Some(Language::new("fr")),
                ..DecodeOptions::default()
            },
            "the model \"counting\" doesn't know the language \"fr\"",
        ),
    ] {
        let start = Start {
            options,
            ..Start::default()
        };
        let refused = replica.recordings.start(&asked, start).await.unwrap_err();
        assert!(
            matches!(&refused, Trouble::Refused(_) | Trouble::UnknownModel { .. })
                && refused.to_string() == reason,
            "{refused}"
        );
    }
    assert!(world.told().is_empty());
    assert!(world.kept.lock().unwrap().is_empty());
}
