//! The program that is measured, by itself.

use std::{path::Path, process::Command};

/// What the settings of whoever measures begin with: other settings would be other figures, and a platform
/// would be asked instead of this machine.
const SETTINGS: [&str; 3] = ["SPEAKR_", "NATS_", "OTEL_"];

/// A call of `program` with its data in `home`, and no settings but those that it has by itself.
#[must_use]
pub fn call(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // Where a larger model lies, which a measurement names.
        let kept = name == "SPEAKR_MODELS_DIR";
        if !kept && SETTINGS.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command
        .env("SPEAKR_HOME", home)
        .env("SPEAKR_CONFIG", home.join("no-settings.toml"));
    command
}
