//! Streams on a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{task::Poll, time::Duration};

use async_nats::jetstream::stream;
use speakr_contract::{control::Control, events::RecordingCancelled, events::TranscriptionPartial};
use speakr_nats::{
    BusError,
    control::{self, Controls},
    intents::{Intent, Intents, Stop},
    streams::{self, StreamSettings},
};
use tokio::task::coop;
use uuid::Uuid;

use speakr_nats::{Bus, BusConfig};
use speakr_testkit::nats::Nats;

use crate::support::{platform, request, send_cancel};

#[tokio::test]
async fn streams_are_made_as_they_must_be_and_a_second_start_changes_nothing() {
    let (_nats, bus) = platform().await;
    let configs = || async {
        let mut all = Vec::new();
        for name in [
            streams::COMMANDS,
            streams::AUDIO,
            streams::EVENTS,
            streams::DEAD_LETTER,
        ] {
            all.push(
                bus.jetstream()
                    .get_stream(name)
                    .await
                    .unwrap()
                    .cached_info()
                    .config
                    .clone(),
            );
        }
        all
    };
    let first = configs().await;
    streams::ensure(&bus, &StreamSettings::default())
        .await
        .unwrap();
    assert_eq!(configs().await, first);
    assert_eq!(first[0].retention, stream::RetentionPolicy::WorkQueue);
    for (config, discard) in first.iter().zip([
        stream::DiscardPolicy::New,
        stream::DiscardPolicy::New,
        stream::DiscardPolicy::Old,
        stream::DiscardPolicy::Old,
    ]) {
        assert_eq!(config.storage, stream::StorageType::File, "{}", config.name);
        assert_eq!(config.discard, discard, "{}", config.name);
        assert!(config.max_bytes > 0, "{}", config.name);
    }
    assert!(first[1].max_age.is_zero());
}

