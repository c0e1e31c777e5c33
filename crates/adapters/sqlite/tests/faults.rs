//! Damaged files, other processes, sudden deaths.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use speakr_core::ports::index::{Filter, Index, IndexError};
use speakr_sqlite::{SqliteIndex, set_aside};
use support::{
    Place,
    things::{MODEL, Numbers, passage, recording_at, transcript},
};

/// Set in a process that writes until it is done or killed.
const WRITER: &str = "SPEAKR_SQLITE_TEST_INDEX";

/// How many recordings a writer puts in.
const WRITER_COUNT: i64 = 40;

async fn put_one(index: &SqliteIndex, second: i64, numbers: &mut Numbers) {
    let recording = recording_at(second, &["tag"]);
    let passages: Vec<_> = (0..8)
        .map(|i| passage(i, "some words of a note", numbers.vector()))
        .collect();
    index
        .upsert(
            &recording,
            Some(&transcript(&recording, "some words")),
            &passages,
            MODEL,
        )
        .await
        .unwrap();
}

/// A writer: this test binary, started again with [`WRITER`] set. Without it there is nothing to
/// do, and the tests below start it.
#[tokio::test]
async fn writer() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    let index = support::open(Path::new(&path)).await;
    let mut numbers = Numbers(u64::from(std::process::id()));
    for second in 0..WRITER_COUNT {
        put_one(&index, second, &mut numbers).await;
        println!("wrote {second}");
    }
}

fn start_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn assert_whole(index: &SqliteIndex, recordings: usize) {
    let all = Filter::default();
    assert_eq!(
        index.list(&all, usize::MAX).await.unwrap().len(),
        recordings
    );
    let query = Numbers(1).vector();
    let by_vector = index
        .vector_hits(&query, MODEL, &all, usize::MAX)
        .await
        .unwrap();
    assert_eq!(by_vector.len(), recordings * 8);
    let by_words = index
        .keyword_hits("words", None, &all, 100_000)
        .await
        .unwrap();
    assert_eq!(by_words.len(), recordings * 8);
}

#[tokio::test]
async fn several_processes_create_write_and_search_one_index_at_once() {
    let place = Place::new();
    let mut writers: Vec<Child> = (0..3).map(|_| start_writer(&place.path)).collect();
    let index = place.open().await;
    let mut numbers = Numbers(2);
    for second in 0..WRITER_COUNT {
        put_one(&index, second, &mut numbers).await;
        let query = numbers.vector();
        let hits = index
            .vector_hits(&query, MODEL, &Filter::default(), 8)
            .await
            .unwrap();
        assert_eq!(hits.len(), 8);
    }
    for writer in &mut writers {
        // Its output is read, so that it never waits for us.
        let output = BufReader::new(writer.stdout.take().unwrap()).lines();
        let lines: Vec<String> = output.map_while(Result::ok).collect();
        assert!(writer.wait().unwrap().success(), "{lines:#?}");
    }
    assert_whole(&index, 4 * WRITER_COUNT as usize).await;
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_recordings_and_no_lock() {
    let place = Place::new();
    let mut writer = start_writer(&place.path);
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let told = lines
        .by_ref()
        .map_while(Result::ok)
        .filter(|line| line.contains("wrote "))
        .take(10)
        .count();
    writer.kill().unwrap(); // SIGKILL
    assert!(!writer.wait().unwrap().success());
    drop(lines);
    let index = place.open().await;
    let kept = index.ids().await.unwrap().len();
    assert!(kept >= told, "{kept} < {told}");
    assert_whole(&index, kept).await;
    put_one(&index, 1_000, &mut Numbers(3)).await;
    assert_whole(&index, kept + 1).await;
}

async fn filled(place: &Place) {
    let index = place.open().await;
    let mut numbers = Numbers(4);
    for second in 0..60 {
        put_one(&index, second, &mut numbers).await;
    }
    index.close().await;
}

async fn use_all(place: &Place) -> Result<(), IndexError> {
    let index = SqliteIndex::open(&place.path, &place.backups).await?;
    let all = Filter::default();
    index.list(&all, usize::MAX).await?;
    index.keyword_hits("words", None, &all, 10).await?;
    index
        .vector_hits(&Numbers(5).vector(), MODEL, &all, 10)
        .await?;
    Ok(())
}

fn overwrite(path: &Path, from: u64, with: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(with).unwrap();
}

#[tokio::test]
async fn damage_is_told_as_damage_and_a_new_index_takes_the_place() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("not a database", |path| {
            fs::write(path, "garbage ".repeat(9_999)).unwrap()
        }),
        ("a broken header", |path| overwrite(path, 0, &[0; 64])),
        ("noise in the middle", |path| {
            let length = fs::metadata(path).unwrap().len();
            overwrite(path, 16_384, &vec![0xa5; length as usize - 16_384]);
        }),
        ("cut short", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(40_000).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let place = Place::new();
        filled(&place).await;
        harm(&place.path);
        let damaged = fs::read(&place.path).unwrap();
        let error = use_all(&place).await.expect_err(what);
        assert!(
            matches!(error, IndexError::Damaged { .. }),
            "{what}: {error:?}"
        );

        let aside = set_aside(&place.path, &place.backups).unwrap();
        assert_eq!(fs::read(aside).unwrap(), damaged, "{what}");
        assert!(!place.path.exists());
        use_all(&place).await.expect(what);
        put_one(&place.open().await, 1, &mut Numbers(6)).await;
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_index() {
    let place = Place::new();
    fs::write(&place.path, "").unwrap();
    use_all(&place).await.unwrap();
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let place = Place::new();
    fs::write(place.folder.path().join("file"), "").unwrap();
    let path = place.folder.path().join("file/index.sqlite3");
    let error = SqliteIndex::open(&path, &place.backups).await.unwrap_err();
    assert!(error.to_string().contains("file/index.sqlite3"), "{error}");
    assert!(matches!(error, IndexError::Database { .. }), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_index_and_its_side_files_are_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let index = place.open().await;
    put_one(&index, 1, &mut Numbers(7)).await;
    let mut seen = 0;
    for entry in fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
            seen += 1;
        }
    }
    assert!(seen >= 2, "no log beside the index?");
}
