//! A server, the real program, and a client of it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_nats::Subscriber;
use futures::StreamExt;
use serde_json::Value;
use speakr_contract::{Message, catalogue, ids};
use speakr_nats::{Bus, BusConfig, Request, audio::AudioSender};
use speakr_testkit::{nats::Nats, process::free_port};
use uuid::Uuid;

/// Loading a model and decoding on a busy machine take their time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The platform: a server, and transcribers on one store.
pub struct Platform {
    pub nats: Nats,
    pub bus: Bus,
    pub store: tempfile::TempDir,
    events: Subscriber,
    heard: Vec<(Uuid, String, Value)>,
}

/// One replica; killed when dropped.
pub struct Replica {
    child: Child,
    log: PathBuf,
}

impl Replica {
    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and waits until it has.
    pub fn ask_to_end(&mut self) -> std::process::ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it can be asked");
        self.child.wait().expect("it ends")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

impl Platform {
    pub async fn start() -> Self {
        let nats = Nats::start().expect("a server");
        let bus = Bus::connect(&BusConfig::new(&nats.url(), "client"))
            .await
            .expect("a connection");
        let events = bus.client().subscribe("speakr.event.>").await.unwrap();
        bus.client().flush().await.unwrap();
        Self {
            nats,
            bus,
            store: tempfile::tempdir().unwrap(),
            events,
            heard: Vec::new(),
        }
    }

    /// Starts a replica and waits until it is ready.
    pub async fn replica(&self, settings: &[(&str, &str)]) -> Replica {
        let port = free_port().unwrap();
        let log = self.store.path().join(format!("replica-{port}.log"));
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_speakr-transcriber"))
            .env("NATS_URL", self.nats.url())
            .env("SPEAKR_STORE_DIR", self.store.path().join("store"))
            .env("SPEAKR_MODELS_DIR", self.store.path().join("models"))
            .env("SPEAKR_HEALTH_ADDR", format!("127.0.0.1:{port}"))
            .env("SPEAKR_ACK_WAIT", "3s")
            .env("SPEAKR_CLIENT_PATIENCE", "20s")
            .env("SPEAKR_DECODERS", "1")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("the program starts");
        let mut replica = Replica { child, log };
        let began = Instant::now();
        while !is_ready(port) {
            assert!(began.elapsed() < PATIENCE, "{}", replica.log());
            let ended = replica.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", replica.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        replica
    }

    /// Sends a command as a client does.
    pub async fn send<M: Message>(&self, command: &M, request: &Request) {
        let message_id = Uuid::new_v4().to_string();
        self.bus
            .publish(command, request, &message_id)
            .await
            .expect("it is stored");
    }

    /// Sends the sound of a recording and its end mark.
    pub async fn send_sound(&self, request: &Request, pcm: &[i16]) {
        let id = ids::recording_id(request.correlation_id);
        let mut sender = AudioSender::new(&self.bus, id, request.clone());
        sender.send(pcm).await.unwrap();
        sender.finish().await.unwrap();
    }

    /// The next event `M` of `recording`. Every event that comes is held against the contract.
    pub async fn wait_for<M: Message>(&mut self, recording: Uuid) -> M {
        let began = Instant::now();
        loop {
            let place = self
                .heard
                .iter()
                .position(|(id, subject, _)| *id == recording && subject == M::SUBJECT);
            if let Some(place) = place {
                let (_, _, event) = self.heard.remove(place);
                return speakr_contract::decode(event.to_string().as_bytes()).unwrap();
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok(Some(message)) = tokio::time::timeout(left, self.events.next()).await else {
                let heard: Vec<_> = self.heard.iter().map(|(_, s, _)| s).collect();
                panic!("no {} came; heard: {heard:?}", M::SUBJECT);
            };
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            assert_conforms(message.subject.as_str(), &event);
            let id = event["recording_id"].as_str().unwrap().parse().unwrap();
            self.heard.push((id, message.subject.to_string(), event));
        }
    }

    /// How often each kind of event of `recording` is in the stream.
    pub async fn stored(&self, recording: Uuid) -> HashMap<String, usize> {
        let stream = self
            .bus
            .jetstream()
            .get_stream("SPEAKR_EVENTS")
            .await
            .unwrap();
        let mut counts = HashMap::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            if event["recording_id"] == recording.to_string() {
                *counts.entry(message.subject.to_string()).or_default() += 1;
            }
        }
        counts
    }

    /// Messages in a stream.
    pub async fn messages_in(&self, stream: &str) -> u64 {
        let stream = self.bus.jetstream().get_stream(stream).await.unwrap();
        stream.cached_info().state.messages
    }

    /// Waits until no command waits and none is worked on.
    pub async fn wait_until_all_is_answered(&self) {
        let began = Instant::now();
        while self.messages_in("SPEAKR_COMMANDS").await > 0 {
            assert!(began.elapsed() < PATIENCE, "commands are left");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The folder of a recording in the store.
    pub fn kept(&self, recording: Uuid) -> PathBuf {
        self.store
            .path()
            .join("store/recordings")
            .join(recording.to_string())
    }
}

/// An event says what its type says, no more and no less; the contract's own tests hold the types
/// to the schemas.
fn assert_conforms(subject: &str, event: &Value) {
    let entry =
        catalogue::find(subject).unwrap_or_else(|| panic!("{subject} isn't in the contract"));
    let read = (entry.reread)(event.to_string().as_bytes());
    assert_eq!(read.as_ref(), Ok(event), "{subject}");
}

fn is_ready(port: u16) -> bool {
    use std::io::{Read, Write};
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The request of one client.
pub fn request() -> Request {
    Request::new(Uuid::new_v4())
}

/// A clip of the bundled speech: eleven seconds of John F. Kennedy.
pub fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../assets/speech/jfk.wav")
}

/// Its samples.
pub fn samples() -> Vec<i16> {
    let bytes = std::fs::read(clip()).unwrap();
    let data = bytes.windows(4).position(|w| w == b"data").unwrap() + 8;
    bytes[data..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// Whether `text` is what is said in the clip.
pub fn is_the_speech(text: &str) -> bool {
    let text = text.to_lowercase();
    ["fellow americans", "ask not", "for you", "for your country"]
        .iter()
        .all(|words| text.contains(words))
}
