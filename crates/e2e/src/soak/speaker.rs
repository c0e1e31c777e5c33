//! People who use the platform without a pause: they speak, or send files, and look for what they said.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::multipart;
use serde_json::Value;
use speakr_contract::{
    AudioData, CaptureSide, Message,
    commands::{RecordingCancel, RecordingStart, RecordingStop, TranscriptionRun},
    ids,
};
use speakr_nats::{Bus, Request};
use uuid::Uuid;

use super::ledger::{Ledger, Phase, Way};

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

/// How long one answer over HTTP may take.
const ANSWER: Duration = Duration::from_secs(60);

/// How often each of a dozen recordings is of which way.
const WAYS: [Way; 12] = [
    Way::Spoken,
    Way::Spoken,
    Way::Spoken,
    Way::File,
    Way::File,
    Way::Http,
    Way::Http,
    Way::Deleted,
    Way::Deleted,
    Way::Cancelled,
    Way::Later,
    Way::Host,
];

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

impl Clip {
    /// A part of its sound, broken off somewhere.
    fn beginning(&self, random: &mut fastrand::Rng) -> Self {
        Self {
            samples: self.samples[..random.usize(..self.samples.len())].to_vec(),
            ..self.clone()
        }
    }
}

/// What the transcriber's own microphone hears: the beginning of a clip, and a word of it. It begins anew whenever
/// its transcriber is killed, so it has to be shorter than what lies between two kills.
pub const MICROPHONE: (&str, Duration, &str) = ("jfk.wav", Duration::from_secs(4), "americans");

/// How the API says that there is no such recording, or no longer.
const GONE: [u16; 2] = [404, 410];

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
        let way = WAYS[self.random.usize(..WAYS.len())];
        if way == Way::Http {
            return self.upload(clip).await;
        }
        self.ledger.open(id, way);
        match way {
            Way::Spoken => {
                self.speak(clip, &request, id).await;
                self.stop(&request, id, true).await;
            }
            Way::Later => {
                self.speak(clip, &request, id).await;
                self.stop(&request, id, false).await;
                let run = TranscriptionRun {
                    recording_id: Some(id),
                    ..TranscriptionRun::default()
                };
                self.ask(&run, &request).await;
            }
            Way::Cancelled => {
                let beginning = clip.beginning(&mut self.random);
                self.speak(&beginning, &request, id).await;
                let cancel = RecordingCancel { recording_id: id };
                self.ask(&cancel, &request).await;
                self.ledger.reached(id, Phase::Saving);
                return self.wait_until_gone(id).await;
            }
            Way::Host => {
                let start = RecordingStart {
                    capture: CaptureSide::Host,
                    ..RecordingStart::default()
                };
                self.ask(&start, &request).await;
                // What is heard there is one clip; it ends by itself.
                self.wait(id).await?;
                return self.read(id, MICROPHONE.2).await;
            }
            Way::File | Way::Deleted | Way::Http => self.send_file(clip, &request).await,
        }
        self.wait(id).await?;
        self.read(id, clip.word).await?;
        if way == Way::Deleted {
            self.delete(id).await?;
            return self.wait_until_gone(id).await;
        }
        Ok(())
    }

    /// Has a file made into text over HTTP, to be kept; asks again under the same name until there is
    /// an answer.
    async fn upload(&mut self, clip: &Clip) -> Result<(), String> {
        let name = Uuid::from_u128(self.random.u128(..));
        let began = Instant::now();
        let answer = loop {
            let file = multipart::Part::bytes(clip.file.clone()).file_name("clip.wav");
            let form = multipart::Form::new()
                .part("file", file)
                .text("model", "whisper-1")
                .text("response_format", "json")
                .text("store", "true");
            let asked = self
                .http
                .post(format!("{}/v1/audio/transcriptions", self.url))
                .bearer_auth(&self.token)
                .header("speakr-correlation-id", name.to_string())
                .multipart(form)
                .timeout(ANSWER);
            let why = match asked.send().await {
                Ok(answer) if answer.status().is_success() => match answer.json::<Value>().await {
                    Ok(answer) => break answer,
                    Err(error) => error.to_string(),
                },
                Ok(answer) if answer.status().is_client_error() => {
                    let status = answer.status();
                    let said = answer.text().await.unwrap_or_default();
                    return Err(format!("an upload is refused: {status}: {said}"));
                }
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            if began.elapsed() > PATIENCE {
                return Err(format!("an upload has no answer after {PATIENCE:?}: {why}"));
            }
            tokio::time::sleep(PAUSE).await;
        };
        let Some(id) = answer["recording_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
        else {
            return Err(format!("an answer without recording: {answer}"));
        };
        self.ledger.open(id, Way::Http);
        self.ledger.reached(id, Phase::Indexing);
        self.wait(id).await?;
        self.read(id, clip.word).await
    }

    async fn delete(&self, id: Uuid) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let url = format!("{}/api/v1/recordings/{id}", self.url);
            let request = self.http.delete(url).bearer_auth(&self.token);
            if let Ok(answer) = request.timeout(ANSWER).send().await {
                let status = answer.status();
                // One that was broken off may have come far enough.
                if status.is_success() || GONE.contains(&status.as_u16()) {
                    return Ok(());
                }
                if status.is_client_error() {
                    return Err(format!("{id} can't be deleted: {status}"));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{id} isn't deleted after {PATIENCE:?}"))
    }

    /// Waits until it is said that the recording is gone. An event that was sent while the connection
    /// was away isn't heard, so the API is asked too.
    async fn wait_until_gone(&self, id: Uuid) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let cancelled = self.ledger.way(id) == Some(Way::Cancelled);
            if cancelled && self.ledger.state(id).0 == Phase::Done {
                return Ok(());
            }
            if let Some(status) = self.status(id).await
                && GONE.contains(&status)
                && (status == 410 || !cancelled)
            {
                self.ledger.reached(id, Phase::Done);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{id} isn't gone after {PATIENCE:?}"))
    }

    async fn stop(&self, request: &Request, id: Uuid, transcribe_on_stop: bool) {
        let stop = RecordingStop {
            recording_id: id,
            transcribe_on_stop,
            metadata: serde_json::Map::new(),
        };
        self.ask(&stop, request).await;
        self.ledger.reached(id, Phase::Saving);
    }

    /// Begins a recording and sends all of its sound.
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

    /// What the API answers to whoever wants to see the recording.
    async fn status(&self, id: Uuid) -> Option<u16> {
        let url = format!("{}/api/v1/recordings/{id}", self.url);
        let request = self.http.get(url).bearer_auth(&self.token).timeout(ATTEMPT);
        Some(request.send().await.ok()?.status().as_u16())
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
