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
    // Newer versions add the kinds of media after the description; a description of ALSA's goes
    // on in the next line.
    let description = rest
        .rsplit_once(']')
        .map_or(rest, |(description, _)| description);
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
/// devices:". Which of them is the default isn't told.
pub(super) fn avfoundation(text: &str) -> Vec<DeviceInfo> {
    text.lines()
        .filter_map(logged)
        .skip_while(|line| !line.starts_with("AVFoundation audio devices"))
        .skip(1)
        .filter_map(|line| line.strip_prefix('[')?.split_once("] "))
        .map(|(_, name)| device(System::AvFoundation, name.trim(), name.trim(), false))
        .collect()
}

/// `ffmpeg -f dshow -list_devices true -i dummy`: `"Name" (video, audio)`, or, before ffmpeg 5,
/// `"Name"` below "DirectShow audio devices".
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
        let kinds = kind
            .strip_prefix('(')
            .and_then(|kinds| kinds.strip_suffix(')'));
        let hears = kinds.map_or(kind.is_empty() && below_audio, |kinds| {
            kinds.split(", ").any(|kind| kind == "audio")
        });
        if hears {
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

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from real machines, but for dshow-7.txt and alsa-5.1-usb-card.txt, which are
    // written in the form that libavdevice/dshow.c and `arecord -L` give.
    const PULSE: &str = include_str!("recorded/pulse-5.1.txt");
    const PACTL: &str = include_str!("recorded/pactl-info.txt");
    const NO_CARD: &str = include_str!("recorded/alsa-5.1-no-card.txt");
    const USB_CARD: &str = include_str!("recorded/alsa-5.1-usb-card.txt");
    const AVFOUNDATION: &str = include_str!("recorded/avfoundation.txt");
    const DSHOW_4: &str = include_str!("recorded/dshow-4.txt");
    const DSHOW_7: &str = include_str!("recorded/dshow-7.txt");

    fn names(devices: &[DeviceInfo]) -> Vec<(&str, &str, bool)> {
        devices
            .iter()
            .map(|d| (d.name.as_str(), d.description.as_str(), d.default))
            .collect()
    }

    #[test]
    fn sources_of_a_sound_server_are_read_with_their_default() {
        assert_eq!(
            names(&pulse(PULSE)),
            [
                ("vmic_sink.monitor", "Monitor of vmic_sink", false),
                ("vmic", "VirtualMicrophone", true)
            ]
        );
        assert_eq!(
            names(&pulse("* a.b [Front [left] mic]\n")),
            [("a.b", "Front [left] mic", true)],
            "as ffmpeg before 5 prints it"
        );
        assert_eq!(default_source(PACTL), Some("vmic".into()));
        assert_eq!(
            default_source("Connection failure: Connection refused\n"),
            None
        );
    }

    #[test]
    fn of_alsa_only_what_converts_to_any_rate_is_listed() {
        assert_eq!(names(&alsa(NO_CARD)), []);
        assert_eq!(
            names(&alsa(USB_CARD)),
            [
                (
                    "alsa:default",
                    "Default ALSA Output (currently PulseAudio Sound Server)",
                    true
                ),
                (
                    "alsa:plughw:CARD=Yeti,DEV=0",
                    "Yeti Stereo Microphone, USB Audio",
                    false
                ),
                (
                    "alsa:sysdefault:CARD=Yeti",
                    "Yeti Stereo Microphone, USB Audio",
                    false
                ),
            ]
        );
    }

    #[test]
    fn microphones_of_macos_are_read_without_its_cameras() {
        assert_eq!(
            names(&avfoundation(AVFOUNDATION)),
            [
                ("Soundflower (64ch)", "Soundflower (64ch)", false),
                ("Built-in Microphone", "Built-in Microphone", false),
                ("Soundflower (2ch)", "Soundflower (2ch)", false),
                ("Built-in Input", "Built-in Input", false),
            ]
        );
    }

    #[test]
    fn microphones_of_windows_are_read_from_both_forms() {
        let found = dshow(DSHOW_4);
        assert_eq!(
            names(&found)
                .iter()
                .map(|(name, ..)| *name)
                .collect::<Vec<_>>(),
            [
                "Microphone Array (Realtek High Definition Audio)",
                "virtual-audio-capturer"
            ]
        );
        assert!(found[0].default && !found[1].default);
        let found = dshow(DSHOW_7);
        assert_eq!(
            names(&found)
                .iter()
                .map(|(name, ..)| *name)
                .collect::<Vec<_>>(),
            ["Capture Card", "Mikrofon (2- Jabra \"UC\" VOICE)"]
        );
    }
}
