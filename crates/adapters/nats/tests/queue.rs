//! Work that is handed out, on a real server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{fs, path::Path, time::Duration};

use speakr_contract::{commands::RecordingStart, decode};
use speakr_nats::{
    Bus, BusConfig, BusError, Queue, Taken, dead_letters,
    streams::{self, StreamSettings},
};
use speakr_testkit::nats::Nats;

use crate::support::{commands, platform, send_cancel, send_start, take, work};

const LONG: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_command_comes_with_its_request_and_goes_when_done() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    let sent = send_start(&bus).await;
    let delivery = work(&queue).await;
    assert_eq!(delivery.request, sent);
    assert_eq!(delivery.attempt, 1);
    assert_eq!(delivery.deliveries, 1);
    let start: RecordingStart = decode(&delivery.payload).unwrap();
    assert_eq!(start, RecordingStart::default());
    assert_eq!(queue.depth().await.unwrap(), (0, 1));
    delivery.done().await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), (0, 0));
    assert!(take(&queue, NOW).await.is_none());
}

/// A server that is killed may have stored that a command was answered, and not that it went: here its files are those
/// of a moment before.
#[tokio::test]
async fn a_command_that_was_answered_and_stayed_in_its_stream_is_taken_out_and_no_other() {
    let (mut nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    send_start(&bus).await;
    send_start(&bus).await;
    nats.end();
    let messages = nats
        .store()
        .join("jetstream/$G/streams/SPEAKR_COMMANDS/msgs");
    let before = tempfile::tempdir().unwrap();
    replace_files(before.path(), &messages);

    nats.start_again().unwrap();
    connected(&bus).await;
    for _ in 0..2 {
        work(&queue).await.done().await.unwrap();
    }
    assert_eq!(commands_stored(&bus).await, 0);
    nats.end();
    replace_files(&messages, before.path());
    nats.start_again().unwrap();
    connected(&bus).await;
    assert_eq!(commands_stored(&bus).await, 2);
    assert_eq!(queue.depth().await.unwrap(), (0, 0));
    let waits = send_start(&bus).await;
    let worked_on = send_start(&bus).await;
    assert_eq!(commands_stored(&bus).await, 4);

    assert_eq!(queue.clear_answered().await.unwrap(), 2);
    assert_eq!(commands_stored(&bus).await, 2);
    let first = work(&queue).await;
    assert_eq!(first.request, waits);
    let second = work(&queue).await;
    assert_eq!(second.request, worked_on);
    second.done().await.unwrap();
    assert_eq!(queue.clear_answered().await.unwrap(), 0);
    first.done().await.unwrap();
    assert_eq!(commands_stored(&bus).await, 0);
}

/// Makes folder `to` hold the files of `from`, and no others.
fn replace_files(to: &Path, from: &Path) {
    fs::remove_dir_all(to).unwrap();
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

async fn connected(bus: &Bus) {
    while !bus.is_connected() || streams::levels(bus).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn commands_stored(bus: &Bus) -> u64 {
    let levels = streams::levels(bus).await.unwrap();
    let commands = levels
        .iter()
        .find(|level| level.stream == streams::COMMANDS);
    commands.unwrap().messages
}

#[tokio::test]
async fn a_command_that_is_sent_twice_comes_once() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    send_cancel(&bus, "the same").await;
    send_cancel(&bus, "the same").await;
    work(&queue).await.done().await.unwrap();
    assert!(take(&queue, NOW).await.is_none());
}

#[tokio::test]
async fn a_command_without_a_correlation_id_has_the_same_one_at_each_delivery() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    bus.jetstream()
        .publish("speakr.command.recording.start", "{}".into())
        .await
        .unwrap()
        .await
        .unwrap();
    let first = work(&queue).await;
    let request = first.request.clone();
    first.retry_after(Duration::ZERO).await.unwrap();
    assert_eq!(work(&queue).await.request, request);
}

#[tokio::test]
async fn work_that_goes_on_is_not_handed_out_again() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(Duration::from_secs(2), 5))
        .await
        .unwrap();
    send_start(&bus).await;
    let delivery = work(&queue).await;
    let going_on = delivery.in_progress();
    assert!(take(&queue, Duration::from_secs(5)).await.is_none());
    drop(going_on);
    // Whoever held it says nothing more: another has it.
    drop(delivery);
    let again = work(&queue).await;
    assert!(again.deliveries > 1);
    assert_eq!(again.attempt, 2);
}

#[tokio::test]
async fn a_message_that_ends_its_worker_each_time_is_put_aside_with_its_reason_and_can_be_sent_again()
 {
    let (_nats, bus) = platform().await;
    assert!(dead_letters::list(&bus, 10).await.unwrap().is_empty());
    let config = commands(Duration::from_secs(1), 3);
    let sent = send_start(&bus).await;
    for attempt in 1..=3 {
        // A worker that dies says nothing: no answer, no failure.
        let queue = Queue::open(&bus, config.clone()).await.unwrap();
        assert_eq!(work(&queue).await.attempt, attempt);
    }
    let queue = Queue::open(&bus, config).await.unwrap();
    let Some(Taken::Exhausted(delivery)) = take(&queue, Duration::from_secs(10)).await else {
        panic!("it was tried too often");
    };
    assert_eq!(delivery.request, sent);
    delivery.bury("it ended\nthe program").await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), (0, 0));

    let letters = dead_letters::list(&bus, 10).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!(letter.subject, "speakr.command.recording.start");
    assert_eq!(letter.reason, "it ended the program");
    assert_eq!(letter.attempts, 4);
    assert_eq!(letter.correlation_id, Some(sent.correlation_id));

    assert!(dead_letters::replay(&bus, letter.sequence).await.unwrap());
    let again = work(&queue).await;
    assert_eq!(again.request, sent);
    assert_eq!(again.attempt, 1, "it starts anew");
    again.done().await.unwrap();
    assert!(dead_letters::list(&bus, 10).await.unwrap().is_empty());
    assert!(!dead_letters::replay(&bus, letter.sequence).await.unwrap());
}

