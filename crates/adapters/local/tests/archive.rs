//! The archive through crashes, full disks, damage and deletion.

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

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use futures::TryStreamExt;
use speakr_core::{
    RecordingState, Tags,
    ports::archive::{Archive, ArchiveError, SoundForm},
};
use speakr_local::{FolderArchive, Home};
use support::{
    BrokenEncoder, FfmpegCodec, LyingEncoder, archive, read_all, recording, tone, transcript,
};

#[tokio::test]
async fn what_is_written_is_read_back_before_and_after_compaction() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let sound = tone(40_000);
    let mut writer = archive.begin(&recording).await.unwrap();
    for chunk in sound.chunks(1_600) {
        writer.write(chunk).await.unwrap();
    }
    writer.sync().await.unwrap();
    assert_eq!(writer.samples(), 40_000);
    drop(writer);

    assert_eq!(archive.recording(id).await.unwrap(), recording);
    assert_eq!(read_all(&archive, id).await, sound);
    archive.compact_sound(id).await.unwrap();
    let folder = archive.home().recording(id);
    assert!(!folder.join("audio.pcm").exists());
    let path = archive.sound_path(id).unwrap();
    assert_eq!(path, folder.join("audio.flac"));
    let file = archive.sound_file(id).await.unwrap();
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(file.form(), SoundForm::Flac);
    assert_eq!(file.bytes(), bytes.len() as u64);
    for range in [0..4, 0..file.bytes(), 5..5, 100..file.bytes()] {
        let read: Vec<Vec<u8>> = file
            .read(range.clone())
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let wanted = range.start as usize..range.end as usize;
        assert_eq!(read.concat(), bytes[wanted], "{range:?}");
    }
    assert_eq!(read_all(&archive, id).await, sound);
    archive.compact_sound(id).await.unwrap(); // Again: nothing to do.
}

#[tokio::test]
async fn everything_is_closed_to_other_users() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&tone(16_000)).await.unwrap();
    archive
        .put_transcript(&transcript(&recording, "text"))
        .await
        .unwrap();
    archive.compact_sound(id).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(archive.home().path()), 0o700);
    let folder = archive.home().recording(id);
    assert_eq!(mode(&folder), 0o700);
    for name in ["recording.json", "transcript.json", "audio.flac"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_holds_other_things_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("else"), "x").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    Home::new(&shared).create().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&shared), 0o755);
    assert_eq!(mode(&shared.join("recordings")), 0o700);
}

#[tokio::test]
async fn a_second_begin_never_writes_over_sound() {
    let (_folder, archive) = archive();
    let recording = recording();
    let sound = tone(1_600);
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound).await.unwrap();
    let error = archive.begin(&recording).await.map(drop).unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error:?}");
    assert_eq!(read_all(&archive, recording.recording_id).await, sound);
}

#[tokio::test]
async fn sound_cut_within_a_sample_by_a_crash_is_read_up_to_there() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let sound = tone(20_001);
    drop(archive.begin(&recording).await.unwrap());
    let mut bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
    bytes.pop();
    fs::write(archive.home().recording(id).join("audio.pcm"), &bytes).unwrap();
    assert_eq!(read_all(&archive, id).await, sound[..20_000]);
    archive.compact_sound(id).await.unwrap();
    assert_eq!(read_all(&archive, id).await, sound[..20_000]);
}

#[tokio::test]
async fn the_raw_sound_is_kept_when_the_encoder_fails_or_lies() {
    for encoder in [
        Arc::new(BrokenEncoder) as Arc<dyn speakr_core::ports::sound::SoundEncoder>,
        Arc::new(LyingEncoder),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let archive =
            FolderArchive::open(folder.path().join("home"), encoder, Arc::new(FfmpegCodec))
                .unwrap();
        let recording = recording();
        let id = recording.recording_id;
        let sound = tone(30_000);
        archive
            .begin(&recording)
            .await
            .unwrap()
            .write(&sound)
            .await
            .unwrap();
        archive.compact_sound(id).await.unwrap_err();
        assert_eq!(read_all(&archive, id).await, sound);
        let mut names: Vec<_> = fs::read_dir(archive.home().recording(id))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audio.pcm", "recording.json"]);
    }
}

#[tokio::test]
async fn a_crash_between_the_flac_and_the_raw_sounds_removal_loses_neither() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let sound = tone(16_000);
    archive
        .begin(&recording)
        .await
        .unwrap()
        .write(&sound)
        .await
        .unwrap();
    let folder = archive.home().recording(id);
    let raw = fs::read(folder.join("audio.pcm")).unwrap();
    archive.compact_sound(id).await.unwrap();
    fs::write(folder.join("audio.pcm"), raw).unwrap();
    assert_eq!(read_all(&archive, id).await, sound);
    archive.compact_sound(id).await.unwrap();
    assert!(!folder.join("audio.pcm").exists());
    assert_eq!(read_all(&archive, id).await, sound);
}

