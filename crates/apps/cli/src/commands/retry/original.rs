//! The file that `speakr transcribe` reads: noted with the recording, so that a transcription that
//! was killed can go on with it, if it is still the same.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use speakr_core::{Recording, recording::Metadata};

/// Where it is.
const PATH: &str = "source_path";
/// How long it was when it was read.
const BYTES: &str = "source_bytes";
/// When it had been changed last by then.
const MODIFIED: &str = "source_modified";

/// Notes that `path` is read.
pub(crate) fn note(metadata: &mut Metadata, path: &Path) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    metadata.insert(PATH.to_owned(), absolute.display().to_string().into());
    if let Some((bytes, modified)) = looks(&absolute) {
        metadata.insert(BYTES.to_owned(), bytes.into());
        metadata.insert(MODIFIED.to_owned(), modified.into());
    }
}

/// What a recording was being made of when it was interrupted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Original {
    /// No file: it was spoken, or its sound is whole.
    None,
    /// This file, which is as it was.
    There(PathBuf),
    /// This file, which is gone or another by now.
    Changed(PathBuf),
}

/// The file of `recording`, of which only the beginning was kept.
pub(super) fn of(recording: &Recording) -> Original {
    let noted = |name| recording.metadata.get(name);
    let path = noted(PATH).and_then(|path| path.as_str());
    // The length is noted when all of the sound is kept. The state wouldn't do: a try that fails
    // in between changes it.
    let Some(path) = path.filter(|_| recording.duration_ms.is_none()) else {
        return Original::None;
    };
    let path = PathBuf::from(path);
    let same = looks(&path).is_some_and(|(bytes, modified)| {
        noted(BYTES).and_then(|noted| noted.as_u64()) == Some(bytes)
            && noted(MODIFIED).and_then(|noted| noted.as_str()) == Some(&modified)
    });
    if same {
        Original::There(path)
    } else {
        Original::Changed(path)
    }
}

/// Length and time of the last change, to the nanosecond.
fn looks(path: &Path) -> Option<(u64, String)> {
    let about = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let modified: SystemTime = about.modified().ok()?;
    Some((about.len(), Timestamp::try_from(modified).ok()?.to_string()))
}

#[cfg(test)]
mod tests {
    use speakr_core::{CorrelationId, RecordingState, Tags, ports::speech::DecodeOptions};

    use super::*;

    fn reading(path: &Path) -> Recording {
        let mut recording = Recording::begin(
            CorrelationId::random(),
            Timestamp::now(),
            Tags::default(),
            DecodeOptions::default(),
        );
        note(&mut recording.metadata, path);
        recording
    }

    #[test]
    fn a_file_is_known_again_until_its_length_or_its_time_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.wav");
        std::fs::write(&path, b"sound").unwrap();
        let recording = reading(&path);
        assert_eq!(of(&recording), Original::There(path.clone()));

        std::fs::write(&path, b"other").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(of(&recording), Original::Changed(path.clone()));

        std::fs::remove_file(&path).unwrap();
        assert_eq!(of(&recording), Original::Changed(path));
    }

    #[test]
    fn a_recording_whose_sound_is_whole_needs_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, b"sound").unwrap();
        let mut recording = reading(&path);
        recording.state = RecordingState::Failed;
        assert_eq!(of(&recording), Original::There(path));
        recording.duration_ms = Some(1_000);
        assert_eq!(of(&recording), Original::None);
        recording.duration_ms = None;
        recording.metadata.clear();
        assert_eq!(of(&recording), Original::None);
    }
}