#[tokio::test]
async fn limits_follow_the_settings_and_what_can_not_be_changed_is_named() {
    let (_nats, bus) = platform().await;
    let settings = StreamSettings {
        commands_max_bytes: 1_000_000,
        ..StreamSettings::default()
    };
    streams::ensure(&bus, &settings).await.unwrap();
    let stream = bus.jetstream().get_stream(streams::COMMANDS).await.unwrap();
    assert_eq!(stream.cached_info().config.max_bytes, 1_000_000);

    bus.jetstream()
        .delete_stream(streams::COMMANDS)
        .await
        .unwrap();
    let wrong = stream::Config {
        name: streams::COMMANDS.to_owned(),
        subjects: vec!["speakr.command.>".to_owned()],
        ..stream::Config::default()
    };
    bus.jetstream().create_stream(wrong).await.unwrap();
    let error = streams::ensure(&bus, &settings).await.unwrap_err();
    assert!(
        matches!(
            &error,
            BusError::Mismatch {
                field: "retention",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_stream_refuses_what_is_new_keeps_what_is_old_and_raises_an_alarm() {
    let (_nats, bus) = platform().await;
    let settings = StreamSettings {
        commands_max_bytes: 2_000,
        ..StreamSettings::default()
    };
    streams::ensure(&bus, &settings).await.unwrap();
    assert!(!streams::levels(&bus).await.unwrap()[0].is_alarming());
    send_cancel(&bus, "first").await;
    let mut refused = None;
    for n in 0..20 {
        let sent = bus
            .publish(
                &speakr_contract::commands::RecordingCancel {
                    recording_id: Uuid::nil(),
                },
                &request(),
                &n.to_string(),
            )
            .await;
        if let Err(error) = sent {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(refused, Some(BusError::Full { .. })),
        "{refused:?}"
    );
    let level = &streams::levels(&bus).await.unwrap()[0];
    assert!(level.is_alarming(), "{level:?}");
    let stream = bus.jetstream().get_stream(streams::COMMANDS).await.unwrap();
    assert_eq!(
        stream.cached_info().state.first_sequence,
        1,
        "the oldest is still there"
    );
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_before_it_is_sent() {
    let (_nats, bus) = platform().await;
    let run = speakr_contract::commands::TranscriptionRun {
        audio_data: Some(speakr_contract::AudioData(vec![0; 7_000_000])),
        ..Default::default()
    };
    let error = bus.publish(&run, &request(), "x").await.unwrap_err();
    assert!(matches!(error, BusError::TooLarge { .. }), "{error:?}");
    assert!(bus.is_connected());
}

#[tokio::test]
async fn events_are_kept_and_partial_texts_are_not() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let partial = TranscriptionPartial {
        event_id: id,
        recording_id: id,
        text: "so far".to_owned(),
        start_ms: 0,
        end_ms: 1,
        is_final: false,
    };
    bus.publish_volatile(&partial, &request()).await.unwrap();
    let cancelled = RecordingCancelled {
        event_id: id,
        recording_id: id,
    };
    for _ in 0..2 {
        bus.publish(&cancelled, &request(), &id.to_string())
            .await
            .unwrap();
    }
    let stream = bus.jetstream().get_stream(streams::EVENTS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);
}

#[tokio::test]
async fn a_control_that_was_heard_in_vain_is_heard_again() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut controls = Controls::listen(&bus, id).await.unwrap();
    // A task whose turn ends between the hearing and the answer, and whose next turn does something
    // else: the runtime lets it do so many things in a turn.
    for things in 118..=128 {
        let relaying = tokio::spawn({
            let bus = bus.clone();
            async move { control::relay(&bus, id, &Control::Cancel).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut heard = std::future::poll_fn(|context| {
            for _ in 0..things {
                if let Poll::Ready(budget) = coop::poll_proceed(context) {
                    budget.made_progress();
                }
            }
            let listening = std::pin::pin!(controls.next());
            Poll::Ready(match listening.poll(context) {
                Poll::Ready(control) => control,
                Poll::Pending => None,
            })
        })
        .await;
        if heard.is_none() {
            heard = tokio::time::timeout(Duration::from_secs(1), controls.next())
                .await
                .unwrap_or_else(|_| panic!("lost after {things} things"));
        }
        assert_eq!(heard, Some(Control::Cancel));
        assert!(relaying.await.unwrap().unwrap(), "it was answered");
    }
}

#[tokio::test]
async fn a_control_reaches_who_holds_the_recording_and_nobody_else() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    assert!(!control::relay(&bus, id, &Control::Cancel).await.unwrap());
    let mut controls = Controls::listen(&bus, id).await.unwrap();
    let stop = Control::Stop {
        transcribe: true,
        metadata: Default::default(),
    };
    let (told, heard) = tokio::join!(control::relay(&bus, id, &stop), controls.next());
    assert!(told.unwrap());
    assert_eq!(heard, Some(stop));
    drop(controls);
    assert!(
        !control::relay(&bus, Uuid::new_v4(), &Control::Cancel)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn what_is_wanted_of_a_recording_is_written_down_and_the_first_stop_holds() {
    let (_nats, bus) = platform().await;
    let intents = Intents::open(&bus).await.unwrap();
    let id = Uuid::new_v4();
    assert_eq!(intents.get(id).await.unwrap(), Intent::default());
    let stop = |transcribe| Stop {
        transcribe,
        metadata: Default::default(),
    };
    intents.stop(id, stop(false)).await.unwrap();
    intents.stop(id, stop(true)).await.unwrap();
    let (one, two) = tokio::join!(intents.cancel(id), intents.cancel(id));
    one.and(two).unwrap();
    let again = Intents::open(&bus).await.unwrap();
    assert_eq!(
        again.get(id).await.unwrap(),
        Intent {
            stop: Some(stop(false)),
            cancelled: true
        }
    );
}

#[tokio::test]
async fn a_server_without_room_for_the_streams_is_said_to_have_none() {
    let nats = Nats::start_with_store("3GB").unwrap();
    let bus = Bus::connect(&BusConfig::new(&nats.url(), "test"))
        .await
        .unwrap();
    let error = streams::ensure(&bus, &StreamSettings::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BusError::NoRoom { stream, max_mib: 4_096 } if stream == streams::AUDIO),
        "{error:?}"
    );
    assert!(error.to_string().contains("max_file_store"), "{error}");
}

#[tokio::test]
async fn streams_and_buckets_get_the_copies_that_are_wanted_of_them() {
    let servers = tokio::task::spawn_blocking(|| Nats::start_cluster(3).unwrap());
    let servers = servers.await.unwrap();
    let bus = Bus::connect(&BusConfig::new(&servers[0].url(), "test"))
        .await
        .unwrap();
    for replicas in [1, 3] {
        let settings = StreamSettings {
            replicas,
            ..StreamSettings::default()
        };
        let began = std::time::Instant::now();
        // Three servers that have just met may not be ready for it at once.
        while let Err(error) = streams::ensure(&bus, &settings).await {
            assert!(began.elapsed() < Duration::from_secs(60), "{error:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for name in speakr_nats::backup::streams() {
            let mut stream = bus.jetstream().get_stream(&name).await.unwrap();
            let is = stream.info().await.unwrap().config.num_replicas;
            assert_eq!(is, replicas, "{name}");
        }
    }
}
