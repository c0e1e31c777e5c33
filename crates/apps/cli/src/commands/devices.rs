//! `speakr devices`.

use serde::Serialize;
use speakr_core::ports::sound::{DeviceInfo, Microphone};

use crate::{compose::App, failure::Failure};

/// What `devices --json` prints.
#[derive(Serialize)]
struct DevicesJson {
    devices: Vec<DeviceInfo>,
    count: usize,
}

/// Lists the microphones, the default first.
pub(crate) async fn run(app: &App) -> Result<(), Failure> {
    let devices = app.microphone().devices().await?;
    if app.output.is_json() {
        return app.output.print_json(&DevicesJson {
            count: devices.len(),
            devices,
        });
    }
    if devices.is_empty() {
        app.output
            .say("No microphone. Plug one in; `speakr doctor` looks for the cause.");
    }
    let width = devices
        .iter()
        .map(|device| device.name.chars().count())
        .max()
        .unwrap_or(0);
    for device in &devices {
        app.output.print(&line(device, width))?;
    }
    if !devices.is_empty() {
        app.output
            .say("`speakr record --device NAME` takes one of them.");
    }
    Ok(())
}

/// One microphone in one line; the default is marked.
fn line(device: &DeviceInfo, width: usize) -> String {
    let mark = if device.default { '*' } else { ' ' };
    let DeviceInfo {
        name,
        description,
        system,
        ..
    } = device;
    if name == description {
        return format!("{mark} {name:width$}  ({system})");
    }
    format!("{mark} {name:width$}  {description} ({system})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_marked_and_a_name_is_not_said_twice() {
        let device = DeviceInfo {
            name: "mic".into(),
            description: "Built-in".into(),
            system: "pulse".into(),
            default: true,
        };
        assert_eq!(line(&device, 5), "* mic    Built-in (pulse)");
        let device = DeviceInfo {
            description: "mic".into(),
            default: false,
            ..device
        };
        assert_eq!(line(&device, 3), "  mic  (pulse)");
    }
}
