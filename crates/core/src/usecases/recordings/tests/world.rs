//! A platform in memory, with a clock that jumps over what nobody waits for.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    super::*,
    microphones::{Playing, Room, Tape},
};
use crate::{
    Segment, Transcript,
    ports::{
        platform::{
            AnnounceError, HearError, Heard, Intent, Nudge, Nudges, PartialText, Rest,
            SoundListener, Stop, Waiting,
        },
        sound::{SoundError, SoundInput, SoundSource},
        speech::{Decoded, SpeechEngine, SpeechError, SpeechModel},
        voice_activity::{VoiceActivityDetector, VoiceActivityError},
    },
};

/// What was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Started,
    Finished(Option<u64>),
    Cancelled,
    Succeeded(String, Vec<String>),
    Failed(String),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) recording: Option<Recording>,
    pub(super) pcm: Vec<i16>,
    pub(super) compacted: bool,
    pub(super) transcript: Option<Transcript>,
}

/// All that replicas share.
#[derive(Default)]
pub(super) struct World {
    pub(super) kept: Mutex<HashMap<RecordingId, Kept>>,
    pub(super) deleted: Mutex<HashSet<RecordingId>>,
    pub(super) sent: Mutex<HashMap<RecordingId, Vec<Heard>>>,
    pub(super) intents: Mutex<HashMap<RecordingId, Intent>>,
    pub(super) held: Mutex<HashMap<RecordingId, Arc<Notify>>>,
    pub(super) told: Mutex<Vec<Told>>,
    pub(super) partials: Mutex<Vec<String>>,
    pub(super) bus_is_away: AtomicBool,
    /// It refuses what clients send.
    pub(super) bus_is_full: AtomicBool,
    pub(super) store_is_away: AtomicBool,
    pub(super) another_writes: AtomicBool,
    /// How long the store takes for each piece.
    pub(super) store_takes: Mutex<Duration>,
    /// What a microphone of a replica has given so far.
    pub(super) spoken: Mutex<Vec<i16>>,
    pub(super) microphone_is_open: AtomicBool,
    pub(super) vanished: Mutex<usize>,
}

impl World {
    pub(super) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(super) fn kept(&self, id: RecordingId) -> Kept {
        self.kept.lock().unwrap().get(&id).cloned().unwrap()
    }

    pub(super) fn state(&self, id: RecordingId) -> RecordingState {
        self.kept(id).recording.unwrap().state
    }

    /// A client sends.
    pub(super) fn send(&self, id: RecordingId, heard: impl IntoIterator<Item = Heard>) {
        self.sent
            .lock()
            .unwrap()
            .entry(id)
            .or_default()
            .extend(heard);
    }

    fn bus(&self) -> Result<(), BusFailure> {
        if self.bus_is_away.load(Ordering::SeqCst) {
            return Err(BusFailure("away".into()));
        }
        Ok(())
    }

    pub(super) fn store(&self) -> Result<(), ArchiveError> {
        if self.another_writes.load(Ordering::SeqCst) {
            return Err(ArchiveError::Taken {
                place: "the store".to_owned(),
            });
        }
        if self.store_is_away.load(Ordering::SeqCst) {
            return Err(ArchiveError::Io {
                action: "write",
                place: "the store".to_owned(),
                cause: "away".into(),
            });
        }
        Ok(())
    }
}

/// A replica that is asked to end by `stop`.
pub(super) struct Replica {
    pub(super) recordings: Arc<Recordings>,
    pub(super) stop: CancellationToken,
    pub(super) stop_now: CancellationToken,
}

pub(super) fn replica(world: &Arc<World>) -> Replica {
    replica_with(world, None)
}

/// A replica whose microphone gives `host`.
pub(super) fn replica_with(world: &Arc<World>, host: Option<Vec<i16>>) -> Replica {
    replica_of(world, host.map(|pcm| Arc::new(Tape(pcm)) as _))
}

/// A replica that somebody speaks to, as long as its microphone is open.
pub(super) fn replica_that_hears(world: &Arc<World>) -> Replica {
    replica_of(world, Some(Arc::new(Room(Arc::clone(world)))))
}

