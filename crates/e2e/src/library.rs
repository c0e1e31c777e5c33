//! What a test sees of the library of a [`Speakr`].

use std::path::PathBuf;

use serde_json::Value;

use crate::{Speakr, program::path_of};

impl Speakr {
    /// The program over a library that has the text of one bundled clip, and that recording's id.
    ///
    /// # Panics
    /// When no text is made of it.
    #[must_use]
    pub fn with_a_recording(clip_name: &str) -> (Self, String) {
        let speakr = Self::new();
        let args = ["transcribe", "--json", &path_of(clip_name)];
        let transcript = speakr.run(args).success().json();
        let id = transcript["recording_id"].as_str();
        let id = id.expect("the recording's id").to_owned();
        (speakr, id)
    }

    /// All recordings, as `speakr list` tells of them.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn listed(&self) -> Vec<Value> {
        let list = self.run(["list", "--json"]).success().json();
        let recordings = list["recordings"].as_array();
        recordings.expect("a list of recordings").clone()
    }

    /// The folder of the recordings' folders.
    #[must_use]
    pub fn recordings(&self) -> PathBuf {
        self.home().join("recordings")
    }

    /// The folder of a recording.
    #[must_use]
    pub fn folder_of(&self, id: &str) -> PathBuf {
        self.recordings().join(id)
    }

    /// What is kept of a recording beside its sound.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn described(&self, id: &str) -> Value {
        let file = self.folder_of(id).join("recording.json");
        let bytes = std::fs::read(file).expect("a recording is described");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}
