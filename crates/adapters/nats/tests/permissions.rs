//! The shipped server config on a real server: each user may do its work, and the rest is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{path::Path, time::Duration};

use futures::StreamExt;
use speakr_contract::{
    commands::{RecordingCancel, RecordingStart},
    control::Control,
    events::EmbeddingSucceeded,
    subjects,
};
use speakr_nats::{
    Bus, BusConfig, Identity, Queue, QueueConfig, Renewed, Taken,
    audio::{self, AudioListener, AudioSender, Heard},
    control::{self, Controls},
    dead_letters,
    streams::{self, StreamSettings},
};
use speakr_testkit::nats::Nats;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::support::{commands, request, take};

const USERS: [&str; 5] = ["transcriber", "embedder", "query_svc", "cli", "operator"];

/// A server from the shipped files, with passwords made for this test.
struct Shipped {
    nats: Nats,
    passwords: Vec<(String, String)>,
}

impl Shipped {
    fn start() -> Self {
        let passwords: Vec<_> = USERS
            .iter()
            .map(|user| ((*user).to_owned(), Uuid::new_v4().simple().to_string()))
            .collect();
        let environment = passwords
            .iter()
            .map(|(user, password)| {
                let name = format!("SPEAKR_NATS_{}_PASSWORD", user.to_uppercase());
                // In quotes: digits alone would be a number.
                (name, format!("\"{password}\""))
            })
            .collect();
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/nats/nats-server.conf");
        let nats = Nats::start_shipped(&file, environment).expect("the shipped config starts");
        Self { nats, passwords }
    }

    fn config(&self, user: &str) -> BusConfig {
        let password = &self.passwords.iter().find(|(u, _)| u == user).unwrap().1;
        let mut config = BusConfig::new(&self.nats.url(), user);
        config.identity = Identity::Password {
            user: user.to_owned(),
            password: Renewed::fixed(password.clone()),
        };
        config.inbox_prefix = Some(format!("_INBOX_{user}"));
        config
    }

    async fn bus(&self, user: &str) -> Bus {
        Bus::connect(&self.config(user)).await.unwrap()
    }

    /// A plain client whose refusals can be heard.
    async fn raw(&self, user: &str) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
        let password = &self.passwords.iter().find(|(u, _)| u == user).unwrap().1;
        let (tell, told) = mpsc::unbounded_channel();
        let client =
            async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.clone())
                .custom_inbox_prefix(format!("_INBOX_{user}"))
                .event_callback(move |event| {
                    let _ = tell.send(event.to_string());
                    async {}
                })
                .connect(self.nats.url())
                .await
                .unwrap();
        (client, told)
    }
}

