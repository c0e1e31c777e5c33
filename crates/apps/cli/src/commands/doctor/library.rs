//! The recordings that are kept, and their index.

use std::collections::HashSet;

use speakr_core::{
    RecordingState,
    ports::{
        archive::Archive,
        index::{Index, IndexError},
    },
};
use speakr_local::{Home, RecordingLock};
use speakr_sqlite::SqliteIndex;

use super::Check;
use crate::{compose::App, failure::Failure};

const RECORDINGS: &str = "recordings";
const INDEX: &str = "index";

/// Looks at recordings and index without bringing them into agreement: that is for others.
pub(super) async fn library(app: &App) -> Vec<Check> {
    let home = app.home();
    if !home.recordings().is_dir() {
        return vec![Check::ok(
            RECORDINGS,
            "none yet; the first makes the library",
        )];
    }
    let mut checks: Vec<Check> = private(home).into_iter().collect();
    match recordings(app).await {
        Err(failure) => checks.push(Check::of_failure(
            RECORDINGS,
            &failure,
            "look whether the folder can be read, or choose another: --home",
        )),
        Ok((check, count)) => {
            checks.push(check);
            checks.push(index(home, count).await);
        }
    }
    checks
}

/// Reads every description; says what is damaged and what has no text. Gives the number of whole
/// ones.
async fn recordings(app: &App) -> Result<(Check, usize), Failure> {
    let archive = app.archive()?;
    let now = RecordingLock::holder(app.home())?.map(|holder| holder.recording_id);
    let (mut whole, mut waiting) = (0, 0);
    let mut damaged = Vec::new();
    for id in archive.ids().await? {
        match archive.recording(id).await {
            Ok(recording) => {
                whole += 1;
                let done = recording.state == RecordingState::Transcribed;
                waiting += usize::from(!done && Some(id) != now);
            }
            Err(_) => damaged.push(id.short()),
        }
    }
    let check = if !damaged.is_empty() {
        Check::failed(
            RECORDINGS,
            format!("{} of {} are damaged", damaged.len(), whole + damaged.len()),
            format!(
                "their sound may still be whole in {}: {}",
                app.home().recordings().display(),
                damaged.join(", ")
            ),
        )
    } else if waiting > 0 {
        Check::warning(
            RECORDINGS,
            format!("{waiting} of {whole} have no text yet"),
            "speakr retry makes it",
        )
    } else {
        Check::ok(RECORDINGS, format!("{whole}, all with their text"))
    };
    Ok((check, whole))
}

/// Whether the index can be read and knows every recording.
async fn index(home: &Home, recordings: usize) -> Check {
    let rebuild = "speakr reindex makes it anew from the recordings";
    if !home.index().exists() {
        return Check::warning(INDEX, "there is none", rebuild);
    }
    let index = match SqliteIndex::open(&home.index(), &home.backups()).await {
        Ok(index) => index,
        Err(error @ IndexError::TooNew { .. }) => {
            return Check::failed(INDEX, error.to_string(), "install a newer speakr");
        }
        Err(error) => return Check::failed(INDEX, error.to_string(), rebuild),
    };
    let known = index.ids().await;
    index.close().await;
    match known.map(|ids| ids.into_iter().collect::<HashSet<_>>().len()) {
        Ok(known) if known == recordings => Check::ok(INDEX, format!("it knows all {known}")),
        Ok(known) => Check::warning(
            INDEX,
            format!("it knows {known} of {recordings} recordings"),
            "any command that reads the library mends that: speakr list",
        ),
        Err(error) => Check::failed(INDEX, error.to_string(), rebuild),
    }
}

/// A warning where others can read the recordings.
#[cfg(unix)]
fn private(home: &Home) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = home.recordings();
    let mode = folder.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Check::warning(
            RECORDINGS,
            format!(
                "other users of this machine can look into {} ({mode:03o})",
                folder.display()
            ),
            format!("chmod 700 '{}'", folder.display()),
        )
    })
}

#[cfg(not(unix))]
fn private(_: &Home) -> Option<Check> {
    None
}