fn replica_of(world: &Arc<World>, host: Option<Arc<dyn Microphone>>) -> Replica {
    let (stop, stop_now) = (CancellationToken::new(), CancellationToken::new());
    let shared = Arc::new(Shared(Arc::clone(world)));
    let recordings = Recordings::new(Parts {
        archive: shared.clone(),
        transcriber: Transcriber::new(
            Arc::new(CountingEngine(SpeechModel {
                id: "counting".to_owned(),
                multilingual: false,
            })),
            Box::new(|| Ok(Box::new(Loud::default()))),
        ),
        model: "counting".to_owned(),
        sent: shared.clone(),
        intents: shared.clone(),
        holders: shared.clone(),
        decoder: shared,
        host: host.map(|microphone| Host {
            microphone,
            device: Device::Default,
        }),
        clock: Arc::new(TestClock(Instant::now())),
        meter: Arc::new(Counts(Arc::clone(world))),
        client_patience: Duration::from_secs(60),
        stop: stop.clone(),
        stop_now: stop_now.clone(),
    });
    Replica {
        recordings: Arc::new(recordings),
        stop,
        stop_now,
    }
}

pub(super) fn asked(world: &Arc<World>) -> Asked {
    Asked {
        correlation_id: CorrelationId::random(),
        at: Timestamp::now(),
        announcer: Arc::new(Shared(Arc::clone(world))),
    }
}

/// Sound of so many seconds that somebody speaks in.
pub(super) fn speech(seconds: usize) -> Vec<i16> {
    vec![1_000; seconds * 16_000]
}

/// The text that the engine makes of it.
pub(super) fn text_of(seconds: usize) -> String {
    format!("{seconds}s")
}

/// Says how many whole seconds of loud sound it was given.
struct CountingEngine(SpeechModel);

#[async_trait]
impl SpeechEngine for CountingEngine {
    fn model(&self) -> &SpeechModel {
        &self.0
    }

    fn accepts(&self, options: &DecodeOptions) -> Result<(), SpeechError> {
        match &options.language {
            Some(language) if language.as_str() != "en" => Err(SpeechError::UnknownLanguage {
                model: self.0.id.clone(),
                language: language.clone(),
            }),
            _ => Ok(()),
        }
    }

    async fn decode(
        &self,
        pcm: Vec<i16>,
        _: &DecodeOptions,
        cancel: &CancellationToken,
    ) -> Result<Decoded, SpeechError> {
        let loud = pcm.iter().filter(|s| **s != 0).count() as u64;
        tokio::select! {
            () = cancel.cancelled() => return Err(SpeechError::Cancelled),
            () = tokio::time::sleep(Duration::from_millis(loud / 160)) => {}
        }
        Ok(Decoded {
            segments: vec![Segment {
                start_ms: 0,
                end_ms: loud / 16,
                text: format!("{}s", loud / 16_000),
                words: None,
            }],
            ..Decoded::default()
        })
    }
}

/// Hears speech where the samples are loud.
#[derive(Default)]
struct Loud(Vec<i16>);

impl VoiceActivityDetector for Loud {
    fn frame_len(&self) -> usize {
        512
    }

    fn push(&mut self, pcm: &[i16]) -> Result<Vec<f32>, VoiceActivityError> {
        self.0.extend(pcm);
        let whole = self.0.len() / 512 * 512;
        let frames: Vec<i16> = self.0.drain(..whole).collect();
        let probability = |f: &[i16]| if f[0] == 0 { 0.02 } else { 0.95 };
        Ok(frames.chunks(512).map(probability).collect())
    }
}

struct TestClock(Instant);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct Counts(Arc<World>);

impl Meter for Counts {
    fn decoded(&self, _: Option<Duration>, _: u64) {}
    fn decode_failed(&self) {}
    fn client_vanished(&self) {
        *self.0.vanished.lock().unwrap() += 1;
    }
}

/// The world as each port sees it.
pub(super) struct Shared(pub(super) Arc<World>);

struct Listening(Arc<World>, RecordingId, usize, Instant);

#[async_trait]
impl SoundListener for Listening {
    async fn next(&mut self) -> Result<Heard, HearError> {
        let came = {
            let sent = self.0.sent.lock().unwrap();
            sent.get(&self.1).and_then(|s| s.get(self.2)).cloned()
        };
        if let Some(heard) = came {
            self.0.bus()?;
            self.2 += 1;
            self.3 = Instant::now();
            return Ok(heard);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.bus()?;
        Ok(Heard::Silence(self.3.elapsed()))
    }

    fn give_up_on_gaps(&mut self) -> Rest {
        Rest::default()
    }
}

#[async_trait]
impl SentSound for Shared {
    fn listen(&self, id: RecordingId) -> Box<dyn SoundListener> {
        Box::new(Listening(Arc::clone(&self.0), id, 0, Instant::now()))
    }

