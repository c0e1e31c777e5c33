//! ffmpeg, the microphone and the clipboard.

use std::time::Duration;

use speakr_clipboard::SystemClipboard;
use speakr_core::{
    audio::{SILENCE_DBFS, level_dbfs, ms_to_samples},
    ports::{
        clipboard::ClipboardError,
        sound::{Device, Microphone, SoundError},
    },
};

use super::Check;
use crate::{
    commands::record,
    compose::App,
    failure::{Failure, chain},
};

/// How much is listened to: enough for a level, and over before anybody wonders.
const LISTEN_MS: u64 = 400;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn ffmpeg(app: &App) -> Check {
    const NAME: &str = "ffmpeg";
    match app.ffmpeg().version().await {
        Ok(version) => Check::ok(NAME, format!("version {version}")),
        Err(SoundError::MissingProgram { program, mend }) => {
            Check::failed(NAME, format!("{program} isn't installed"), mend)
        }
        Err(error) => Check::failed(
            NAME,
            chain(&error),
            "install it anew, or name another: SPEAKR_FFMPEG or `ffmpeg` in the settings",
        ),
    }
}

/// Opens the microphone that `speakr record` would take, and listens for a moment. Nothing of it
/// is kept.
pub(super) async fn microphone(app: &App) -> Check {
    const NAME: &str = "microphone";
    let device = record::device(app.settings.device.as_deref());
    let called = match &device {
        Device::Default => match default_name(app).await {
            Some(name) => format!("the default, {name},"),
            None => "the default".to_owned(),
        },
        Device::Named(name) => name.clone(),
        Device::File(path) => path.display().to_string(),
    };
    match tokio::time::timeout(PATIENCE * 3, level(app, &device)).await {
        Ok(Ok(level)) if level <= SILENCE_DBFS => Check::warning(
            NAME,
            format!("{called} gives nothing but digital silence"),
            "is it muted, or switched off? Look at the input level in the sound settings",
        ),
        Ok(Ok(level)) => Check::ok(NAME, format!("{called} hears the room at {level:.0} dB")),
        Ok(Err(SoundError::MissingProgram { .. })) => Check::failed(
            NAME,
            "it can't be tried without ffmpeg",
            "install ffmpeg first",
        ),
        Ok(Err(SoundError::NoDevice { reason, .. })) => Check::failed(
            NAME,
            reason,
            "plug one in, or choose one of those that `speakr devices` lists: --device NAME",
        ),
        Ok(Err(error)) => Check::of_failure(
            NAME,
            &Failure::from(error),
            "choose another: `speakr devices` lists them",
        ),
        Err(_) => Check::failed(
            NAME,
            format!("{called} opens, and then gives no sound"),
            "unplug it and plug it in again, or choose another: speakr devices",
        ),
    }
}

async fn default_name(app: &App) -> Option<String> {
    let devices = app.microphone().devices().await.ok()?;
    devices
        .into_iter()
        .find(|device| device.default)
        .map(|device| device.description)
}

async fn level(app: &App, device: &Device) -> Result<f32, SoundError> {
    let mut source = app.microphone().open(device).await?;
    let mut heard = Vec::new();
    while (heard.len() as u64) < ms_to_samples(LISTEN_MS) {
        match source.next().await? {
            Some(samples) => heard.extend(samples),
            None => break,
        }
    }
    source.stop().await;
    Ok(level_dbfs(&heard))
}

pub(super) async fn clipboard(app: &App) -> Check {
    const NAME: &str = "clipboard";
    let off = if app.settings.clipboard {
        ""
    } else {
        " (switched off in the settings)"
    };
    match SystemClipboard::new().probe().await {
        Ok(program) => Check::ok(NAME, format!("reached through {program}{off}")),
        // Text is saved all the same.
        Err(ClipboardError::Unavailable { reason }) => Check::warning(
            NAME,
            format!("there is none{off}: {reason}"),
            "without one, text is printed and saved; --no-clipboard silences the warning",
        ),
        Err(error) => Check::warning(
            NAME,
            chain(&error),
            "texts are printed and saved all the same; --no-clipboard silences the warning",
        ),
    }
}
