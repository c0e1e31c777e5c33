//! Models, processor and disk.

use std::path::Path;

use speakr_models::Trust;
use speakr_whisper::cpu;

use super::Check;
use crate::{compose::App, failure::Failure, weights};

/// Below this a recording may run into a full disk: a few hours of raw sound (115 MB an hour).
const LITTLE_SPACE_BYTES: u64 = 1 << 30;

/// Below this not even one hour fits.
const NO_SPACE_BYTES: u64 = 128 << 20;

/// How to get models.
const MODELS: &str = "`speakr models list` shows what is here, `speakr models pull NAME` gets one";

/// The models that a recording goes through: found, and whole. They are not loaded.
pub(super) fn models(app: &App) -> Vec<Check> {
    const NAME: &str = "model";
    let store = match app.models() {
        Ok(store) => store,
        Err(failure) => return vec![Check::of_failure(NAME, &failure, MODELS)],
    };
    let wanted = &app.settings.model;
    let speech = weights::speech_model(&store, wanted, Trust::Verified).map(|model| {
        let languages = if model.multilingual {
            "many languages"
        } else {
            "English"
        };
        format!("{wanted} for speech ({languages})")
    });
    let detector = store
        .locate(weights::VOICE_ACTIVITY, Trust::Verified)
        .map(|_| format!("{} for pauses", weights::VOICE_ACTIVITY))
        .map_err(Failure::from);
    let embedder = app
        .embedding_model()
        .and_then(|embedder| embedder.locate())
        .map(|model| format!("{} for search", model.id));
    [speech, detector, embedder]
        .into_iter()
        .map(|found| match found {
            Ok(message) => Check::ok(NAME, message),
            Err(failure) => Check::of_failure(NAME, &failure, MODELS),
        })
        .collect()
}

/// Whether the engine's instructions exist here, and how many threads it would use.
pub(super) fn processor(app: &App) -> Check {
    const NAME: &str = "processor";
    let missing = cpu::missing_features();
    if !missing.is_empty() {
        return Check::failed(
            NAME,
            format!("it lacks {}, which this build uses", missing.join(", ")),
            cpu::FOR_OLDER_PROCESSORS,
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = app.settings.threads.filter(|&n| n > 0);
    match threads.filter(|&threads| threads > cores) {
        Some(threads) => Check::warning(
            NAME,
            format!("{threads} threads are set, and there are {cores} cores"),
            "threads that wait for each other are slower than fewer: set `threads` to 0",
        ),
        None => Check::ok(
            NAME,
            format!("{cores} cores, with all that the engine uses"),
        ),
    }
}

/// Whether the data folder can be written, and how much room it has.
pub(super) fn disk(app: &App) -> Check {
    const NAME: &str = "disk";
    let home = app.home().path();
    let elsewhere = "choose another folder: --home, SPEAKR_HOME or `home` in the settings";
    // The folder itself is made by the first recording.
    let Some(place) = home.ancestors().find(|place| place.exists()) else {
        return Check::failed(
            NAME,
            format!("{} can't be reached", home.display()),
            elsewhere,
        );
    };
    if let Err(error) = tempfile::tempfile_in(place) {
        return Check::failed(
            NAME,
            format!("{} can't be written: {error}", place.display()),
            elsewhere,
        );
    }
    let Some(free) = free_bytes(place) else {
        return Check::ok(NAME, format!("{} can be written", place.display()));
    };
    let message = format!("{} free for {}", readable(free), home.display());
    let mend = "delete what you don't need (speakr rm), or choose another folder: --home";
    if free < NO_SPACE_BYTES {
        return Check::failed(NAME, message, mend);
    }
    if free < LITTLE_SPACE_BYTES {
        return Check::warning(NAME, message, mend);
    }
    Check::ok(NAME, message)
}

#[cfg(unix)]
fn free_bytes(place: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(place).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Bytes as people read them.
fn readable(bytes: u64) -> String {
    let megabytes = bytes / 1_000_000;
    if megabytes < 10_000 {
        format!("{megabytes} MB")
    } else {
        format!("{} GB", megabytes / 1_000)
    }
}