#[tokio::test]
async fn a_half_made_flac_of_a_crash_is_made_again() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let sound = tone(16_000);
    archive
        .begin(&recording)
        .await
        .unwrap()
        .write(&sound)
        .await
        .unwrap();
    let folder = archive.home().recording(id);
    fs::write(folder.join(".unfinished-audio.flac"), b"fLaC half").unwrap();
    assert_eq!(read_all(&archive, id).await, sound);
    archive.compact_sound(id).await.unwrap();
    assert_eq!(read_all(&archive, id).await, sound);
    assert!(!folder.join(".unfinished-audio.flac").exists());
}

#[tokio::test]
async fn a_recording_of_no_sound_compacts_to_itself() {
    let (_folder, archive) = archive();
    let recording = recording();
    drop(archive.begin(&recording).await.unwrap());
    archive.compact_sound(recording.recording_id).await.unwrap();
    assert!(read_all(&archive, recording.recording_id).await.is_empty());
}

#[tokio::test]
async fn a_damaged_description_hides_nothing_and_is_made_again() {
    let (_folder, archive) = archive();
    for garbage in ["", "{\"recording_id\": 7", "\u{0}\u{0}\u{0}"] {
        let mut damaged = recording();
        let id = damaged.recording_id;
        archive
            .begin(&damaged)
            .await
            .unwrap()
            .write(&tone(32_000))
            .await
            .unwrap();
        let whole = recording();
        drop(archive.begin(&whole).await.unwrap());
        fs::write(archive.home().recording(id).join("recording.json"), garbage).unwrap();

        let ids = archive.ids().await.unwrap();
        assert!(ids.contains(&id) && ids.contains(&whole.recording_id));
        assert_eq!(archive.recording(whole.recording_id).await.unwrap(), whole);
        let rebuilt = archive.recording(id).await.unwrap();
        assert_eq!(rebuilt.recording_id, id);
        assert_eq!(rebuilt.state, RecordingState::Captured);
        assert_eq!(rebuilt.duration_ms, Some(2_000));
        assert_eq!(archive.recording(id).await.unwrap(), rebuilt);
        let aside = archive.home().recording(id).join("recording.json.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), garbage);

        // With a text beside it, tags and time of capture come back too.
        damaged.tags = Tags::new(["kept"]);
        archive
            .put_transcript(&transcript(&damaged, "words"))
            .await
            .unwrap();
        fs::write(archive.home().recording(id).join("recording.json"), garbage).unwrap();
        let rebuilt = archive.recording(id).await.unwrap();
        assert_eq!(rebuilt.tags, damaged.tags);
        assert_eq!(rebuilt.created_at, damaged.created_at);
        assert_eq!(rebuilt.state, RecordingState::Transcribed);
    }
}

#[tokio::test]
async fn a_description_of_another_recording_is_damage() {
    let (_folder, archive) = archive();
    let (one, other) = (recording(), recording());
    archive
        .begin(&one)
        .await
        .unwrap()
        .write(&tone(160))
        .await
        .unwrap();
    drop(archive.begin(&other).await.unwrap());
    let file = |r: &speakr_core::Recording| {
        archive
            .home()
            .recording(r.recording_id)
            .join("recording.json")
    };
    fs::copy(file(&other), file(&one)).unwrap();
    let rebuilt = archive.recording(one.recording_id).await.unwrap();
    assert_eq!(rebuilt.recording_id, one.recording_id);
}

#[tokio::test]
async fn nothing_left_but_a_damaged_description_is_told_as_damage() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    drop(archive.begin(&recording).await.unwrap());
    let folder = archive.home().recording(id);
    fs::remove_file(folder.join("audio.pcm")).unwrap();
    fs::write(folder.join("recording.json"), "garbage").unwrap();
    let error = archive.recording(id).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error:?}");
    archive.delete(id).await.unwrap();
}

#[tokio::test]
async fn deletion_removes_all_and_nothing_brings_it_back() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    archive
        .begin(&recording)
        .await
        .unwrap()
        .write(&tone(1_600))
        .await
        .unwrap();
    archive
        .put_transcript(&transcript(&recording, "secret"))
        .await
        .unwrap();
    let deleted = archive.delete(id).await.unwrap();
    assert!(
        deleted.sound && deleted.text && deleted.bytes > 3_200,
        "{deleted:?}"
    );
    assert!(!archive.home().recording(id).exists());
    assert!(archive.is_deleted(id).await.unwrap());
    assert!(!archive.ids().await.unwrap().contains(&id));

    let is_deleted = |error: ArchiveError| matches!(error, ArchiveError::Deleted(of) if of == id);
    assert!(is_deleted(
        archive.begin(&recording).await.map(drop).unwrap_err()
    ));
    let amended = archive.amend(id, Box::new(|recording| recording.error = None));
    assert!(is_deleted(amended.await.unwrap_err()));
    let late = archive
        .put_transcript(&transcript(&recording, "late"))
        .await;
    assert!(is_deleted(late.unwrap_err()));
    assert!(!archive.home().recording(id).exists());
    assert_eq!(archive.delete(id).await.unwrap(), Default::default());
}