#[tokio::test]
async fn a_message_as_large_as_may_be_is_put_aside_without_what_it_says() {
    const LARGEST: usize = 64 * 1_024;
    let nats = Nats::start_with_max_payload(LARGEST).unwrap();
    let bus = Bus::connect(&BusConfig::new(&nats.url(), "test"))
        .await
        .unwrap();
    streams::ensure(&bus, &StreamSettings::default())
        .await
        .unwrap();
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    bus.jetstream()
        .publish("speakr.command.recording.start", vec![b'x'; LARGEST].into())
        .await
        .unwrap()
        .await
        .unwrap();
    let delivery = work(&queue).await;
    let correlation_id = delivery.request.correlation_id;
    delivery.bury(&"no\nuse ".repeat(500)).await.unwrap();
    assert_eq!(
        queue.depth().await.unwrap(),
        (0, 0),
        "it doesn't come again"
    );

    let letters = dead_letters::list(&bus, 10).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!(letter.bytes, LARGEST);
    assert_eq!(letter.subject, "speakr.command.recording.start");
    assert!(letter.reason.starts_with("no use no use"), "{letter:?}");
    assert_eq!(letter.correlation_id, Some(correlation_id));
    let refused = dead_letters::replay(&bus, letter.sequence).await;
    assert!(
        matches!(refused, Err(BusError::Emptied { bytes: LARGEST, .. })),
        "{refused:?}"
    );
    assert!(dead_letters::discard(&bus, letter.sequence).await.unwrap());
}

#[tokio::test]
async fn a_dead_letter_can_be_thrown_away() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    send_start(&bus).await;
    work(&queue).await.bury("no use").await.unwrap();
    let sequence = dead_letters::list(&bus, 10).await.unwrap()[0].sequence;
    assert!(dead_letters::discard(&bus, sequence).await.unwrap());
    assert!(!dead_letters::discard(&bus, sequence).await.unwrap());
    assert!(dead_letters::list(&bus, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_handed_back_comes_at_once_and_has_lost_no_attempt() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    send_start(&bus).await;
    for _ in 0..5 {
        let delivery = work(&queue).await;
        assert_eq!(delivery.attempt, 1);
        delivery.hand_back().await.unwrap();
    }
    let delivery = work(&queue).await;
    assert_eq!(delivery.attempt, 1);
    assert!(delivery.deliveries > 1);
}

#[tokio::test]
async fn what_failed_for_now_waits_as_long_as_it_was_told_to() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    send_start(&bus).await;
    let began = std::time::Instant::now();
    let delay = Duration::from_secs(3);
    work(&queue).await.retry_after(delay).await.unwrap();
    assert_eq!(work(&queue).await.attempt, 2);
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
}

#[tokio::test]
async fn two_replicas_share_the_work_and_none_is_done_twice() {
    let (_nats, bus) = platform().await;
    let one = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    let two = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    for n in 0..20 {
        send_cancel(&bus, &n.to_string()).await;
    }
    let drain = |queue: Queue| async move {
        let mut sequences = Vec::new();
        while let Some(Taken::Work(delivery)) = take(&queue, NOW).await {
            sequences.push(delivery.sequence);
            delivery.done().await.unwrap();
        }
        sequences
    };
    let (a, b) = tokio::join!(drain(one), drain(two));
    assert!(!a.is_empty() && !b.is_empty(), "{a:?} {b:?}");
    let mut all = [a, b].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_queue_that_is_lost_is_told_of_and_made_again() {
    let (_nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(LONG, 3)).await.unwrap();
    assert!(queue.is_there().await.unwrap());
    let deleted = bus.jetstream().delete_stream(streams::COMMANDS).await;
    deleted.unwrap();
    assert!(!queue.is_there().await.unwrap());
    assert!(!matches!(queue.next().await, Ok(Some(_))));
    streams::ensure(&bus, &StreamSettings::default())
        .await
        .unwrap();
    assert!(!queue.is_there().await.unwrap(), "its stream alone is");
    queue.make_again().await.unwrap();
    assert!(queue.is_there().await.unwrap());
    let sent = send_start(&bus).await;
    assert_eq!(work(&queue).await.request, sent);
}

#[tokio::test]
async fn commands_and_their_counts_survive_the_server() {
    let (mut nats, bus) = platform().await;
    let queue = Queue::open(&bus, commands(Duration::from_secs(5), 9))
        .await
        .unwrap();
    let sent = send_start(&bus).await;
    assert_eq!(work(&queue).await.attempt, 1);
    nats.kill();
    assert!(
        !matches!(queue.next().await, Ok(Some(_))),
        "no server, no work"
    );
    nats.start_again().unwrap();
    let began = std::time::Instant::now();
    let delivery = loop {
        match queue.next().await {
            Ok(Some(Taken::Work(delivery))) => break delivery,
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => assert!(began.elapsed() < LONG, "it comes again"),
        }
    };
    assert_eq!(delivery.request, sent);
    assert_eq!(delivery.attempt, 2);
    assert!(bus.is_connected());
}
