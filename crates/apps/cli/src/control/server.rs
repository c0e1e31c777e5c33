//! The side of the recording.

use std::{io, sync::Arc, time::Duration};

use interprocess::local_socket::{
    ListenerOptions,
    tokio::{Listener, Stream, prelude::*},
};
use speakr_core::RecordingId;
use speakr_local::Home;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    ANSWER_TIMEOUT, Board, Request, client,
    place::{self, Place},
};

/// How long an answer that is under way may take when the recording is done.
const LAST_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Listens for requests as long as it lives.
pub(crate) struct ControlServer {
    pub(super) task: JoinHandle<()>,
    pub(super) board: Arc<Board>,
    closing: CancellationToken,
    place: Place,
}

impl ControlServer {
    /// Starts listening for the recording `id`, whose status is on `board`; `act` does what is
    /// asked, before it is answered. The caller holds the recording lock.
    pub(crate) async fn start(
        home: &Home,
        id: RecordingId,
        board: Arc<Board>,
        act: impl Fn(Request) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(home.run())?;
        remove_left_behind(home).await?;
        let place = Place::next(home, id)?;
        let listener = ListenerOptions::new()
            .name(place.name()?)
            .try_overwrite(true)
            .create_tokio()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&place.socket, std::fs::Permissions::from_mode(0o600))?;
        }
        place.announce()?;
        let closing = CancellationToken::new();
        let task = tokio::spawn(serve(
            listener,
            Arc::clone(&board),
            Arc::new(act),
            closing.clone(),
        ));
        Ok(Self {
            task,
            board,
            closing,
            place,
        })
    }

    /// Takes no more requests. What was taken before has been done when this returns, and its
    /// answer is on its way.
    pub(crate) async fn close(mut self) {
        self.board.close();
        self.closing.cancel();
        tokio::time::timeout(LAST_ANSWER_WITHIN, &mut self.task)
            .await
            .ok();
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
        self.place.remove();
    }
}

/// Removes what processes that were killed left of themselves.
async fn remove_left_behind(home: &Home) -> io::Result<()> {
    for place in place::all(home)? {
        if !client::listens(&place).await {
            place.remove();
        }
    }
    Ok(())
}

type Act = Arc<dyn Fn(Request) + Send + Sync>;

async fn serve(listener: Listener, board: Arc<Board>, act: Act, closing: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => return,
        };
        match accepted {
            Ok(stream) => {
                let answered =
                    tokio::time::timeout(ANSWER_TIMEOUT, answer(stream, &board, act.as_ref()))
                        .await;
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
    board: &Board,
    act: &(dyn Fn(Request) + Send + Sync),
) -> io::Result<()> {
    let mut reader = BufReader::new(&stream).take(64);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let answer = match Request::parse(&line) {
        Some(request) => match board.take(request, act) {
            Some(status) => serde_json::to_string(&status).map_err(io::Error::other)?,
            // Closing without a word says that nobody is here any more.
            None => return Ok(()),
        },
        None => "{\"error\":\"unknown request\"}".to_owned(),
    };
    let mut writer = &stream;
    writer.write_all(answer.as_bytes()).await?;
    writer.write_all(b"\n").await?;
    writer.flush().await
}
