//! What comes in pieces, late, twice or round a corner comes whole.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use speakr_models::{Endpoint, ModelError, ModelStore, PullProgress, State};
use tokio_util::sync::CancellationToken;

use crate::{
    server::{Answer, Server},
    world::{Bench, file, registry, sha256},
};

#[tokio::test]
async fn a_model_is_downloaded_checked_and_put_in_place() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    let pulled = bench.pull().await.unwrap();
    assert_eq!(pulled.path, Some(bench.path()));
    assert_eq!(
        (pulled.already_there, pulled.sha256),
        (false, sha256(&file()))
    );
    bench.assert_in_place();
    let requests = server.requests();
    assert_eq!(requests[0].path, "/owner/name/resolve/abc/ggml-m.bin");
    assert!(
        requests[0]
            .header("user-agent")
            .unwrap()
            .starts_with("speakr/")
    );
    let progress = bench.progress.lock().unwrap();
    let received: Vec<u64> = progress
        .iter()
        .filter_map(|p| match p {
            PullProgress::Received { received_bytes } => Some(*received_bytes),
            _ => None,
        })
        .collect();
    assert!(received.is_sorted() && received.last() == Some(&(file().len() as u64)));
}

#[tokio::test]
async fn what_is_there_is_downloaded_again_only_when_told() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    let mut bench = bench;
    bench.pull().await.unwrap();
    assert!(bench.pull().await.unwrap().already_there);
    assert_eq!(server.requests().len(), 1);
    bench.options.again = true;
    assert!(!bench.pull().await.unwrap().already_there);
    assert_eq!(server.requests().len(), 2);
    bench.assert_in_place();
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let server = Server::start(|number, _| match number {
        0 => Answer::CutAfter(file(), 300_000),
        _ => Answer::File(file()),
    });
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
    let requests = server.requests();
    assert_eq!(requests[1].range_start(), Some(300_000));
    assert_eq!(requests[1].header("if-range"), Some("\"v1\""));
}

#[tokio::test]
async fn a_later_run_goes_on_from_what_an_earlier_one_left() {
    let server = Server::start(|number, _| match number {
        0 => Answer::CutAfter(file(), 100_000),
        1..=4 => Answer::Status(503, ""),
        _ => Answer::File(file()),
    });
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err();
    assert!(matches!(error, ModelError::Transfer { .. }), "{error}");
    assert_eq!(fs::metadata(bench.part()).unwrap().len(), 100_000);
    assert_eq!(
        bench.store.list()[0].state,
        State::Partial {
            received_bytes: 100_000
        }
    );
    bench.pull().await.unwrap();
    bench.assert_in_place();
    assert_eq!(
        server.requests().last().unwrap().range_start(),
        Some(100_000)
    );
}

#[tokio::test]
async fn a_stalled_connection_is_given_up_and_gone_on_from() {
    let server = Server::start(|number, _| match number {
        0 => Answer::StallAfter(file(), 50_000),
        _ => Answer::File(file()),
    });
    let bench = Bench::new(&server);
    let start = Instant::now();
    bench.pull().await.unwrap();
    bench.assert_in_place();
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(server.requests()[1].range_start(), Some(50_000));
}

#[tokio::test]
async fn a_server_that_always_stalls_fails_with_the_way_by_hand() {
    let server = Server::start(|_, _| Answer::StallAfter(file(), 0));
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err().to_string();
    assert!(error.contains("nothing came for"), "{error}");
    let place = bench.path().display().to_string();
    assert!(
        error.contains("https://huggingface.co/owner/name/resolve/abc/ggml-m.bin"),
        "{error}"
    );
    assert!(error.contains(&place), "{error}");
    bench.assert_absent();
}

#[tokio::test]
async fn a_server_that_ignores_ranges_sends_all_of_it_again() {
    let server = Server::start(|number, _| match number {
        0 => Answer::CutAfter(file(), 300_000),
        _ => Answer::WholeFile(file()),
    });
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
}

