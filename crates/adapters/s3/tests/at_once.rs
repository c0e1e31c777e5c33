//! Several who change one recording at once: nothing that one of them wrote is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use speakr_core::{
    Recording, RecordingId, RecordingState, Tags, Transcript,
    ports::archive::{Archive, ArchiveError, Change},
};
use speakr_s3::{Credentials, S3Archive, S3Config};
use speakr_testkit::s3::{Kind, S3};
use support::{Place, config, each, recording, transcript};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Another process, as it were, that does `work` from beginning to end now.
fn another_does(s3: S3Config, work: impl AsyncFnOnce(S3Archive) + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move { work(S3Archive::open(&s3).await).await });
    })
    .join()
    .unwrap();
}

fn label<T>(tag: &str, of: fn(&mut T) -> &mut Tags) -> Change<T>
where
    T: 'static,
{
    let tag = Tags::new([tag]);
    Box::new(move |document| of(document).extend(&tag))
}

fn of_recording(recording: &mut Recording) -> &mut Tags {
    &mut recording.tags
}

fn of_text(text: &mut Transcript) -> &mut Tags {
    &mut text.tags
}

#[tokio::test]
async fn a_change_that_comes_between_the_reading_and_the_writing_of_another_stays() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        drop(archive.begin(&recording).await.unwrap());
        let text = transcript(&recording, "old words");
        archive.put_transcript(&text).await.unwrap();

        let (s3, met) = (config(&place.s3), AtomicBool::new(false));
        let change = move |recording: &mut Recording| {
            recording.state = RecordingState::Captured;
            if !met.swap(true, Ordering::SeqCst) {
                another_does(s3.clone(), async move |other| {
                    other.amend(id, label("mine", of_recording)).await.unwrap();
                });
            }
        };
        let amended = archive.amend(id, Box::new(change)).await.unwrap();
        assert_eq!(amended, archive.recording(id).await.unwrap());
        assert_eq!(amended.state, RecordingState::Captured);
        assert_eq!(amended.tags, Tags::new(["mine", "work"]));

        // A text that is made anew isn't written over by the old one with another label.
        let (s3, met) = (config(&place.s3), AtomicBool::new(false));
        let anew = transcript(&recording, "new words");
        let change = move |text: &mut Transcript| {
            text.tags.extend(&Tags::new(["label"]));
            if !met.swap(true, Ordering::SeqCst) {
                let anew = anew.clone();
                another_does(s3.clone(), async move |other| {
                    other.put_transcript(&anew).await.unwrap();
                });
            }
        };
        let amended = archive
            .amend_transcript(id, Box::new(change))
            .await
            .unwrap();
        assert_eq!(amended, archive.transcript(id).await.unwrap());
        let amended = amended.unwrap();
        assert_eq!(amended.text, "new words");
        assert_eq!(amended.tags, Tags::new(["label", "work"]));
    })
    .await;
}

#[tokio::test]
async fn of_many_changes_at_once_none_is_lost() {
    // Moto looks at a condition and writes in two steps, so it loses what comes in between.
    let place = match Kind::installed().unwrap()[..] {
        [Kind::Versitygw, ..] => Place::start(Kind::Versitygw).await,
        _ => {
            println!("moto alone is installed: not tried");
            return;
        }
    };
    let recording = recording();
    let id = recording.recording_id;
    drop(place.archive.begin(&recording).await.unwrap());
    let text = transcript(&recording, "words");
    place.archive.put_transcript(&text).await.unwrap();
    let changes = join_all((0..20).map(|number| {
        let s3 = config(&place.s3);
        tokio::spawn(async move {
            let archive = S3Archive::open(&s3).await;
            let tag = format!("tag-{number:02}");
            archive.amend(id, label(&tag, of_recording)).await.unwrap();
            archive
                .amend_transcript(id, label(&tag, of_text))
                .await
                .unwrap();
        })
    }));
    assert!(changes.await.iter().all(Result::is_ok));
    let all = Tags::new(
        (0..20)
            .map(|n| format!("tag-{n:02}"))
            .chain(["work".to_owned()]),
    );
    assert_eq!(place.archive.recording(id).await.unwrap().tags, all);
    assert_eq!(
        place.archive.transcript(id).await.unwrap().unwrap().tags,
        all
    );
}

#[tokio::test]
async fn a_change_of_what_was_deleted_meanwhile_brings_nothing_back() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        drop(archive.begin(&recording).await.unwrap());
        let s3 = config(&place.s3);
        let change = move |recording: &mut Recording| {
            recording.error = Some("zucchini".to_owned());
            another_does(s3.clone(), async move |other| {
                other.delete(id).await.unwrap();
            });
        };
        let error = archive.amend(id, Box::new(change)).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Deleted(_)), "{error:?}");
        assert_eq!(place.holding("zucchini").await, Vec::<String>::new());
    })
    .await;
}

/// A request with its body.
async fn whole_request(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&got).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return String::from_utf8_lossy(&got).into_owned();
            }
        }
        let mut more = [0; 4_096];
        let read = stream.read(&mut more).await.unwrap();
        assert_ne!(read, 0, "half a request");
        got.extend(&more[..read]);
    }
}

/// A store that answers every PUT with `put`, and has nothing.
async fn store_that_answers(put: &'static str) -> S3Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let asked = whole_request(&mut stream).await;
                let (status, body) = match asked.split(' ').next() {
                    Some("PUT") => (put, ""),
                    _ => ("200 OK", "<ListBucketResult></ListBucketResult>"),
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.ok();
            });
        }
    });
    S3Config {
        endpoint: Some(format!("http://{address}")),
        region: Some(S3::REGION.to_owned()),
        path_style: true,
        credentials: Some(Credentials::fixed("nobody", "nothing")),
        ..S3Config::new(S3::BUCKET)
    }
}

#[tokio::test]
async fn a_store_that_takes_no_notice_of_conditions_or_refuses_them_is_told_by_the_check() {
    for put in ["200 OK", "501 Not Implemented"] {
        let archive = S3Archive::open(&store_that_answers(put).await).await;
        let never: RecordingId = recording().recording_id;
        for result in [
            archive.check().await,
            archive.begin(&recording()).await.map(drop),
        ] {
            let error = result.unwrap_err();
            let cause = std::error::Error::source(&error)
                .expect("a cause")
                .to_string();
            assert!(cause.contains("bucket \"speakr\""), "{put}: {cause}");
            assert!(cause.contains("If-Match"), "{put}: {cause}");
        }
        assert!(archive.recording(never).await.is_err());
    }
}

#[tokio::test]
async fn a_store_that_keeps_conditions_passes_the_check_and_is_left_as_it_was() {
    each(async |place| {
        place.archive.check().await.unwrap();
        let listed = place.client.list_object_versions().bucket(S3::BUCKET);
        assert!(listed.send().await.unwrap().versions().is_empty());
    })
    .await;
}
