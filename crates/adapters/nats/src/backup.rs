//! Backups of the streams: in the files that NATS's own `nats stream backup` makes, so that either can
//! read what the other wrote.
//!
//! The server sends a stream as an archive in pieces and waits for a word after each; it takes one
//! back in the same way (`$JS.API.STREAM.SNAPSHOT` and `RESTORE` of the JetStream API).

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    bus::Bus,
    error::BusError,
    streams::{ATTEMPTS, AUDIO, COMMANDS, DEAD_LETTER, EVENTS, RECORDINGS},
};

/// What describes a stream in a backup, and …
const DESCRIPTION: &str = "backup.json";
/// … what it holds.
const CONTENT: &str = "stream.tar.s2";

/// Bytes of a piece: as NATS's own tool has it.
const PIECE: usize = 128 * 1024;

/// How long the server may take with one piece.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a backup says of its stream.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    config: Value,
    state: Value,
}

/// One stream that was written or put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Its name.
    pub stream: String,
    /// Messages in it.
    pub messages: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// The streams that a backup has: those of messages, and those that key-value buckets are made of.
#[must_use]
pub fn streams() -> Vec<String> {
    [COMMANDS, AUDIO, EVENTS, DEAD_LETTER]
        .into_iter()
        .map(str::to_owned)
        .chain([ATTEMPTS, RECORDINGS].map(|bucket| format!("KV_{bucket}")))
        .collect()
}

/// Writes all streams with their consumers into `folder`, a folder each. What is in them stays. A
/// stream that isn't there (yet) isn't in the backup.
///
/// # Errors
/// [`BusError::Server`], [`BusError::Backup`].
pub async fn write(bus: &Bus, folder: &Path) -> Result<Vec<BackedUp>, BusError> {
    let mut written = Vec::new();
    for stream in streams() {
        if messages_in(bus, &stream).await?.is_some() {
            written.push(write_stream(bus, &stream, &folder.join(&stream)).await?);
        }
    }
    Ok(written)
}

/// Makes the streams of the backup in `folder` again. One that is there already is replaced if it is
/// empty, and else left alone.
///
/// # Errors
/// [`BusError::NotEmpty`] before anything is done, when there is one with messages in it;
/// [`BusError::Server`], [`BusError::Backup`].
pub async fn restore(bus: &Bus, folder: &Path) -> Result<Vec<BackedUp>, BusError> {
    let kept: Vec<String> = streams()
        .into_iter()
        .filter(|stream| folder.join(stream).join(DESCRIPTION).is_file())
        .collect();
    if kept.is_empty() {
        let missing = io::Error::new(io::ErrorKind::NotFound, "there is no backup in it");
        return Err(failed("restore", folder)(missing));
    }
    let mut there = Vec::new();
    for stream in &kept {
        match messages_in(bus, stream).await? {
            None => {}
            Some(0) => there.push(stream),
            Some(messages) => {
                return Err(BusError::NotEmpty {
                    stream: stream.clone(),
                    messages,
                });
            }
        }
    }
    for stream in there {
        bus.jetstream()
            .delete_stream(stream)
            .await
            .map_err(BusError::server("replace", stream.as_str()))?;
    }
    let mut restored = Vec::new();
    for stream in &kept {
        restored.push(restore_stream(bus, stream, &folder.join(stream)).await?);
    }
    Ok(restored)
}

/// How many messages `stream` holds, where it is there.
async fn messages_in(bus: &Bus, stream: &str) -> Result<Option<u64>, BusError> {
    match bus.jetstream().get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().state.messages)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(inner)
                if inner.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(BusError::server("look at", stream)(error)),
        },
    }
}