#[tokio::test]
async fn what_is_forgotten_leaves_no_trace_and_can_be_begun_again() {
    let (_folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    let recordings = archive.home().recordings();
    // A crash may have left this of an earlier time.
    let left = recordings.join(format!(".unfinished-{id}-forgotten"));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("audio.pcm"), "sound").unwrap();
    archive
        .begin(&recording)
        .await
        .unwrap()
        .write(&tone(3_200))
        .await
        .unwrap();
    archive.forget(id).await.unwrap();
    assert_eq!(fs::read_dir(&recordings).unwrap().count(), 0);
    assert!(!archive.is_deleted(id).await.unwrap());
    let sound = tone(1_600);
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound).await.unwrap();
    assert_eq!(read_all(&archive, id).await, sound);
    archive
        .forget(support::recording().recording_id)
        .await
        .unwrap();
    assert_eq!(archive.ids().await.unwrap(), [id]);
}

#[tokio::test]
async fn a_deletion_that_a_crash_broke_off_is_finished_at_the_next_start() {
    let (folder, archive) = archive();
    let recording = recording();
    let id = recording.recording_id;
    drop(archive.begin(&recording).await.unwrap());
    fs::write(archive.home().tombstones().join(id.to_string()), b"").unwrap();
    assert!(!archive.ids().await.unwrap().contains(&id));
    assert!(matches!(
        archive.recording(id).await,
        Err(ArchiveError::Deleted(_))
    ));
    drop(archive);
    let archive = support::reopen(&folder);
    assert!(!archive.home().recording(id).exists());
}

#[tokio::test]
async fn deleting_what_never_was_is_an_error() {
    let (_folder, archive) = archive();
    let id = recording().recording_id;
    let error = archive.delete(id).await.unwrap_err();
    assert!(matches!(error, ArchiveError::NotFound(of) if of == id));
    assert!(!archive.is_deleted(id).await.unwrap());
}

#[tokio::test]
async fn foreign_names_among_the_recordings_are_left_alone() {
    let (_folder, archive) = archive();
    let recordings = archive.home().recordings();
    let upper = recording().recording_id.to_string().to_uppercase();
    for name in ["notes", "..hidden", "🎉", "-rf", &upper] {
        fs::create_dir(recordings.join(name)).unwrap();
    }
    assert!(archive.ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_home_that_cannot_be_made_is_named() {
    // A file in the way stops everybody, root too.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let codec = Arc::new(FfmpegCodec);
    let error = FolderArchive::open(file.join("home"), codec.clone(), codec).unwrap_err();
    assert!(error.to_string().contains("file/home"), "{error}");
}

#[test]
fn a_read_only_home_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    home.create().unwrap();
    support::read_only(home.path(), || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let archive = support::reopen(&folder);
            let error = archive.begin(&recording()).await.map(drop).unwrap_err();
            assert!(matches!(error, ArchiveError::Io { .. }), "{error:?}");
            let shown = home.recordings().display().to_string();
            assert!(error.to_string().contains(&shown), "{error}");
        });
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_was_written_and_says_so() {
    let name = "a_full_disk_keeps_what_was_written_and_says_so";
    support::on_small_disk(name, 256, |disk| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(fill(disk));
    });
}

#[cfg(target_os = "linux")]
async fn fill(disk: &Path) {
    let codec = Arc::new(FfmpegCodec);
    let archive = FolderArchive::open(disk.join("home"), codec.clone(), codec).unwrap();
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = archive.begin(&recording).await.unwrap();
    let chunk = tone(1_600);
    let error = loop {
        if let Err(error) = writer.write(&chunk).await {
            break error;
        }
        assert!(writer.samples() < 1_000_000, "the disk never got full");
    };
    assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
    let kept = writer.samples();
    assert!(kept > 10_000);
    let sound = read_all(&archive, id).await;
    assert_eq!(sound.len() as u64, kept);
    assert!(sound.chunks(1_600).all(|c| *c == chunk[..c.len()]));

    // A text that doesn't fit leaves the old one whole.
    let error = archive
        .put_transcript(&transcript(&recording, &"word ".repeat(100_000)))
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::Full { .. }), "{error:?}");
    assert_eq!(archive.transcript(id).await.unwrap(), None);
    assert_eq!(archive.recording(id).await.unwrap(), recording);
    let error = archive.compact_sound(id).await.unwrap_err();
    assert_eq!(read_all(&archive, id).await.len() as u64, kept, "{error}");
}
