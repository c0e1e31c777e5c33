//! How another shell (or a global shortcut) reaches a running recording: a socket in the data
//! folder that only its owner can open, or a named pipe on Windows. One line in, one line of
//! JSON out.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, Name, ToFsName,
    tokio::{Listener, Stream, prelude::*},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    sync::mpsc,
    task::JoinHandle,
};

/// The longest wait for a recording to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What another shell asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// End the recording, keep the sound, make the text.
    Stop,
    /// Throw it away, also while its text is being made.
    Cancel,
    /// Pause it, or go on.
    Pause,
}

impl Request {
    const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.trim() {
            "stop" => Some(Self::Stop),
            "cancel" => Some(Self::Cancel),
            "pause" => Some(Self::Pause),
            _ => None,
        }
    }
}

/// How far the recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Sound is captured.
    Recording,
    /// Capture is paused.
    Paused,
    /// The text is being made.
    Transcribing,
}

/// What a recording answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Which recording.
    pub(crate) recording_id: String,
    /// How far it was when it was asked.
    pub(crate) phase: Phase,
    /// Length of the sound so far.
    pub(crate) duration_ms: u64,
}

/// The status that the recording keeps up to date and the socket tells.
pub(crate) type SharedStatus = Arc<Mutex<Status>>;

/// Where the socket is.
///
/// A socket's path may have some 100 bytes (`sun_path`); a deeper data folder gets one under the
/// system's folder for temporary files, named after the data folder.
fn socket_path(home: &Path) -> PathBuf {
    if cfg!(windows) {
        return PathBuf::from(format!(r"\\.\pipe\speakr-{}", fingerprint(home)));
    }
    let path = home.join("run").join("control.sock");
    if path.as_os_str().len() < 100 {
        return path;
    }
    std::env::temp_dir().join(format!("speakr-{}.sock", fingerprint(home)))
}

fn fingerprint(home: &Path) -> String {
    let whole = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    let namespace = uuid::Uuid::NAMESPACE_URL;
    uuid::Uuid::new_v5(&namespace, whole.as_os_str().as_encoded_bytes())
        .simple()
        .to_string()
}

fn name(path: &Path) -> std::io::Result<Name<'_>> {
    path.to_fs_name::<GenericFilePath>()
}

/// Listens for requests as long as it lives.
pub(crate) struct ControlServer {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl ControlServer {
    /// Starts listening. The caller holds the recording lock, so a socket that is already there
    /// was left behind by a process that is gone.
    pub(crate) fn start(
        home: &Path,
        status: SharedStatus,
        requests: mpsc::UnboundedSender<Request>,
    ) -> std::io::Result<Self> {
        let path = socket_path(home);
        if let Some(folder) = path.parent().filter(|_| cfg!(unix)) {
            std::fs::create_dir_all(folder)?;
        }
        let listener = ListenerOptions::new()
            .name(name(&path)?)
            .try_overwrite(true)
            .create_tokio()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        let task = tokio::spawn(serve(listener, status, requests));
        Ok(Self { task, path })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
        if cfg!(unix) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

async fn serve(listener: Listener, status: SharedStatus, requests: mpsc::UnboundedSender<Request>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let answered =
                    tokio::time::timeout(ANSWER_TIMEOUT, answer(stream, &status, &requests)).await;
                if !matches!(answered, Ok(Ok(()))) {
                    tracing::debug!("a control request went away unanswered");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket failed to accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn answer(
    stream: Stream,
    status: &SharedStatus,
    requests: &mpsc::UnboundedSender<Request>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream).take(64);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let answer = match Request::parse(&line) {
        Some(request) => {
            // The status is the one before the request has its effect.
            let now = status
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            requests.send(request).ok();
            serde_json::to_string(&now).map_err(std::io::Error::other)?
        }
        None => "{\"error\":\"unknown request\"}".to_owned(),
    };
    let mut writer = &stream;
    writer.write_all(answer.as_bytes()).await?;
    writer.write_all(b"\n").await?;
    writer.flush().await
}

/// Sends `request` to the recording that runs over `home`; `None` when there is none.
pub(crate) async fn send(home: &Path, request: Request) -> std::io::Result<Option<Status>> {
    let path = socket_path(home);
    let stream = match Stream::connect(name(&path)?).await {
        Ok(stream) => stream,
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let exchange = async {
        let mut writer = &stream;
        writer.write_all(request.word().as_bytes()).await?;
        writer.write_all(b"\n").await?;
        writer.flush().await?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).await?;
        serde_json::from_str(&line).map_err(std::io::Error::other)
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange)
        .await
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::TimedOut, "it doesn't answer"))?
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> SharedStatus {
        Arc::new(Mutex::new(Status {
            recording_id: "r".into(),
            phase: Phase::Recording,
            duration_ms: 42,
        }))
    }

    #[tokio::test]
    async fn a_request_reaches_the_recording_and_is_answered_with_its_status() {
        let home = tempfile::tempdir().unwrap();
        let (tx, mut rx) = mpsc::unbounded_channel();
        let server = ControlServer::start(home.path(), status(), tx).unwrap();
        let told = send(home.path(), Request::Stop).await.unwrap().unwrap();
        assert_eq!(told.duration_ms, 42);
        assert_eq!(rx.recv().await, Some(Request::Stop));
        drop(server);
        assert!(send(home.path(), Request::Stop).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_left_behind_by_a_killed_process_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let (tx, _rx) = mpsc::unbounded_channel();
        let left = ControlServer::start(home.path(), status(), tx.clone()).unwrap();
        left.task.abort();
        std::mem::forget(left);
        let _server = ControlServer::start(home.path(), status(), tx).unwrap();
        assert!(send(home.path(), Request::Pause).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_very_deep_data_folder_has_a_control_socket_too() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("d".repeat(120));
        let (tx, _rx) = mpsc::unbounded_channel();
        let _server = ControlServer::start(&deep, status(), tx).unwrap();
        assert!(send(&deep, Request::Cancel).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn nonsense_on_the_socket_does_no_harm() {
        let home = tempfile::tempdir().unwrap();
        let (tx, mut rx) = mpsc::unbounded_channel();
        let _server = ControlServer::start(home.path(), status(), tx).unwrap();
        let path = socket_path(home.path());
        let stream = Stream::connect(name(&path).unwrap()).await.unwrap();
        (&stream).write_all(&[0xff; 500]).await.ok();
        drop(stream);
        assert!(send(home.path(), Request::Stop).await.unwrap().is_some());
        assert_eq!(rx.recv().await, Some(Request::Stop));
    }
}
