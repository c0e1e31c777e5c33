//! Subjects: where messages are sent to.

use uuid::Uuid;

/// All commands.
pub const COMMANDS: &str = "speakr.command.>";
/// Commands that concern a capture: they are answered at once.
pub const RECORDING_COMMANDS: &str = "speakr.command.recording.*";
/// Commands that take as long as the sound is.
pub const TRANSCRIPTION_COMMANDS: &str = "speakr.command.transcription.*";
/// All events.
pub const EVENTS: &str = "speakr.event.>";
/// The sound of all recordings.
pub const AUDIO: &str = "speakr.audio.*";
/// All relayed controls.
pub const CONTROL: &str = "speakr.control.*";
/// All dead letters.
pub const DEAD_LETTERS: &str = "speakr.dead_letter.>";

/// Where the sound of `recording_id` goes.
#[must_use]
pub fn audio(recording_id: Uuid) -> String {
    format!("speakr.audio.{recording_id}")
}

/// Where the replica that holds `recording_id` is told of its stop or cancel.
#[must_use]
pub fn control(recording_id: Uuid) -> String {
    format!("speakr.control.{recording_id}")
}

/// Where a message goes that was sent to `subject` and can't be worked on.
#[must_use]
pub fn dead_letter(subject: &str) -> String {
    format!(
        "speakr.dead_letter.{}",
        subject.strip_prefix("speakr.").unwrap_or(subject)
    )
}

/// The recording whose sound goes over `subject`.
#[must_use]
pub fn recording_of_audio(subject: &str) -> Option<Uuid> {
    let id = subject.strip_prefix("speakr.audio.")?;
    Uuid::parse_str(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_read_back_from_its_subject() {
        let id = Uuid::from_u128(7);
        assert_eq!(recording_of_audio(&audio(id)), Some(id));
        assert_eq!(recording_of_audio("speakr.audio.x"), None);
        assert_eq!(recording_of_audio("speakr.control.7"), None);
    }

    #[test]
    fn a_dead_letter_keeps_its_subject() {
        assert_eq!(
            dead_letter("speakr.command.recording.start"),
            "speakr.dead_letter.command.recording.start"
        );
    }
}
