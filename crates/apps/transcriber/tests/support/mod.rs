//! A server, the real program, and a client of it.

#![allow(dead_code, reason = "no test uses all of it")]

use std::{
    collections::{HashMap, HashSet},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use async_nats::Subscriber;
use futures::StreamExt;
use serde_json::Value;
use speakr_contract::{
    AudioData, Message, catalogue,
    commands::{RecordingStop, TranscriptionRun},
    headers, ids,
};
use speakr_core::{
    Transcript,
    ports::archive::{Archive, ArchiveError},
};
use speakr_nats::{Bus, BusConfig, Request, audio::AudioSender};
use speakr_s3::{Credentials, S3Archive, S3Config};
use speakr_testkit::{nats::Nats, process::free_port, s3::S3, service::ServiceProcess};
use uuid::Uuid;

/// Loading a model and decoding on a busy machine take their time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// After so much silence it is looked whether something was said that wasn't heard.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// The platform: a bus and a store, both real, and transcribers on them.
pub struct Platform {
    pub nats: Nats,
    /// The other servers of the bus, where it is a cluster.
    pub others: Vec<Nats>,
    pub bus: Bus,
    pub s3: S3,
    pub archive: S3Archive,
    folder: tempfile::TempDir,
    events: Subscriber,
    heard: Vec<(Uuid, String, Value)>,
    /// The names of all events that were heard.
    names: HashSet<String>,
    /// How far the stream of events was read.
    read_to: u64,
}

/// One replica; killed when dropped.
pub struct Replica(ServiceProcess);

impl Deref for Replica {
    type Target = ServiceProcess;

    fn deref(&self) -> &ServiceProcess {
        &self.0
    }
}

impl DerefMut for Replica {
    fn deref_mut(&mut self) -> &mut ServiceProcess {
        &mut self.0
    }
}

impl Replica {
    /// Asks it to end, and waits until it has.
    pub fn ask_to_end(&mut self) -> ExitStatus {
        self.end(PATIENCE).expect("it ends")
    }

    /// What it has logged about `recording`: the messages.
    pub fn logged(&self, recording: Uuid) -> Vec<String> {
        self.log()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["recording_id"] == recording.to_string())
            .map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

impl Platform {
    pub async fn start() -> Self {
        Self::start_on(Nats::start().expect("a server")).await
    }

    pub async fn start_on(nats: Nats) -> Self {
        let config = BusConfig::new(&nats.url(), "client");
        Self::start_as(nats, config).await
    }

    /// The same on a cluster of three.
    pub async fn start_on_cluster() -> Self {
        let mut servers = Nats::start_cluster(3).expect("a cluster");
        let nats = servers.remove(0);
        let urls: Vec<_> = [&nats].into_iter().chain(&servers).map(Nats::url).collect();
        let config = BusConfig::new(&urls.join(","), "client");
        Self {
            others: servers,
            ..Self::start_as(nats, config).await
        }
    }

    /// Where the bus is.
    pub fn url(&self) -> String {
        let all = [&self.nats].into_iter().chain(&self.others);
        all.map(Nats::url).collect::<Vec<_>>().join(",")
    }

    pub async fn start_as(nats: Nats, config: BusConfig) -> Self {
        let bus = Bus::connect(&config).await.expect("a connection");
        let events = bus.client().subscribe("speakr.event.>").await.unwrap();
        bus.client().flush().await.unwrap();
        let s3 = S3::start().expect("a store");
        let archive = S3Archive::open(&S3Config {
            endpoint: Some(s3.endpoint()),
            region: Some(S3::REGION.to_owned()),
            path_style: true,
            credentials: Some(Credentials::fixed(s3.access_key(), s3.secret_key())),
            ..S3Config::new(S3::BUCKET)
        })
        .await;
        Self {
            nats,
            others: Vec::new(),
            bus,
            s3,
            archive,
            folder: tempfile::tempdir().unwrap(),
            events,
            heard: Vec::new(),
            names: HashSet::new(),
            read_to: 0,
        }
    }

    /// Starts a replica and waits until it is ready.
    pub async fn replica(&self, settings: &[(&str, &str)]) -> Replica {
        let mut replica = self.replica_that_starts(settings);
        if let Err(error) = replica.wait_until_ready(PATIENCE) {
            panic!("{error}");
        }
        replica
    }

    /// Starts a replica.
    pub fn replica_that_starts(&self, settings: &[(&str, &str)]) -> Replica {
        let port = free_port().unwrap();
        let log = self.folder.path().join(format!("replica-{port}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_speakr-transcriber"));
        command
            .env("NATS_URL", self.url())
            .env("S3_BUCKET", S3::BUCKET)
            .env("S3_ENDPOINT", self.s3.endpoint())
            .env("S3_REGION", S3::REGION)
            .env("S3_PATH_STYLE", "1")
            .env("S3_ACCESS_KEY_ID", self.s3.access_key())
            .env("S3_SECRET_ACCESS_KEY", self.s3.secret_key())
            .env("SPEAKR_MODELS_DIR", self.folder.path().join("models"))
            .env("SPEAKR_ACK_WAIT", "3s")
            .env("SPEAKR_CLIENT_PATIENCE", "20s")
            .env("SPEAKR_SWEEP_EVERY", "1s")
            .env("SPEAKR_DECODERS", "1")
            .envs(settings.iter().copied());
        Replica(
            ServiceProcess::start("speakr-transcriber", &mut command, log, port)
                .expect("the program starts"),
        )
    }

    /// Sends a command as a client does.
    pub async fn send<M: Message>(&self, command: &M, request: &Request) {
        let message_id = Uuid::new_v4().to_string();
        self.bus
            .publish(command, request, &message_id)
            .await
            .expect("it is stored");
    }

    /// The same, as often as it takes.
    pub async fn send_until_stored<M: Message>(&self, command: &M, request: &Request) {
        let message_id = Uuid::new_v4().to_string();
        let began = Instant::now();
        while let Err(error) = self.bus.publish(command, request, &message_id).await {
            assert!(began.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
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
            if began.elapsed() > PATIENCE {
                let heard: Vec<_> = self.heard.iter().map(|(_, s, _)| s).collect();
                panic!("no {} came; heard: {heard:?}", M::SUBJECT);
            }
            match tokio::time::timeout(LOOK_AFTER, self.events.next()).await {
                Ok(message) => {
                    let message = message.expect("a subscription");
                    let headers = message.headers.unwrap_or_default();
                    let event = Self::check(message.subject.as_str(), &headers, &message.payload);
                    self.hear(message.subject.to_string(), event);
                }
                Err(_) => self.look_in_stream().await,
            }
        }
    }

    /// Hears what was said while the client had no connection: it is stored, and isn't said again.
    async fn look_in_stream(&mut self) {
        // The server may be away.
        let Ok(stream) = self.bus.jetstream().get_stream("SPEAKR_EVENTS").await else {
            return;
        };
        while self.read_to < stream.cached_info().state.last_sequence {
            let Ok(message) = stream.get_raw_message(self.read_to + 1).await else {
                return;
            };
            self.read_to += 1;
            let event = Self::check(&message.subject, &message.headers, &message.payload);
            if !self.names.contains(event["event_id"].as_str().unwrap()) {
                self.hear(message.subject.to_string(), event);
            }
        }
    }

    fn check(subject: &str, headers: &async_nats::HeaderMap, payload: &[u8]) -> Value {
        let event: Value = serde_json::from_slice(payload).unwrap();
        assert_conforms(subject, Some(headers), &event);
        event
    }

    fn hear(&mut self, subject: String, event: Value) {
        // Only what is stored bears a name.
        if let Some(name) = event["event_id"].as_str() {
            self.names.insert(name.to_owned());
        }
        let id = event["recording_id"].as_str().unwrap().parse().unwrap();
        self.heard.push((id, subject, event));
    }

    /// How often each kind of event of `recording` is in the stream, without `speakr.event.`. All
    /// of them bear the request's name.
    pub async fn stored(&self, recording: Uuid) -> HashMap<String, usize> {
        let stream = self.bus.jetstream().get_stream("SPEAKR_EVENTS").await;
        let stream = stream.unwrap();
        let mut counts = HashMap::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            assert_conforms(&message.subject, Some(&message.headers), &event);
            if event["recording_id"] == recording.to_string() {
                let kind = message.subject.strip_prefix("speakr.event.").unwrap();
                *counts.entry(kind.to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// Messages in a stream.
    pub async fn messages_in(&self, stream: &str) -> u64 {
        let stream = self.bus.jetstream().get_stream(stream).await.unwrap();
        stream.cached_info().state.messages
    }

    /// Waits until no command waits, none is worked on, and no sound is left.
    pub async fn wait_until_all_is_answered(&self) {
        for stream in ["SPEAKR_COMMANDS", "SPEAKR_AUDIO"] {
            let began = Instant::now();
            while self.messages_in(stream).await > 0 {
                assert!(began.elapsed() < PATIENCE, "messages are left in {stream}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// What the store has of a recording's text; `None` when there is nothing of the recording.
    pub async fn kept(&self, recording: Uuid) -> Option<Option<Transcript>> {
        match self.archive.transcript(recording.into()).await {
            Ok(transcript) => Some(transcript),
            Err(ArchiveError::NotFound(_) | ArchiveError::Deleted(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// An event is what its schema says and what its type says, no more and no less, and bears the
/// names of its request and, where it is stored, its own.
fn assert_conforms(subject: &str, headers: Option<&async_nats::HeaderMap>, event: &Value) {
    let entry =
        catalogue::find(subject).unwrap_or_else(|| panic!("{subject} isn't in the contract"));
    let schema = jsonschema::validator_for(&entry.schema).expect("a schema");
    let errors: Vec<_> = schema.iter_errors(event).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{subject}: {errors:?}");
    let read = (entry.reread)(event.to_string().as_bytes());
    assert_eq!(read.as_ref(), Ok(event), "{subject}");
    let header = |name| headers.and_then(|h| h.get(name)).map(|v| v.as_str());
    let correlation = header(headers::CORRELATION_ID).expect("a correlation id");
    assert!(Uuid::parse_str(correlation).is_ok(), "{correlation}");
    if subject != "speakr.event.transcription.partial" {
        assert_eq!(header(headers::MESSAGE_ID), event["event_id"].as_str());
    }
}

/// The request of one client.
pub fn request() -> Request {
    Request::new(Uuid::new_v4())
}

/// A stop.
pub fn stop(recording_id: Uuid, transcribe_on_stop: bool) -> RecordingStop {
    RecordingStop {
        recording_id,
        transcribe_on_stop,
        metadata: serde_json::Map::new(),
    }
}

/// A run of the file with these bytes.
pub fn run_of(file: Vec<u8>) -> TranscriptionRun {
    TranscriptionRun {
        audio_data: Some(AudioData(file)),
        ..TranscriptionRun::default()
    }
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

/// A WAV file of the clip, so many times over.
pub fn long_file(times: usize) -> Vec<u8> {
    let one = samples();
    let bytes: Vec<u8> = one.iter().flat_map(|s| s.to_le_bytes()).collect();
    let length = u32::try_from(bytes.len() * times).unwrap();
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(16_000_u32.to_le_bytes());
    file.extend(32_000_u32.to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(bytes.repeat(times));
    file
}

/// Whether `text` is what is said in the clip.
pub fn is_the_speech(text: &str) -> bool {
    let text = text.to_lowercase();
    ["fellow americans", "ask not", "for you", "for your country"]
        .iter()
        .all(|words| text.contains(words))
}