#[tokio::test]
async fn redirects_are_followed_and_keep_the_range() {
    let server = Server::start(|number, request| {
        if request.path.starts_with("/owner") {
            Answer::Redirect("/elsewhere/file".into())
        } else if number == 1 {
            Answer::CutAfter(file(), 60_000)
        } else {
            Answer::File(file())
        }
    });
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
    assert_eq!(server.requests()[3].path, "/elsewhere/file");
    assert_eq!(server.requests()[3].range_start(), Some(60_000));
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = Server::start(|number, _| Answer::Redirect(format!("/{number}")));
    let bench = Bench::new(&server);
    let error = bench.pull().await.unwrap_err();
    assert!(
        error.to_string().contains("more than 10 redirects"),
        "{error}"
    );
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_its_wish_is_capped() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Status(429, "Retry-After: 3600\r\n"),
        1 => Answer::Status(503, ""),
        2 => Answer::Status(500, ""),
        _ => Answer::File(file()),
    });
    let bench = Bench::new(&server);
    bench.pull().await.unwrap();
    bench.assert_in_place();
    let retries: Vec<_> = bench
        .progress
        .lock()
        .unwrap()
        .iter()
        .filter_map(|p| match p {
            PullProgress::Retrying { delay, .. } => Some(*delay),
            _ => None,
        })
        .collect();
    assert_eq!(retries, [40, 10, 20].map(Duration::from_millis));
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_after_the_last_attempt() {
    let server = Server::start(|_, _| Answer::File(file()));
    let mut bench = Bench::new(&server);
    // Nobody listens on port 1.
    bench.options.endpoint = Endpoint::new("http://127.0.0.1:1").unwrap();
    let error = bench.pull().await.unwrap_err();
    assert!(
        matches!(error, ModelError::Transfer { attempts: 4, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn cancelling_keeps_what_has_come() {
    let server = Server::start(|_, _| Answer::Slowly(file(), 20_000, Duration::from_millis(20)));
    let bench = Bench::new(&server);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        stop.cancel();
    });
    let error = bench.pull_until(&cancel).await.unwrap_err();
    assert!(matches!(error, ModelError::Cancelled { .. }), "{error}");
    let kept = fs::metadata(bench.part()).unwrap().len();
    assert!(kept > 0 && kept < file().len() as u64, "{kept}");
    bench.assert_absent();
    bench.pull().await.unwrap();
    bench.assert_in_place();
    assert_eq!(
        server.requests()[1].range_start(),
        Some(usize::try_from(kept).unwrap())
    );
}

#[tokio::test]
async fn two_pulls_of_one_model_download_it_once() {
    let server = Server::start(|_, _| Answer::Slowly(file(), 100_000, Duration::from_millis(20)));
    let bench = Bench::new(&server);
    // A second store over the same folder: another process, for the lock.
    let other = ModelStore::new(
        registry(&sha256(&file())),
        bench.folder.path().join("models"),
        Vec::new(),
    );
    let waited = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&waited);
    let note = move |p| *seen.lock().unwrap() |= p == PullProgress::Waiting;
    let cancel = CancellationToken::new();
    let second = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        other.pull("m", &bench.options, &note, &cancel).await
    };
    let (first, second) = tokio::join!(bench.pull(), second);
    assert!(!first.unwrap().already_there);
    assert!(second.unwrap().already_there);
    assert!(*waited.lock().unwrap());
    bench.assert_in_place();
    assert_eq!(server.requests().len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_says_so_and_how_much_is_missing() {
    let server = Server::start(|_, _| Answer::File(file()));
    let bench = Bench::new(&server);
    fs::create_dir_all(bench.part().parent().unwrap()).unwrap();
    // Every write to /dev/full fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", bench.part()).unwrap();
    let error = bench.pull().await.unwrap_err();
    assert!(matches!(error, ModelError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    bench.assert_absent();
}
