//! People who use the platform without a pause: they speak, or send files, and look for what they said.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use speakr_contract::{
    AudioData, Message,
    commands::{RecordingStart, RecordingStop, TranscriptionRun},
    ids,
};
use speakr_nats::{Bus, Request};
use uuid::Uuid;

use super::ledger::{Ledger, Phase};

/// How long one recording may take from its first command until it is found, however often it is
/// interrupted.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long one attempt to send something may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The pause after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// How much sound is spoken at once.
const PIECE: Duration = Duration::from_millis(250);

/// How much faster than a person they speak.
const HASTE: u32 = 5;

/// A clip and a word that its text has.
#[derive(Debug, Clone)]
pub struct Clip {
    /// The file.
    pub file: Vec<u8>,
    /// Its sound, 16 kHz mono.
    pub samples: Vec<i16>,
    /// A word that is heard in it, in small letters.
    pub word: &'static str,
}

/// One of them.
pub struct Speaker {
    /// Their connection.
    pub bus: Bus,
    /// What is noted of all.
    pub ledger: Arc<Ledger>,
    /// A client of the API.
    pub http: reqwest::Client,
    /// Where the API is.
    pub url: String,
    /// What allows its use.
    pub token: String,
    /// What they may say.
    pub clips: Arc<Vec<Clip>>,
    /// Set when nothing new is to begin.
    pub enough: Arc<AtomicBool>,
    /// Chooses what to do.
    pub random: fastrand::Rng,
}

impl Speaker {
    /// Works until it is enough; gives what went wrong.
    pub async fn work(mut self) -> Vec<String> {
        let mut faults = Vec::new();
        while !self.enough.load(Ordering::Relaxed) {
            if let Err(fault) = self.one().await {
                faults.push(fault);
            }
        }
        faults
    }

    async fn one(&mut self) -> Result<(), String> {
        let clips = Arc::clone(&self.clips);
        let clip = &clips[self.random.usize(..clips.len())];
        let request = Request::new(Uuid::from_u128(self.random.u128(..)));
        let id = ids::recording_id(request.correlation_id);
        let spoken = self.random.bool();
        self.ledger.open(id, spoken);
        if spoken {
            self.speak(clip, &request, id).await;
        } else {
            self.send_file(clip, &request).await;
        }
        self.wait(id).await?;
        self.read(id, clip.word).await
    }

    async fn speak(&self, clip: &Clip, request: &Request, id: Uuid) {
        self.ask(&RecordingStart::default(), request).await;
        let mut sender = speakr_nats::audio::AudioSender::new(&self.bus, id, request.clone());
        let at_once = usize::try_from(16 * PIECE.as_millis()).unwrap_or(usize::MAX);
        for piece in clip.samples.chunks(at_once) {
            self.ledger.reached(id, Phase::Speaking);
            let mut sent = sender.send(piece).await;
            while sent.is_err() {
                tokio::time::sleep(PAUSE).await;
                // What wasn't stored waits in it.
                sent = sender.send(&[]).await;
            }
            tokio::time::sleep(PIECE / HASTE).await;
        }
        while sender.finish().await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        let stop = RecordingStop {
            recording_id: id,
            transcribe_on_stop: true,
            metadata: serde_json::Map::new(),
        };
        self.ask(&stop, request).await;
        self.ledger.reached(id, Phase::Saving);
    }

    async fn send_file(&self, clip: &Clip, request: &Request) {
        let run = TranscriptionRun {
            audio_data: Some(AudioData(clip.file.clone())),
            ..TranscriptionRun::default()
        };
        self.ask(&run, request).await;
    }

    /// Sends a command until it is stored; the server keeps one of them.
    async fn ask<M: Message>(&self, command: &M, request: &Request) {
        let name = format!("{}-{}", M::SUBJECT, request.correlation_id);
        loop {
            let sent = self.bus.publish(command, request, &name);
            if let Ok(Ok(())) = tokio::time::timeout(ATTEMPT, sent).await {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the recording can be found. Events that were sent while a connection was away
    /// aren't heard, so the API is asked too.
    async fn wait(&self, id: Uuid) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let (phase, failure) = self.ledger.state(id);
            if let Some(reason) = failure {
                return Err(format!("{id} failed: {reason}"));
            }
            if phase == Phase::Done || self.is_found(id).await {
                self.ledger.reached(id, Phase::Done);
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{id} is still {phase} after {PATIENCE:?}"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the index has its text.
    async fn is_found(&self, id: Uuid) -> bool {
        let recording = self.get(id).await;
        recording.is_some_and(|r| r["state"] == "transcribed" && r["transcribed_text"] != "")
    }

    /// Whether what was said is in its text.
    async fn read(&self, id: Uuid, word: &str) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(recording) = self.get(id).await {
                let text = recording["transcribed_text"].as_str().unwrap_or_default();
                return if text.to_lowercase().contains(word) {
                    Ok(())
                } else {
                    Err(format!("{id} has another text, without \"{word}\""))
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{id} can't be read after {PATIENCE:?}"))
    }

    async fn get(&self, id: Uuid) -> Option<Value> {
        let url = format!("{}/api/v1/recordings/{id}", self.url);
        let request = self.http.get(url).bearer_auth(&self.token).timeout(ATTEMPT);
        let answer = request.send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }
}