async fn write_stream(bus: &Bus, stream: &str, folder: &Path) -> Result<BackedUp, BusError> {
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let path = folder.join(CONTENT);
    let mut file = File::create(&path).map_err(failed("write", &path))?;
    let inbox = bus.client().new_inbox();
    let mut pieces = bus
        .client()
        .subscribe(inbox.clone())
        .await
        .map_err(BusError::server("listen on", inbox.as_str()))?;
    let wish = serde_json::json!({"deliver_subject": inbox, "chunk_size": PIECE, "jsck": true});
    let answer = ask(
        bus,
        &format!("$JS.API.STREAM.SNAPSHOT.{stream}"),
        wish,
        stream,
    )
    .await?;
    let description: Description = serde_json::from_value(answer)
        .map_err(BusError::server("understand the backup of", stream))?;
    let mut bytes = 0;
    loop {
        let piece = tokio::time::timeout(PATIENCE, pieces.next())
            .await
            .map_err(BusError::server("read the rest of", stream))?
            .ok_or_else(|| {
                BusError::server("read the rest of", stream)("the connection has ended")
            })?;
        // The last one has nothing in it; its status says whether that was all.
        if piece.payload.is_empty() {
            let status = piece.status.filter(|status| status.as_u16() >= 300);
            if let Some(status) = status {
                let what = format!("{status} {}", piece.description.unwrap_or_default());
                return Err(BusError::server("read the rest of", stream)(what));
            }
            break;
        }
        file.write_all(&piece.payload)
            .map_err(failed("write", &path))?;
        bytes += piece.payload.len() as u64;
        if let Some(reply) = piece.reply {
            bus.client()
                .publish(reply, Vec::new().into())
                .await
                .map_err(BusError::server("go on with", stream))?;
        }
    }
    file.sync_all().map_err(failed("write", &path))?;
    let path = folder.join(DESCRIPTION);
    let text =
        serde_json::to_string_pretty(&description).map_err(BusError::server("describe", stream))?;
    fs::write(&path, text).map_err(failed("write", &path))?;
    Ok(BackedUp {
        stream: stream.to_owned(),
        messages: messages_of(&description.state),
        bytes,
    })
}

async fn restore_stream(bus: &Bus, stream: &str, folder: &Path) -> Result<BackedUp, BusError> {
    let path = folder.join(DESCRIPTION);
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    let description: Description =
        serde_json::from_str(&text).map_err(|e| failed("read", &path)(e.into()))?;
    let messages = messages_of(&description.state);
    let wish = serde_json::to_value(&description).map_err(BusError::server("describe", stream))?;
    let subject = format!("$JS.API.STREAM.RESTORE.{stream}");
    let answer = ask(bus, &subject, wish, stream).await?;
    let target = answer["deliver_subject"].as_str().ok_or_else(|| {
        BusError::server("restore", stream)("the server doesn't say where the backup is to go")
    })?;
    let path = folder.join(CONTENT);
    let mut file = File::open(&path).map_err(failed("read", &path))?;
    let mut bytes = 0;
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(failed("read", &path))?;
        let payload = piece.get(..read).unwrap_or_default().to_vec();
        let last = payload.is_empty();
        // An answer comes to each piece; it says something only where something is wrong.
        let answer = bus
            .client()
            .send_request(
                target.to_owned(),
                async_nats::Request::new()
                    .payload(payload.into())
                    .timeout(Some(PATIENCE)),
            )
            .await
            .map_err(BusError::server("restore", stream))?;
        if !answer.payload.is_empty() {
            checked(&answer.payload, "restore", stream)?;
        }
        if last {
            break;
        }
        bytes += read as u64;
    }
    Ok(BackedUp {
        stream: stream.to_owned(),
        messages,
        bytes,
    })
}

fn messages_of(state: &Value) -> u64 {
    state["messages"].as_u64().unwrap_or_default()
}

/// Asks the JetStream API; gives the answer, if it is no error.
async fn ask(bus: &Bus, subject: &str, wish: Value, stream: &str) -> Result<Value, BusError> {
    let request = async_nats::Request::new()
        .payload(wish.to_string().into())
        .timeout(Some(PATIENCE));
    let answer = bus
        .client()
        .send_request(subject.to_owned(), request)
        .await
        .map_err(BusError::server("back up or restore", stream))?;
    checked(&answer.payload, "back up or restore", stream)
}

fn checked(payload: &[u8], action: &'static str, stream: &str) -> Result<Value, BusError> {
    let answer: Value =
        serde_json::from_slice(payload).map_err(BusError::server(action, stream))?;
    match answer["error"]["description"].as_str() {
        Some(description) => Err(BusError::server(action, stream)(description.to_owned())),
        None => Ok(answer),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BusError {
    let path: PathBuf = path.to_owned();
    move |cause| BusError::Backup {
        action,
        path,
        cause,
    }
}