    async fn purge(&self, id: RecordingId) -> Result<(), BusFailure> {
        self.0.bus()?;
        self.0.sent.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, BusFailure> {
        self.0.bus()?;
        let sent = self.0.sent.lock().unwrap();
        Ok(sent
            .keys()
            .map(|id| Waiting {
                id: *id,
                last_at: Timestamp::now(),
            })
            .collect())
    }

    async fn is_full(&self) -> Result<bool, BusFailure> {
        self.0.bus()?;
        Ok(self.0.bus_is_full.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Intents for Shared {
    async fn get(&self, id: RecordingId) -> Result<Intent, BusFailure> {
        self.0.bus()?;
        let intents = self.0.intents.lock().unwrap();
        Ok(intents.get(&id).cloned().unwrap_or_default())
    }

    async fn stop(&self, id: RecordingId, stop: Stop) -> Result<(), BusFailure> {
        self.0.bus()?;
        let mut intents = self.0.intents.lock().unwrap();
        intents.entry(id).or_default().stop.get_or_insert(stop);
        Ok(())
    }

    async fn cancel(&self, id: RecordingId) -> Result<(), BusFailure> {
        self.0.bus()?;
        let mut intents = self.0.intents.lock().unwrap();
        intents.entry(id).or_default().cancelled = true;
        Ok(())
    }
}

struct Hearing(Arc<World>, RecordingId, Arc<Notify>);

#[async_trait]
impl Nudges for Hearing {
    async fn next(&mut self) {
        self.2.notified().await;
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.held.lock().unwrap().remove(&self.1);
    }
}

#[async_trait]
impl Holders for Shared {
    async fn hold(&self, id: RecordingId) -> Result<Box<dyn Nudges>, BusFailure> {
        let notify = Arc::new(Notify::new());
        let mut held = self.0.held.lock().unwrap();
        held.insert(id, Arc::clone(&notify));
        Ok(Box::new(Hearing(Arc::clone(&self.0), id, notify)))
    }

    async fn nudge(&self, id: RecordingId, _: Nudge) -> Result<bool, BusFailure> {
        let held = self.0.held.lock().unwrap();
        Ok(held.get(&id).map(|n| n.notify_one()).is_some())
    }
}

#[async_trait]
impl SoundDecoder for Shared {
    async fn duration_ms(&self, _: &SoundInput) -> Result<Option<u64>, SoundError> {
        Ok(None)
    }

    /// A file called `sound-N` has so many seconds of speech.
    async fn open(&self, input: &SoundInput) -> Result<Box<dyn SoundSource>, SoundError> {
        let SoundInput::File(path) = input else {
            panic!("a file is opened");
        };
        let name = path.display().to_string();
        match name.strip_prefix("sound-").and_then(|n| n.parse().ok()) {
            Some(seconds) => Ok(Box::new(Playing(speech(seconds)))),
            None => Err(SoundError::NotSound {
                input: name,
                reason: "it has none".to_owned(),
            }),
        }
    }
}

#[async_trait]
impl Announcer for Shared {
    async fn started(&self, _: &Recording) -> Result<(), BusFailure> {
        self.0.bus()?;
        self.0.told.lock().unwrap().push(Told::Started);
        Ok(())
    }

    async fn finished(&self, recording: &Recording) -> Result<(), BusFailure> {
        self.0.bus()?;
        let told = Told::Finished(recording.duration_ms);
        self.0.told.lock().unwrap().push(told);
        Ok(())
    }

    async fn cancelled(&self, _: RecordingId) -> Result<(), BusFailure> {
        self.0.told.lock().unwrap().push(Told::Cancelled);
        Ok(())
    }

    async fn partial(&self, _: RecordingId, partial: PartialText) -> Result<(), BusFailure> {
        self.0.partials.lock().unwrap().push(partial.text);
        Ok(())
    }

    async fn succeeded(&self, transcript: &Transcript) -> Result<(), AnnounceError> {
        self.0.bus()?;
        let told = Told::Succeeded(transcript.text.clone(), transcript.tags.clone().into());
        self.0.told.lock().unwrap().push(told);
        Ok(())
    }

    async fn failed(
        &self,
        _: u64,
        _: RecordingId,
        _: Option<&Recording>,
        error: &str,
        _: Option<FailureKind>,
    ) -> Result<(), BusFailure> {
        let told = Told::Failed(error.to_owned());
        self.0.told.lock().unwrap().push(told);
        Ok(())
    }
}
