//! The archive against a real S3 server with versions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::ops::Range;

use futures::TryStreamExt;
use speakr_core::{
    Recording, RecordingState, Tags,
    ports::archive::{Archive, ArchiveError, Deleted, SoundFile, SoundForm},
};
use speakr_s3::S3Archive;
use speakr_testkit::s3::{Kind, S3};
use support::{Place, config, each, heard, recording, sound, transcript};

async fn file_bytes(file: &dyn SoundFile, range: Range<u64>) -> Vec<u8> {
    let pieces = file.read(range).await.unwrap();
    pieces.try_collect::<Vec<_>>().await.unwrap().concat()
}

#[tokio::test]
async fn sound_goes_in_as_it_comes_and_becomes_one_file_of_many_parts() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        // Some twelve megabytes: three parts.
        let pcm = sound(6_000_001);
        let mut writer = archive.begin(&recording).await.unwrap();
        for block in pcm.chunks(500_000) {
            writer.write(block).await.unwrap();
        }
        writer.sync().await.unwrap();
        assert_eq!(writer.samples(), pcm.len() as u64);
        assert!(heard(archive, id).await == pcm);
        let raw: Vec<u8> = pcm.iter().flat_map(|s| s.to_le_bytes()).collect();
        let file = archive.sound_file(id).await.unwrap();
        assert_eq!(
            (file.form(), file.bytes()),
            (SoundForm::Raw, raw.len() as u64)
        );
        // Over the edges of several pieces.
        let range = 900_001..3_100_001;
        let middle = file_bytes(file.as_ref(), range.clone()).await;
        assert!(middle == raw[range.start as usize..range.end as usize]);
        archive.compact_sound(id).await.unwrap();
        archive.compact_sound(id).await.unwrap(); // Again: nothing to do.
        assert!(heard(archive, id).await == pcm);

        let file = archive.sound_file(id).await.unwrap();
        assert_eq!(file.form(), SoundForm::Wav);
        let bytes = file_bytes(file.as_ref(), 0..file.bytes()).await;
        assert_eq!(bytes.len(), 80 + 2 * pcm.len());
        assert_eq!(&bytes[..4], b"RIFF");
        let middle = file_bytes(file.as_ref(), 7_000_001..7_000_100).await;
        assert_eq!(middle, bytes[7_000_001..7_000_100]);
        assert!(matches!(
            archive.resume(id).await,
            Err(ArchiveError::NotFound(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn another_process_goes_on_where_the_first_left_off() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        let pcm = sound(200_000);
        let mut writer = archive.begin(&recording).await.unwrap();
        writer.write(&pcm[..90_000]).await.unwrap();
        writer.sync().await.unwrap();
        writer.write(&pcm[90_000..90_100]).await.unwrap(); // Lost with the process.

        let other = S3Archive::open(&config(&place.s3)).await;
        let mut resumed = other.resume(id).await.unwrap();
        assert_eq!(resumed.samples(), 90_000);
        resumed.write(&pcm[90_000..]).await.unwrap();
        resumed.sync().await.unwrap();
        // The first isn't dead after all: it may not mix its sound into the other's.
        writer.write(&[7; 200]).await.unwrap();
        let error = writer.sync().await.unwrap_err();
        assert!(matches!(error, ArchiveError::Taken { .. }), "{error:?}");
        assert!(heard(archive, id).await == pcm);
        // It is told where to go on from, like any other.
        assert_eq!(archive.resume(id).await.unwrap().samples(), 200_000);
        let begun_twice = archive.begin(&recording).await.map(drop);
        assert!(
            matches!(begun_twice, Err(ArchiveError::Taken { .. })),
            "{begun_twice:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn descriptions_and_texts_come_back_and_what_is_missing_is_told() {
    each(async |place| {
        let archive = &place.archive;
        let mut recording = recording();
        let id = recording.recording_id;
        assert!(matches!(
            archive.amend(id, Box::new(|_| ())).await,
            Err(ArchiveError::NotFound(_))
        ));
        assert!(matches!(
            archive.recording(id).await,
            Err(ArchiveError::NotFound(_))
        ));
        drop(archive.begin(&recording).await.unwrap());
        assert_eq!(archive.recording(id).await.unwrap(), recording);
        assert_eq!(archive.transcript(id).await.unwrap(), None);
        let text = transcript(&recording, "some words");
        archive.put_transcript(&text).await.unwrap();
        recording.state = RecordingState::Transcribed;
        let transcribed = |recording: &mut Recording| recording.state = RecordingState::Transcribed;
        let amended = archive.amend(id, Box::new(transcribed)).await.unwrap();
        assert_eq!(amended, recording);
        assert_eq!(archive.recording(id).await.unwrap(), recording);
        assert_eq!(archive.transcript(id).await.unwrap(), Some(text));
        assert_eq!(archive.ids().await.unwrap(), [id]);
        assert_eq!(archive.resume(id).await.unwrap().samples(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_description_is_made_again_from_the_text() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        drop(archive.begin(&recording).await.unwrap());
        let text = transcript(&recording, "some words");
        archive.put_transcript(&text).await.unwrap();
        place
            .put(&format!("recordings/{id}/recording.json"), "garbage")
            .await;
        let rebuilt = archive.recording(id).await.unwrap();
        assert_eq!(rebuilt.state, RecordingState::Transcribed);
        assert_eq!(rebuilt.tags, recording.tags);
        assert_eq!(archive.recording(id).await.unwrap(), rebuilt);
    })
    .await;
}

/// What is left of a write that the store broke off in the middle.
#[derive(Debug, Clone, Copy)]
enum Half {
    /// It knows of an object that it hasn't got.
    Missing,
    /// What it has doesn't fit the checksum.
    Torn,
}

impl Half {
    fn leave(self, place: &Place, key: &str) {
        let file = place.s3.files().unwrap().join("data").join(S3::BUCKET);
        let file = file.join(key);
        match self {
            Self::Missing => std::fs::remove_file(file).unwrap(),
            Self::Torn => std::fs::write(file, "half").unwrap(),
        }
    }
}

#[tokio::test]
async fn what_a_store_left_half_written_is_written_again() {
    for half in [Half::Missing, Half::Torn] {
        let place = Place::start(Kind::Versitygw).await;
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        let mut writer = archive.begin(&recording).await.unwrap();
        writer.write(&sound(16_000)).await.unwrap();
        writer.sync().await.unwrap();
        drop(writer);
        half.leave(&place, &format!("recordings/{id}/recording.json"));
        let rebuilt = archive.recording(id).await.unwrap();
        // More of it may wait in the bus, where it is kept until this says that all is captured.
        assert_eq!(rebuilt.state, RecordingState::Capturing, "{half:?}");
        assert_eq!(archive.recording(id).await.unwrap(), rebuilt, "{half:?}");
        assert_eq!(archive.resume(id).await.unwrap().samples(), 16_000);
        let tag = |recording: &mut Recording| recording.tags = Tags::new(["a"]);
        archive.amend(id, Box::new(tag)).await.unwrap();
        assert_eq!(archive.recording(id).await.unwrap().tags, Tags::new(["a"]));
    }
}

#[tokio::test]
async fn sound_that_a_store_left_half_written_is_written_again() {
    let place = Place::start(Kind::Versitygw).await;
    let archive = &place.archive;
    let recording = recording();
    let id = recording.recording_id;
    let mut writer = archive.begin(&recording).await.unwrap();
    let begun = place.keys().await;
    writer.write(&sound(16_000)).await.unwrap();
    writer.sync().await.unwrap();
    drop(writer);
    let mut pieces = place.keys().await;
    pieces.retain(|key| !begun.contains(key));
    assert_eq!(pieces.len(), 1, "{pieces:?}");
    Half::Missing.leave(&place, &pieces[0]);
    let mut writer = archive.resume(id).await.unwrap();
    assert_eq!(writer.samples(), 0);
    writer.write(&sound(16_000)).await.unwrap();
    writer.sync().await.unwrap();
    drop(writer);
    assert_eq!(heard(archive, id).await, sound(16_000));
}

#[tokio::test]
async fn a_recording_that_begins_while_it_is_asked_for_is_not_there_or_as_it_was_begun() {
    each(async |place| {
        for _ in 0..40 {
            let recording = recording();
            let id = recording.recording_id;
            let begun = {
                let (archive, recording) = (place.archive.clone(), recording.clone());
                tokio::spawn(async move { archive.begin(&recording).await.map(drop) })
            };
            while !begun.is_finished() {
                match place.archive.recording(id).await {
                    Ok(found) => assert_eq!(found, recording),
                    Err(error) => assert!(matches!(error, ArchiveError::NotFound(_)), "{error:?}"),
                }
            }
            begun.await.unwrap().unwrap();
            assert_eq!(place.archive.recording(id).await.unwrap(), recording);
        }
    })
    .await;
}

#[tokio::test]
async fn a_deletion_takes_every_version_and_nothing_brings_it_back() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        let mut writer = archive.begin(&recording).await.unwrap();
        writer.write(&sound(1_000)).await.unwrap();
        writer.sync().await.unwrap();
        for words in ["zucchini first", "zucchini second"] {
            let text = transcript(&recording, words);
            archive.put_transcript(&text).await.unwrap();
        }
        assert!(place.holding("zucchini").await.len() >= 2, "no old version");
        let deleted = archive.delete(id).await.unwrap();
        assert!(deleted.sound && deleted.text && deleted.bytes > 2_000);
        assert_eq!(place.holding("zucchini").await, Vec::<String>::new());
        assert_eq!(archive.delete(id).await.unwrap(), Deleted::default());
        assert!(archive.is_deleted(id).await.unwrap());
        assert!(archive.ids().await.unwrap().is_empty());

        let late = transcript(&recording, "zucchini third");
        for result in [
            archive.put_transcript(&late).await,
            archive.amend(id, Box::new(|_| ())).await.map(drop),
            archive.begin(&recording).await.map(drop),
            archive.recording(id).await.map(drop),
        ] {
            assert!(
                matches!(result, Err(ArchiveError::Deleted(_))),
                "{result:?}"
            );
        }
        // A writer that was at work meanwhile leaves nothing either.
        writer.write(&sound(10)).await.unwrap();
        let error = writer.sync().await.unwrap_err();
        assert!(matches!(error, ArchiveError::Deleted(_)), "{error:?}");
        assert_eq!(archive.finish_deletions().await.unwrap(), 0);
        let unknown = self::recording().recording_id;
        assert!(matches!(
            archive.delete(unknown).await,
            Err(ArchiveError::NotFound(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn a_writer_that_never_comes_to_a_sync_leaves_no_piece_of_what_was_deleted() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        let mut writer = archive.begin(&recording).await.unwrap();
        archive.delete(id).await.unwrap();
        // More than five seconds: a piece goes into the store.
        let error = writer.write(&sound(100_000)).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Deleted(_)), "{error:?}");
        drop(writer);
        assert_eq!(place.keys().await, [format!("tombstones/{id}")]);
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_a_crash_broke_off_is_finished() {
    each(async |place| {
        let archive = &place.archive;
        let recording = recording();
        let id = recording.recording_id;
        drop(archive.begin(&recording).await.unwrap());
        let text = transcript(&recording, "zucchini");
        archive.put_transcript(&text).await.unwrap();
        // The tombstone alone was written.
        place.put(&format!("tombstones/{id}"), "now").await;
        assert!(archive.ids().await.unwrap().is_empty());
        assert_eq!(archive.finish_deletions().await.unwrap(), 1);
        assert_eq!(place.holding("zucchini").await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_store_that_comes_back_is_used_again_and_has_what_it_was_given() {
    each(async |mut place| {
        let archive = &place.archive;
        let recording = recording();
        let mut writer = archive.begin(&recording).await.unwrap();
        writer.write(&sound(5_000)).await.unwrap();
        place.s3.kill();
        writer.sync().await.unwrap_err();
        place.s3.start_again().unwrap();
        writer.sync().await.unwrap();
        assert!(heard(archive, recording.recording_id).await == sound(5_000));
    })
    .await;
}
