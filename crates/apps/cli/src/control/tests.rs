use std::sync::Arc;

use interprocess::local_socket::tokio::{Stream, prelude::*};
use speakr_core::{CorrelationId, RecordingId};
use speakr_local::{Home, RecordingLock};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::*;

fn id() -> RecordingId {
    RecordingId::from_correlation(CorrelationId::random())
}

fn home() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    home.create().unwrap();
    (folder, home)
}

type Asked = mpsc::UnboundedReceiver<Request>;

async fn serving(home: &Home, id: RecordingId, phase: Phase) -> (ControlServer, Asked) {
    let (asked_in, asked) = mpsc::unbounded_channel();
    let board = Arc::new(Board::new(id, phase));
    let act = move |request| {
        let _ = asked_in.send(request);
    };
    let server = ControlServer::start(home, id, board, act).await.unwrap();
    (server, asked)
}

async fn reached(home: &Home, request: Request) -> Option<String> {
    let status = send(home, request).await.unwrap();
    status.map(|status| status.recording_id)
}

#[tokio::test]
async fn a_request_reaches_the_recording_and_is_answered_with_its_status() {
    let (_folder, home) = home();
    let id = id();
    let (server, mut asked) = serving(&home, id, Phase::Recording).await;
    let told = send(&home, Request::Stop).await.unwrap().unwrap();
    assert_eq!(told.recording_id, id.to_string());
    assert_eq!(told.phase, Phase::Recording);
    assert_eq!(asked.recv().await, Some(Request::Stop));
    drop(server);
    assert_eq!(reached(&home, Request::Stop).await, None);
    assert_eq!(std::fs::read_dir(home.run()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_next_recording_is_reached_while_the_text_of_the_last_is_made_and_after_that() {
    let (_folder, home) = home();
    let (first, second) = (id(), id());
    let (ending, mut asked_first) = serving(&home, first, Phase::Transcribing).await;
    let _lock = RecordingLock::acquire(&home, second).unwrap();
    let (_server, mut asked_second) = serving(&home, second, Phase::Recording).await;
    let meant = Some(second.to_string());
    assert_eq!(reached(&home, Request::Cancel).await, meant);
    drop(ending);
    assert_eq!(reached(&home, Request::Stop).await, meant);
    assert_eq!(asked_second.recv().await, Some(Request::Cancel));
    assert_eq!(asked_second.recv().await, Some(Request::Stop));
    assert!(asked_first.try_recv().is_err());
}

#[tokio::test]
async fn a_recording_that_has_just_begun_is_waited_for_and_no_other_is_taken_for_it() {
    let (_folder, home) = home();
    let (first, second) = (id(), id());
    let (_ending, mut asked_first) = serving(&home, first, Phase::Transcribing).await;
    let _lock = RecordingLock::acquire(&home, second).unwrap();
    let begins = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        serving(&home, second, Phase::Recording).await
    };
    let (reached, _server) = tokio::join!(reached(&home, Request::Cancel), begins);
    assert_eq!(reached, Some(second.to_string()));
    assert!(asked_first.try_recv().is_err());
}

#[tokio::test]
async fn of_two_whose_text_is_made_the_newest_is_meant() {
    let (_folder, home) = home();
    let (first, second) = (id(), id());
    let (_one, _) = serving(&home, first, Phase::Transcribing).await;
    let (two, _) = serving(&home, second, Phase::Transcribing).await;
    assert_eq!(
        reached(&home, Request::Cancel).await,
        Some(second.to_string())
    );
    drop(two);
    assert_eq!(
        reached(&home, Request::Cancel).await,
        Some(first.to_string())
    );
}

#[tokio::test]
async fn a_recording_that_is_done_takes_no_request_any_more() {
    let (_folder, home) = home();
    let (server, mut asked) = serving(&home, id(), Phase::Transcribing).await;
    server.board.close();
    assert_eq!(reached(&home, Request::Cancel).await, None);
    server.close().await;
    assert_eq!(reached(&home, Request::Cancel).await, None);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_removed() {
    let (_folder, home) = home();
    let (mut left, _) = serving(&home, id(), Phase::Recording).await;
    left.task.abort();
    (&mut left.task).await.unwrap_err();
    std::mem::forget(left);
    assert_eq!(reached(&home, Request::Pause).await, None);
    let next = id();
    let (server, _) = serving(&home, next, Phase::Recording).await;
    assert_eq!(reached(&home, Request::Pause).await, Some(next.to_string()));
    drop(server);
    assert_eq!(std::fs::read_dir(home.run()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_very_deep_data_folder_has_control_sockets_too() {
    let (folder, _) = home();
    let deep = Home::new(folder.path().join("d".repeat(120)));
    let (_server, _asked) = serving(&deep, id(), Phase::Recording).await;
    assert!(reached(&deep, Request::Cancel).await.is_some());
}

#[tokio::test]
async fn nonsense_on_the_socket_does_no_harm() {
    let (_folder, home) = home();
    let (_server, mut asked) = serving(&home, id(), Phase::Recording).await;
    let place = place::all(&home).unwrap().remove(0);
    let stream = Stream::connect(place.name().unwrap()).await.unwrap();
    (&stream).write_all(&[0xff; 500]).await.ok();
    drop(stream);
    assert!(reached(&home, Request::Stop).await.is_some());
    assert_eq!(asked.recv().await, Some(Request::Stop));
}
