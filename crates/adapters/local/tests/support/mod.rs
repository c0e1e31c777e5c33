//! Sound, codecs and file systems for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::Timestamp;
use speakr_core::{
    CorrelationId, Recording, RecordingId, Segment, Tags, Transcript,
    ports::{
        archive::Archive,
        sound::{SoundDecoder, SoundEncoder, SoundError, SoundInput, SoundSource},
        speech::DecodeOptions,
    },
};
use speakr_local::FolderArchive;
use tempfile::TempDir;

/// An archive in a scratch folder.
pub fn archive() -> (TempDir, FolderArchive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = reopen(&folder);
    (folder, archive)
}

/// The archive in `folder`, as the next process opens it.
pub fn reopen(folder: &TempDir) -> FolderArchive {
    open(&folder.path().join("home"))
}

pub fn open(home: &Path) -> FolderArchive {
    let codec = Arc::new(FfmpegCodec);
    FolderArchive::open(home, codec.clone(), codec).unwrap()
}

pub fn recording() -> Recording {
    Recording::begin(
        CorrelationId::random(),
        "2026-01-02T03:04:05.678901234Z"
            .parse::<Timestamp>()
            .unwrap(),
        Tags::default(),
        DecodeOptions::default(),
    )
}

pub fn transcript(recording: &Recording, text: &str) -> Transcript {
    Transcript {
        recording_id: recording.recording_id,
        text: text.to_owned(),
        language: None,
        duration_ms: 2_000,
        model: "tiny.en".to_owned(),
        created_at: recording.created_at,
        tags: recording.tags.clone(),
        metadata: recording.metadata.clone(),
        segments: vec![Segment {
            start_ms: 0,
            end_ms: 2_000,
            text: text.to_owned(),
            words: None,
        }],
    }
}

/// A sound whose every sample tells its place.
pub fn tone(samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|i| ((i as f64 * 0.07).sin() * 8_000.0) as i16 + (i % 7) as i16)
        .collect()
}

pub async fn read_all(archive: &FolderArchive, id: RecordingId) -> Vec<i16> {
    let mut source = archive.open_sound(id).await.unwrap();
    let mut sound = Vec::new();
    while let Some(samples) = source.next().await.unwrap() {
        sound.extend(samples);
    }
    sound
}

/// The real ffmpeg, in the few lines that this needs.
pub struct FfmpegCodec;

#[async_trait]
impl SoundEncoder for FfmpegCodec {
    async fn pcm_to_flac(&self, pcm: &Path, flac: &Path) -> Result<(), SoundError> {
        let status = Command::new("ffmpeg")
            .args([
                "-v", "error", "-y", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i",
            ])
            .arg(pcm)
            .args(["-f", "flac"])
            .arg(flac)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        if status.success() {
            Ok(())
        } else {
            Err(failed("the encoder failed"))
        }
    }
}

#[async_trait]
impl SoundDecoder for FfmpegCodec {
    async fn duration_ms(&self, _input: &SoundInput) -> Result<Option<u64>, SoundError> {
        Ok(None)
    }

    async fn open(&self, input: &SoundInput) -> Result<Box<dyn SoundSource>, SoundError> {
        let SoundInput::File(path) = input else {
            return Err(failed("only files"));
        };
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(path)
            .args(["-f", "s16le", "-ar", "16000", "-ac", "1", "-"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(failed("the decoder failed"));
        }
        let samples: Vec<i16> = output
            .stdout
            .chunks_exact(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]))
            .collect();
        // In pieces of an odd size, as pipes give them.
        let mut pieces: Vec<Vec<i16>> = samples.chunks(4_099).map(<[i16]>::to_vec).collect();
        pieces.reverse();
        Ok(Box::new(Pieces(pieces)))
    }
}

struct Pieces(Vec<Vec<i16>>);

#[async_trait]
impl SoundSource for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<i16>>, SoundError> {
        Ok(self.0.pop())
    }

    async fn stop(&mut self) {
        self.0.clear();
    }
}

fn failed(reason: &str) -> SoundError {
    SoundError::NotSound {
        input: "test".to_owned(),
        reason: reason.to_owned(),
    }
}

/// Dies in the middle of the file.
pub struct BrokenEncoder;

#[async_trait]
impl SoundEncoder for BrokenEncoder {
    async fn pcm_to_flac(&self, _pcm: &Path, flac: &Path) -> Result<(), SoundError> {
        fs::File::create(flac).unwrap().write_all(b"fLaC").unwrap();
        Err(failed("it died"))
    }
}

/// Says that all is well, and has dropped the last sample.
pub struct LyingEncoder;

#[async_trait]
impl SoundEncoder for LyingEncoder {
    async fn pcm_to_flac(&self, pcm: &Path, flac: &Path) -> Result<(), SoundError> {
        let mut bytes = fs::read(pcm).unwrap();
        bytes.truncate(bytes.len() - 2);
        let short = flac.with_extension("short");
        fs::write(&short, bytes).unwrap();
        let made = FfmpegCodec.pcm_to_flac(&short, flac).await;
        fs::remove_file(short).unwrap();
        made
    }
}

/// Tells the test that it has mounts of its own.
#[cfg(target_os = "linux")]
const OWN_MOUNTS: &str = "SPEAKR_TEST_OWN_MOUNTS";

/// Runs `work` on a file system of `kib` KiB. The test `name` calls itself for that, in a process
/// with mounts of its own, which go with it. Does nothing where `SPEAKR_TEST_SKIP` lists `mount`.
#[cfg(target_os = "linux")]
pub fn on_small_disk(name: &str, kib: u32, work: impl FnOnce(&Path)) {
    let skipped = std::env::var("SPEAKR_TEST_SKIP").unwrap_or_default();
    if skipped.split(',').any(|name| name.trim() == "mount") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(OWN_MOUNTS).is_some() {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "this test needs a small disk of its own, and this system lets its user mount none: \
             run it as root, or list mount in SPEAKR_TEST_SKIP (make test does where it has to)"
        );
        work(folder.path());
        let unmounted = Command::new("umount").arg("-l").arg(folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(OWN_MOUNTS, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "it didn't run itself: {said}");
}

/// Runs `work` while nothing can be written below `folder`.
pub fn read_only(folder: &Path, work: impl FnOnce()) {
    use std::os::unix::fs::PermissionsExt;
    let recordings = folder.join("recordings");
    // Modes don't stop root; a read-only mount does.
    let bound = Command::new("mount")
        .args(["--bind", "-o", "ro"])
        .args([&recordings, &recordings])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !bound {
        fs::set_permissions(&recordings, fs::Permissions::from_mode(0o500)).unwrap();
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    if bound {
        let status = Command::new("umount").arg("-l").arg(&recordings).status();
        assert!(status.is_ok_and(|s| s.success()));
    } else {
        fs::set_permissions(&recordings, fs::Permissions::from_mode(0o700)).unwrap();
    }
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