#[tokio::test]
async fn each_user_can_do_its_work() {
    let shipped = Shipped::start();
    let transcriber = shipped.bus("transcriber").await;
    streams::ensure(&transcriber, &StreamSettings::default())
        .await
        .unwrap();
    streams::ensure(
        &transcriber,
        &StreamSettings {
            commands_max_bytes: 500_000,
            ..Default::default()
        },
    )
    .await
    .unwrap();

    // The CLI sends a command and sound, the transcriber works on them.
    let cli = shipped.bus("cli").await;
    let mut heard_by_cli = cli.client().subscribe("speakr.event.>").await.unwrap();
    cli.client().flush().await.unwrap();
    let sent = request();
    cli.publish(&RecordingStart::default(), &sent, "start")
        .await
        .unwrap();
    let id = Uuid::new_v4();
    let mut sender = AudioSender::new(&cli, id, sent.clone());
    sender.send(&[1; 1_600]).await.unwrap();
    sender.finish().await.unwrap();

    let queue = Queue::open(&transcriber, commands(Duration::from_secs(30), 3))
        .await
        .unwrap();
    let Some(Taken::Work(delivery)) = take(&queue, Duration::from_secs(20)).await else {
        panic!("work");
    };
    assert_eq!(delivery.request, sent);
    let mut listener = AudioListener::new(&transcriber, id);
    assert_eq!(listener.next().await.unwrap(), Heard::Sound(vec![1; 1_600]));
    audio::purge(&transcriber, id).await.unwrap();
    assert!(!audio::exists(&transcriber, id).await.unwrap());
    delivery.bury("a test").await.unwrap();
    assert_eq!(queue.clear_answered().await.unwrap(), 0);
    let mut controls = Controls::listen(&transcriber, id).await.unwrap();
    let (told, heard) = tokio::join!(
        control::relay(&transcriber, id, &Control::Cancel),
        controls.next()
    );
    assert!(told.unwrap());
    assert_eq!(heard, Some(Control::Cancel));
    let cancelled = speakr_contract::events::RecordingCancelled {
        event_id: id,
        recording_id: id,
    };
    transcriber
        .publish(&cancelled, &sent, "cancelled")
        .await
        .unwrap();
    assert_eq!(
        heard_by_cli.next().await.unwrap().subject.as_str(),
        "speakr.event.recording.cancelled"
    );

    // The embedder takes an event and tells of its own.
    let embedder = shipped.bus("embedder").await;
    let events = Queue::open(
        &embedder,
        QueueConfig {
            stream: streams::EVENTS,
            durable: "embedder",
            filter: "speakr.event.recording.cancelled".to_owned(),
            ack_wait: Duration::from_secs(30),
            max_attempts: 3,
            max_ack_pending: 10,
        },
    )
    .await
    .unwrap();
    let Some(Taken::Work(event)) = take(&events, Duration::from_secs(20)).await else {
        panic!("an event");
    };
    event.bury("a test").await.unwrap();
    let embedded = EmbeddingSucceeded {
        event_id: id,
        recording_id: id,
        passages: 1,
        model: "m".to_owned(),
    };
    embedder
        .publish(&embedded, &sent, "embedded")
        .await
        .unwrap();
    // What tells of a recording that was deleted meanwhile it takes out of the stream.
    let stream = embedder.jetstream().get_stream(streams::EVENTS).await;
    assert!(stream.unwrap().delete_message(2).await.unwrap());

    // query_svc sends commands too, and takes messages out of the streams.
    let query = shipped.bus("query_svc").await;
    query
        .publish(&RecordingCancel { recording_id: id }, &sent, "another")
        .await
        .unwrap();
    let stream = query.jetstream().get_stream(streams::EVENTS).await.unwrap();
    assert!(stream.get_raw_message(1).await.is_ok());
    assert!(stream.delete_message(1).await.unwrap());

    // The operator reads dead letters and sends them again.
    let operator = shipped.bus("operator").await;
    let letters = dead_letters::list(&operator, 10).await.unwrap();
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in letters {
        assert!(
            dead_letters::replay(&operator, letter.sequence)
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn what_a_user_has_no_need_of_is_refused() {
    let shipped = Shipped::start();
    let transcriber = shipped.bus("transcriber").await;
    streams::ensure(&transcriber, &StreamSettings::default())
        .await
        .unwrap();
    let refused: [(&str, &[&str]); 5] = [
        (
            "transcriber",
            &[
                "speakr.command.recording.start",
                "speakr.audio.x",
                "speakr.event.embedding.succeeded",
                "$JS.API.STREAM.DELETE.SPEAKR_COMMANDS",
                "$JS.API.STREAM.PURGE.SPEAKR_EVENTS",
                "$JS.API.STREAM.CREATE.OTHER",
                "$KV.SPEAKR_ATTEMPTS.SPEAKR_EVENTS.embedder.1",
                "_INBOX_cli.x",
            ],
        ),
        (
            "embedder",
            &[
                "speakr.command.transcription.run",
                "speakr.event.transcription.succeeded",
                "speakr.event.recording.cancelled",
                "speakr.control.x",
                "$JS.API.CONSUMER.MSG.NEXT.SPEAKR_COMMANDS.run",
                "$JS.API.STREAM.MSG.GET.SPEAKR_COMMANDS",
                "$JS.API.STREAM.PURGE.SPEAKR_AUDIO",
                "$JS.ACK.SPEAKR_COMMANDS.run.1.1.1.1.1",
            ],
        ),
        (
            "query_svc",
            &[
                "speakr.command.recording.start",
                "speakr.command.recording.stop",
                "speakr.audio.x",
                "speakr.event.transcription.succeeded",
                "speakr.event.recording.cancelled",
                "speakr.control.x",
                "$JS.API.STREAM.DELETE.SPEAKR_EVENTS",
                "$JS.API.STREAM.PURGE.SPEAKR_COMMANDS",
                "$JS.API.CONSUMER.MSG.NEXT.SPEAKR_COMMANDS.run",
            ],
        ),
        (
            "cli",
            &[
                "speakr.event.transcription.succeeded",
                "speakr.control.x",
                "speakr.dead_letter.x",
                "$JS.API.STREAM.INFO.SPEAKR_COMMANDS",
                "$JS.API.STREAM.DELETE.SPEAKR_COMMANDS",
                "$JS.API.STREAM.MSG.GET.SPEAKR_EVENTS",
                "$JS.API.CONSUMER.MSG.NEXT.SPEAKR_COMMANDS.run",
                "_INBOX_transcriber.x",
            ],
        ),
        (
            "operator",
            &[
                "speakr.audio.x",
                "speakr.control.x",
                "$JS.API.STREAM.CREATE.OTHER",
                "$JS.API.STREAM.UPDATE.SPEAKR_COMMANDS",
                "$JS.API.STREAM.PURGE.SPEAKR_COMMANDS",
                "$JS.API.STREAM.MSG.DELETE.SPEAKR_COMMANDS",
                "$JS.API.CONSUMER.CREATE.SPEAKR_COMMANDS.mine.x",
                "$JS.API.CONSUMER.DELETE.SPEAKR_COMMANDS.run",
                "$JS.API.CONSUMER.MSG.NEXT.SPEAKR_COMMANDS.run",
                "$JS.ACK.SPEAKR_COMMANDS.run.1.1.1.1.1",
                "$KV.SPEAKR_RECORDINGS.x",
                "_INBOX_cli.x",
            ],
        ),
    ];
    for (user, subjects) in refused {
        let (client, mut told) = shipped.raw(user).await;
        for subject in subjects {
            client
                .publish((*subject).to_owned(), "{}".into())
                .await
                .unwrap();
            client.flush().await.unwrap();
            assert_refusal(&mut told, &format!("{user} publishes to {subject}")).await;
        }
    }
    for (user, heard) in [
        (
            "transcriber",
            &["speakr.command.>", "_INBOX_cli.>", "_INBOX.>", ">"][..],
        ),
        (
            "embedder",
            &[
                "speakr.event.>",
                "speakr.audio.*",
                "_INBOX_transcriber.>",
                ">",
            ],
        ),
        (
            "query_svc",
            &["speakr.audio.*", "speakr.control.*", "_INBOX_cli.>", ">"],
        ),
        (
            "cli",
            &[
                subjects::COMMANDS,
                subjects::AUDIO,
                "_INBOX_query_svc.>",
                "$JS.>",
                ">",
            ],
        ),
    ] {
        let (client, mut told) = shipped.raw(user).await;
        for subject in heard {
            let _subscriber = client.subscribe((*subject).to_owned()).await.unwrap();
            client.flush().await.unwrap();
            assert_refusal(&mut told, &format!("{user} subscribes to {subject}")).await;
        }
    }
}

async fn assert_refusal(told: &mut mpsc::UnboundedReceiver<String>, what: &str) {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), told.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("{what}: nobody refused it"));
        if event
            .unwrap()
            .to_lowercase()
            .contains("permissions violation")
        {
            return;
        }
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_name_or_with_a_wrong_password() {
    let shipped = Shipped::start();
    let anonymous = BusConfig::new(&shipped.nats.url(), "x");
    assert!(Bus::connect(&anonymous).await.is_err());
    let mut wrong = shipped.config("cli");
    wrong.identity = Identity::Password {
        user: "cli".to_owned(),
        password: Renewed::fixed("guess"),
    };
    let error = Bus::connect(&wrong).await.unwrap_err();
    assert!(!format!("{error:?}").contains("guess"));
}

#[test]
fn the_shipped_server_writes_each_message_to_the_disk_and_takes_eight_megabytes() {
    let shipped = Shipped::start();
    let said = shipped.nats.monitored("/varz").unwrap();
    let said: serde_json::Value =
        serde_json::from_str(said.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(said["max_payload"], 8 * 1024 * 1024);
    assert_eq!(said["jetstream"]["config"]["sync_always"], true, "{said}");
}
