//! What ffmpeg prints when it is asked for devices. The formats are those of its `-sources`
//! (fftools/cmdutils) and of the `avfoundation` and `dshow` devices' `-list_devices`.

use speakr_core::ports::sound::DeviceInfo;

use super::System;

/// `* name [description] (none)`: the asterisk marks the default.
fn source(line: &str) -> Option<(bool, &str, &str)> {
    let default = line.starts_with("* ");
    let rest = line
        .strip_prefix("* ")
        .or_else(|| line.strip_prefix("  "))?;
    let (name, rest) = rest.split_once(" [")?;
    // Newer versions add the kinds of media after the description.
    let description = rest.rsplit_once(']')?.0;
    Some((default, name.trim(), description))
}

fn device(system: System, name: &str, description: &str, default: bool) -> DeviceInfo {
    DeviceInfo {
        name: name.to_owned(),
        description: description.to_owned(),
        system: system.name().to_owned(),
        default,
    }
}

/// `ffmpeg -sources pulse`.
pub(super) fn pulse(text: &str) -> Vec<DeviceInfo> {
    text.lines()
        .filter_map(source)
        .map(|(default, name, description)| device(System::Pulse, name, description, default))
        .collect()
}

/// `ffmpeg -sources alsa`: of the many names that a card has, the ones that convert to any rate,
/// and the default. Plugins without a card (rate converters, …) are no microphones.
pub(super) fn alsa(text: &str) -> Vec<DeviceInfo> {
    text.lines()
        .filter_map(source)
        .filter(|(_, name, _)| {
            *name == "default" || name.starts_with("sysdefault:") || name.starts_with("plughw:")
        })
        .map(|(_, name, description)| {
            let default = name == "default";
            device(System::Alsa, &format!("alsa:{name}"), description, default)
        })
        .collect()
}

/// The part of a logged line behind `[component @ address] `.
fn logged(line: &str) -> Option<&str> {
    let (front, rest) = line.trim_start().strip_prefix('[')?.split_once("] ")?;
    front.contains(" @ ").then_some(rest)
}

/// `ffmpeg -f avfoundation -list_devices true -i ""`: `[0] Name` below "AVFoundation audio
/// devices:".
pub(super) fn avfoundation(text: &str) -> Vec<DeviceInfo> {
    text.lines()
        .filter_map(logged)
        .skip_while(|line| !line.starts_with("AVFoundation audio devices"))
        .skip(1)
        .filter_map(|line| line.strip_prefix('[')?.split_once("] "))
        .enumerate()
        .map(|(at, (_, name))| device(System::AvFoundation, name.trim(), name.trim(), at == 0))
        .collect()
}

/// `ffmpeg -f dshow -list_devices true -i dummy`: `"Name" (audio)`, or, before ffmpeg 5, `"Name"`
/// below "DirectShow audio devices".
pub(super) fn dshow(text: &str) -> Vec<DeviceInfo> {
    let mut below_audio = false;
    let mut found = Vec::new();
    for line in text.lines().filter_map(logged) {
        let line = line.trim();
        if line.starts_with("DirectShow ") {
            below_audio = line.starts_with("DirectShow audio devices");
            continue;
        }
        let Some((name, kind)) = line
            .strip_prefix('"')
            .and_then(|rest| rest.rsplit_once('"'))
        else {
            continue;
        };
        let kind = kind.trim();
        if kind == "(audio)" || (kind.is_empty() && below_audio) {
            found.push(device(System::DirectShow, name, name, found.is_empty()));
        }
    }
    found
}

/// The default source in `pactl info`.
pub(super) fn default_source(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix("Default Source: "))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}
