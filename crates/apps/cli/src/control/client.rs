//! The side of the other shell.

use std::{io, time::Duration};

use interprocess::local_socket::tokio::{Stream, prelude::*};
use speakr_core::RecordingId;
use speakr_local::{Home, LockError, RecordingLock};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::{Instant, sleep, timeout},
};

use super::{
    ANSWER_TIMEOUT, Request, Status,
    place::{self, Place},
};

/// A recording that has begun opens its microphone before it can be reached. This long that is
/// waited for …
const STARTS_WITHIN: Duration = Duration::from_secs(5);
/// … looking again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Sends `request` to the recording over `home`; `None` when there is none. What captures sound at
/// this moment is meant, else the newest of those whose text is being made.
pub(crate) async fn send(home: &Home, request: Request) -> io::Result<Option<Status>> {
    let deadline = Instant::now() + STARTS_WITHIN;
    loop {
        let recording = recording_now(home)?;
        for place in place::all(home)? {
            if !recording.is_meant(place.id) {
                continue;
            }
            if let Some(status) = exchange(&place, request).await? {
                return Ok(Some(status));
            }
        }
        if recording == Now::Nothing {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it doesn't take requests",
            ));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What captures sound at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Nothing,
    Recording(RecordingId),
    /// Something that the system doesn't tell.
    Unknown,
}

impl Now {
    fn is_meant(self, id: RecordingId) -> bool {
        match self {
            Self::Nothing => true,
            Self::Recording(meant) => meant == id,
            // A lock that is held can't be read on Windows; the newest is it there. Elsewhere its
            // holder is about to write its name.
            Self::Unknown => cfg!(windows),
        }
    }
}

fn recording_now(home: &Home) -> io::Result<Now> {
    match RecordingLock::holder(home) {
        Ok(None) => Ok(Now::Nothing),
        Ok(Some(holder)) => Ok(Now::Recording(holder.recording_id)),
        Err(LockError::Recording { .. }) => Ok(Now::Unknown),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A connection to `place`; `None` where nobody listens.
async fn connect(place: &Place) -> io::Result<Option<Stream>> {
    match Stream::connect(place.name()?).await {
        Ok(stream) => Ok(Some(stream)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Whether somebody listens there. What can't be told counts as yes.
pub(super) async fn listens(place: &Place) -> bool {
    !matches!(connect(place).await, Ok(None))
}

/// Asks, and waits for the answer; `None` where nobody is there, or no more.
async fn exchange(place: &Place, request: Request) -> io::Result<Option<Status>> {
    let Some(stream) = connect(place).await? else {
        return Ok(None);
    };
    let exchange = async {
        let mut writer = &stream;
        writer.write_all(request.word().as_bytes()).await?;
        writer.write_all(b"\n").await?;
        writer.flush().await?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).await?;
        Ok::<_, io::Error>(line)
    };
    let line = match timeout(ANSWER_TIMEOUT, exchange).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) if is_gone(&error) => return Ok(None),
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it doesn't answer"));
        }
    };
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .map_err(io::Error::other)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
    )
}
