//! A writer that is killed in the middle: what it had written is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(unix)]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use speakr_core::ports::archive::Archive;
use speakr_local::{Holder, LockError, RecordingLock};
use support::{read_all, recording, tone};

/// Set in the process that is going to be killed.
const HOME: &str = "SPEAKR_LOCAL_TEST_HOME";

/// The writer: this test binary, started again with [`HOME`] set. Without it there is nothing to
/// do, and the test below starts it.
#[tokio::test]
async fn writer() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let archive = support::open(home.as_ref());
    let recording = recording();
    let _lock = RecordingLock::acquire(archive.home(), recording.recording_id).unwrap();
    let mut writer = archive.begin(&recording).await.unwrap();
    loop {
        writer.write(&tone(1_600)).await.unwrap();
        println!("wrote {} {}", recording.recording_id, writer.samples());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn kill_loses_nothing_that_was_handed_over_and_frees_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let archive = support::reopen(&folder);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(HOME, archive.home().path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open until the end: the writer is to be killed, not to fail at writing.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told: Vec<String> = lines
        .by_ref()
        .map_while(Result::ok)
        .filter(|line| line.contains("wrote "))
        .take(20)
        .collect();
    let mut words = told.last().unwrap().split_whitespace().rev();
    let samples: usize = words.next().unwrap().parse().unwrap();
    let id = words.next().unwrap().parse().unwrap();

    let holder = Holder {
        pid: child.id(),
        recording_id: id,
    };
    assert_eq!(RecordingLock::holder(archive.home()).unwrap(), Some(holder));
    let error = RecordingLock::acquire(archive.home(), recording().recording_id).unwrap_err();
    assert!(
        matches!(error, LockError::Recording { holder: Some(h) } if h == holder),
        "{error:?}"
    );

    child.kill().unwrap(); // SIGKILL
    assert!(!child.wait().unwrap().success());
    drop(lines);
    assert!(!RecordingLock::is_recording(archive.home(), id).unwrap());
    let sound = read_all(&archive, id).await;
    assert!(sound.len() >= samples, "{} < {samples}", sound.len());
    let chunk = tone(1_600);
    assert!(sound.chunks(1_600).all(|c| *c == chunk[..c.len()]));
    assert_eq!(
        archive.recording(id).await.unwrap().state,
        speakr_core::RecordingState::Capturing
    );
    RecordingLock::acquire(archive.home(), id).unwrap();
}
