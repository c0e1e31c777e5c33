//! Uploads whose process was killed in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "test code"
)]

mod support;

use std::time::Duration;

use speakr_core::{
    Recording, RecordingId, RecordingState,
    ports::{
        archive::Archive,
        condemned::{Condemned, Uploads},
    },
    usecases::recordings::give_up_uploads,
};
use speakr_s3::S3Archive;
use support::{each, heard, recording, sound};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// So much of each is stored.
const SAMPLES: usize = 100_000;

/// Stores half an upload, as one does that is killed then.
async fn half_stored(archive: &S3Archive) -> RecordingId {
    let recording = recording();
    let id = recording.recording_id;
    archive.upload_begun(id).await.unwrap();
    let mut writer = archive.begin(&recording).await.unwrap();
    writer.write(&sound(SAMPLES)).await.unwrap();
    writer.sync().await.unwrap();
    id
}

async fn condemned(archive: &S3Archive) -> Vec<RecordingId> {
    archive.condemned(Duration::ZERO).await.unwrap()
}

async fn uploads(archive: &S3Archive) -> Vec<RecordingId> {
    archive.uploads(Duration::ZERO).await.unwrap()
}

#[tokio::test]
async fn half_an_upload_is_given_up_in_time_and_what_became_a_recording_is_not() {
    each(async |place| {
        let archive = &place.archive;
        let give_up = async |untouched_for: Duration| {
            let given_up = give_up_uploads(archive, archive, archive, untouched_for);
            given_up.await.unwrap()
        };
        let half = half_stored(archive).await;
        let whole = half_stored(archive).await;
        let captured = |recording: &mut Recording| recording.state = RecordingState::Captured;
        archive.amend(whole, Box::new(captured)).await.unwrap();
        archive.compact_sound(whole).await.unwrap();
        let never_begun = recording().recording_id;
        archive.upload_begun(never_begun).await.unwrap();
        let deleted = half_stored(archive).await;
        archive.delete(deleted).await.unwrap();
        // One that goes on at a client, or at a transcriber, is on no list.
        let spoken = recording();
        drop(archive.begin(&spoken).await.unwrap());
        assert!(condemned(archive).await.is_empty());

        assert_eq!(give_up(DAY).await, 0, "it may be sent again");
        assert_eq!(uploads(archive).await.len(), 4);
        assert!(condemned(archive).await.is_empty());

        assert_eq!(give_up(Duration::ZERO).await, 1);
        assert_eq!(condemned(archive).await, [half]);
        assert!(uploads(archive).await.is_empty());
        assert_eq!(give_up(Duration::ZERO).await, 0);
        assert!(heard(archive, whole).await == sound(SAMPLES));
        // Who sends it again before it is deleted goes on with it.
        let resumed = archive.resume(half).await.unwrap();
        assert_eq!(resumed.samples(), SAMPLES as u64);
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_somebody_is_at_is_not_given_up() {
    each(async |place| {
        let archive = &place.archive;
        let id = half_stored(archive).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let old = Duration::from_secs(3);
        assert_eq!(archive.uploads(old).await.unwrap(), [id]);
        archive.upload_begun(id).await.unwrap();
        let given_up = give_up_uploads(archive, archive, archive, old).await;
        assert_eq!(given_up.unwrap(), 0);
        assert_eq!(uploads(archive).await, [id]);
        archive.upload_ended(id).await.unwrap();
        assert!(uploads(archive).await.is_empty());
        assert!(condemned(archive).await.is_empty());
        let left = place.keys().await;
        assert!(left.iter().all(|key| !key.contains("half")), "{left:?}");
    })
    .await;
}
