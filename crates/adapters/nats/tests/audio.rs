//! Sound over a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::Duration;

use async_nats::HeaderMap;
use speakr_contract::{
    audio::{CHUNK_SAMPLES, Chunk, MAX_CHUNK_BYTES},
    headers, subjects,
};
use speakr_nats::{
    Bus, BusConfig, BusError,
    audio::{self, AudioListener, AudioSender, Heard},
};
use speakr_testkit::proxy::Proxy;
use uuid::Uuid;

use crate::support::{platform, request};

async fn send_raw(bus: &Bus, id: Uuid, chunk: &Chunk, message_id: Option<&str>) {
    let ((name, value), payload) = chunk.write();
    let mut map = HeaderMap::new();
    map.insert(name, value.as_str());
    if let Some(message_id) = message_id {
        map.insert(headers::MESSAGE_ID, message_id);
    }
    bus.jetstream()
        .publish_with_headers(subjects::audio(id), map, payload.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

fn sound(number: u64) -> Chunk {
    Chunk::Sound {
        number,
        pcm: vec![i16::try_from(number).unwrap(); 4],
    }
}

/// All sound up to the end mark.
async fn all(listener: &mut AudioListener) -> Vec<i16> {
    let mut heard = Vec::new();
    let began = std::time::Instant::now();
    loop {
        assert!(began.elapsed() < Duration::from_secs(60), "{listener:?}");
        match listener.next().await {
            Ok(Heard::Sound(pcm)) => heard.extend(pcm),
            Ok(Heard::End) => return heard,
            Ok(Heard::CaughtUp | Heard::Silence(_)) => {}
            Err(BusError::Server { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_sent_is_heard_whole_and_in_order_and_only_once() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let pcm: Vec<i16> = (0..20_011)
        .map(|n| i16::try_from(n % 30_000).unwrap())
        .collect();
    let mut sender = AudioSender::new(&bus, id, request());
    for part in pcm.chunks(777) {
        sender.send(part).await.unwrap();
    }
    assert_eq!(sender.finish().await.unwrap(), 13);
    assert_eq!(all(&mut AudioListener::new(&bus, id)).await, pcm);
    // Another listener hears all of it too: nothing is used up.
    assert_eq!(all(&mut AudioListener::new(&bus, id)).await, pcm);
}

#[tokio::test]
async fn sound_is_heard_while_it_is_spoken() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut listener = AudioListener::new(&bus, id);
    assert_eq!(listener.next().await.unwrap(), Heard::CaughtUp);
    send_raw(&bus, id, &sound(0), None).await;
    let began = std::time::Instant::now();
    loop {
        match listener.next().await.unwrap() {
            Heard::Sound(pcm) => break assert_eq!(pcm, [0; 4]),
            Heard::CaughtUp | Heard::Silence(_) => {}
            Heard::End => panic!("there is no end yet"),
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_stream_that_comes_twice_and_out_of_order_is_heard_as_it_was_spoken() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    send_raw(&bus, id, &Chunk::End { count: 6 }, None).await;
    for number in [3, 0, 0, 5, 1, 3, 2, 4, 0] {
        // Without a message id the server keeps repeats.
        send_raw(&bus, id, &sound(number), None).await;
    }
    let heard = all(&mut AudioListener::new(&bus, id)).await;
    let spoken: Vec<i16> = (0..6).flat_map(|n| [n; 4]).collect();
    assert_eq!(heard, spoken);
}

#[tokio::test]
async fn the_server_keeps_one_of_what_was_sent_again() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let mut sender = AudioSender::new(&bus, id, request());
        sender.send(&[7; 3_200]).await.unwrap();
        sender.finish().await.unwrap();
    }
    let mut stream = bus.jetstream().get_stream("SPEAKR_AUDIO").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 3);
}

#[tokio::test]
async fn a_sender_that_is_silent_is_told_of() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    send_raw(&bus, id, &sound(0), None).await;
    let mut listener = AudioListener::new(&bus, id);
    let silence = loop {
        if let Heard::Silence(silence) = listener.next().await.unwrap() {
            break silence;
        }
    };
    assert!(silence >= Duration::from_secs(1), "{silence:?}");
}

#[tokio::test]
async fn a_message_that_never_comes_does_not_hold_the_rest_back_for_ever() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    for number in [0, 2, 3] {
        send_raw(&bus, id, &sound(number), None).await;
    }
    send_raw(&bus, id, &Chunk::End { count: 4 }, None).await;
    let heard = all(&mut AudioListener::new(&bus, id)).await;
    assert_eq!(heard, [[0; 4], [2; 4], [3; 4]].concat());
}

#[tokio::test]
async fn what_is_no_sound_is_refused() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    bus.jetstream()
        .publish(subjects::audio(id), "nonsense".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let error = AudioListener::new(&bus, id).next().await.unwrap_err();
    assert!(matches!(error, BusError::Sound { .. }), "{error:?}");
}

#[tokio::test]
async fn sound_of_one_recording_goes_alone() {
    let (_nats, bus) = platform().await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    for id in [one, two] {
        send_raw(&bus, id, &sound(0), None).await;
    }
    assert!(audio::exists(&bus, one).await.unwrap());
    audio::purge(&bus, one).await.unwrap();
    assert!(!audio::exists(&bus, one).await.unwrap());
    assert!(audio::exists(&bus, two).await.unwrap());
}

#[tokio::test]
async fn sound_goes_on_over_a_restart_of_the_server() {
    let (mut nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let pcm: Vec<i16> = (0..32_000)
        .map(|n| i16::try_from(n % 30_000).unwrap())
        .collect();
    let hearing = tokio::spawn({
        let mut listener = AudioListener::new(&bus, id);
        async move { all(&mut listener).await }
    });
    let mut sender = AudioSender::new(&bus, id, request());
    sender.send(&pcm[..16_000]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    nats.kill();
    nats.start_again().unwrap();
    let sent = async {
        sender.send(&pcm[16_000..]).await?;
        sender.finish().await
    };
    if sent.await.is_err() {
        // What was on its way when the server died: begin anew, as a client does.
        let mut again = AudioSender::new(&bus, id, request());
        again.send(&pcm).await.unwrap();
        again.finish().await.unwrap();
    }
    assert_eq!(hearing.await.unwrap(), pcm);
}

#[tokio::test]
async fn what_a_torn_connection_swallowed_is_sent_again_while_somebody_goes_on_speaking() {
    let (nats, bus) = platform().await;
    let port = nats.url().rsplit(':').next().unwrap().parse().unwrap();
    let way = Proxy::to(port).unwrap();
    let url = format!("nats://127.0.0.1:{}", way.port());
    let theirs = Bus::connect(&BusConfig::new(&url, "client")).await.unwrap();
    let id = Uuid::new_v4();
    let mut sender = AudioSender::new(&theirs, id, request());
    let mut listener = AudioListener::new(&bus, id);
    let said = |number: i16| vec![number; CHUNK_SAMPLES];
    let (pieces, swallowed) = (40, 10..15);
    let speaking = async {
        for number in 0..pieces {
            if number == swallowed.start {
                // What is sent now is on its way for ever.
                way.hold();
            } else if number == swallowed.end {
                way.tear();
                way.go_on();
            }
            sender.send(&said(number)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // They go on speaking, so nothing is finished.
        loop {
            sender.send(&[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let hearing = async {
        let mut heard = Vec::new();
        while heard.len() < CHUNK_SAMPLES * usize::try_from(pieces).unwrap() {
            if let Heard::Sound(pcm) = listener.next().await.unwrap() {
                heard.extend(pcm);
            }
        }
        heard
    };
    let heard = tokio::select! {
        heard = tokio::time::timeout(Duration::from_secs(9), hearing) => heard.unwrap(),
        () = speaking => unreachable!(),
    };
    let firsts: Vec<i16> = heard.into_iter().step_by(CHUNK_SAMPLES).collect();
    assert_eq!(firsts, (0..pieces).collect::<Vec<i16>>());
}

#[tokio::test]
async fn who_listens_slowly_is_caught_up_only_when_all_that_was_sent_is_heard() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut listener = AudioListener::new(&bus, id);
    send_raw(&bus, id, &sound(0), None).await;
    assert!(matches!(listener.next().await.unwrap(), Heard::Sound(_)));
    for number in 1..20 {
        send_raw(&bus, id, &sound(number), None).await;
        // The server gives it away at once, as the last; it waits at the listener.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut heard = Vec::new();
    loop {
        match listener.next().await.unwrap() {
            Heard::Sound(pcm) => heard.extend(pcm),
            Heard::CaughtUp => break,
            other => panic!("{other:?}"),
        }
    }
    let firsts: Vec<i16> = heard.into_iter().step_by(4).collect();
    assert_eq!(firsts, (1..20).collect::<Vec<i16>>());
}

#[tokio::test]
async fn who_pauses_for_long_is_heard_to_be_there_still_and_nothing_comes_into_the_sound() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut listener = AudioListener::new(&bus, id);
    let mut sender = AudioSender::new(&bus, id, request());
    let pcm = vec![7; CHUNK_SAMPLES + 5];
    let speaking = async {
        sender.send(&pcm).await.unwrap();
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            sender.send(&[]).await.unwrap();
        }
        sender.send(&pcm).await.unwrap();
        sender.finish().await.unwrap();
    };
    let hearing = async {
        let (mut heard, mut longest) = (Vec::new(), Duration::ZERO);
        loop {
            match listener.next().await.unwrap() {
                Heard::Sound(pcm) => heard.extend(pcm),
                Heard::Silence(silence) => longest = longest.max(silence),
                Heard::CaughtUp => {}
                Heard::End => return (heard, longest),
            }
        }
    };
    let ((), (heard, longest)) = tokio::join!(speaking, hearing);
    assert_eq!(heard, [pcm.clone(), pcm.clone()].concat());
    assert!(longest < Duration::from_secs(18), "{longest:?}");
}

#[tokio::test]
async fn while_a_client_is_silent_what_is_missing_of_its_sound_is_waited_for() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut listener = AudioListener::new(&bus, id);
    send_raw(&bus, id, &sound(0), None).await;
    send_raw(&bus, id, &sound(2), None).await;
    let sending = async {
        // Longer than it is waited for somebody who goes on speaking.
        tokio::time::sleep(Duration::from_secs(13)).await;
        send_raw(&bus, id, &sound(3), None).await;
        send_raw(&bus, id, &sound(1), None).await;
        send_raw(&bus, id, &Chunk::End { count: 4 }, None).await;
    };
    let ((), heard) = tokio::join!(sending, all(&mut listener));
    let firsts: Vec<i16> = heard.into_iter().step_by(4).collect();
    assert_eq!(firsts, [0, 1, 2, 3]);
}

/// A message as long as may be, all of one sample.
fn long(number: u64) -> Chunk {
    Chunk::Sound {
        number,
        pcm: vec![i16::try_from(number).unwrap(); MAX_CHUNK_BYTES / 2],
    }
}

#[tokio::test]
async fn what_has_no_room_behind_a_gap_is_heard_when_the_missing_message_comes_or_never_does() {
    for comes in [true, false] {
        let (_nats, bus) = platform().await;
        let id = Uuid::new_v4();
        // 9.6 MB: a third of it may wait.
        for number in 1..=30 {
            send_raw(&bus, id, &long(number), None).await;
        }
        let mut listener = AudioListener::new(&bus, id);
        while listener.next().await.unwrap() != Heard::CaughtUp {}
        if comes {
            send_raw(&bus, id, &long(0), None).await;
        }
        send_raw(&bus, id, &Chunk::End { count: 31 }, None).await;
        let heard = all(&mut listener).await;
        let firsts: Vec<i16> = heard.iter().step_by(MAX_CHUNK_BYTES / 2).copied().collect();
        let wanted: Vec<i16> = (i16::from(!comes)..=30).collect();
        assert_eq!(firsts, wanted, "it comes: {comes}");
    }
}

#[tokio::test]
async fn a_message_that_never_comes_does_not_hold_up_somebody_who_goes_on_speaking() {
    let (_nats, bus) = platform().await;
    let id = Uuid::new_v4();
    let mut listener = AudioListener::new(&bus, id);
    let began = std::time::Instant::now();
    let speaking = async {
        for number in 1..600 {
            send_raw(&bus, id, &sound(number), None).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let hearing = async {
        loop {
            if let Heard::Sound(pcm) = listener.next().await.unwrap() {
                break pcm;
            }
        }
    };
    tokio::select! {
        () = speaking => panic!("nothing is heard in a minute"),
        pcm = hearing => assert_eq!(pcm[..8], [1, 1, 1, 1, 2, 2, 2, 2]),
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}
