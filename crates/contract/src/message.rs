//! What all messages have in common, and how they are read and written.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// What a message is for. Old clients meet new services and the other way round, so what may
/// change in a schema depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for something: clients write it, services read it.
    Command,
    /// Tells what happened: services write it, clients read it.
    Event,
}

/// A message with a subject of its own.
pub trait Message: Serialize + DeserializeOwned + JsonSchema {
    /// Where it is sent to.
    const SUBJECT: &'static str;
    /// What it is for.
    const KIND: Kind;
    /// What it says, in one sentence.
    const SUMMARY: &'static str;

    /// What the types alone don't hold.
    ///
    /// # Errors
    /// The path of the field, and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

/// Why a message isn't accepted. It names the field and never quotes what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: field \"{path}\": {reason}")]
pub struct Refused {
    /// Where it was sent to.
    pub subject: &'static str,
    /// Which field, as `segments[2].text`; `.` for the whole message.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a message.
///
/// # Errors
/// [`Refused`] names the first field that is missing or wrong.
pub fn decode<M: Message>(payload: &[u8]) -> Result<M, Refused> {
    let refused = |path: String, reason: String| Refused {
        subject: M::SUBJECT,
        path,
        reason,
    };
    // serde would take a list for a message's values in their order.
    if payload.trim_ascii_start().first() == Some(&b'[') {
        let reason = "a message is an object, and this is a list";
        return Err(refused(".".to_owned(), reason.to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(payload);
    let message: M = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let reason = without_position(&error.inner().to_string());
        let (path, reason) = name_missing(path, reason);
        refused(path, without_value(&reason))
    })?;
    json.end()
        .map_err(|error| refused(".".to_owned(), without_position(&error.to_string())))?;
    message
        .check()
        .map_err(|(path, reason)| refused(path.to_owned(), reason))?;
    Ok(message)
}

/// Writes a message as JSON.
///
/// # Errors
/// serde's, for values that JSON can't hold: none of ours.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(message)
}

/// serde tells of a missing field where its parent is: the path should name the field itself.
fn name_missing(path: String, reason: String) -> (String, String) {
    let Some(field) = reason
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    else {
        return (path, reason);
    };
    let path = if path == "." {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    };
    (path, "is missing".to_owned())
}

/// Line and column say nothing about a message that has no lines.
fn without_position(reason: &str) -> String {
    match reason.rfind(" at line ") {
        Some(at) => reason[..at].to_owned(),
        None => reason.to_owned(),
    }
}

/// serde quotes the value that it didn't expect: that may be what somebody said.
fn without_value(reason: &str) -> String {
    for (start, name) in [
        ("invalid type: string \"", "invalid type: string"),
        ("invalid value: string \"", "invalid value: string"),
        ("unknown variant `", "unknown word"),
    ] {
        if reason.starts_with(start)
            && let Some(at) = reason.rfind(", expected ")
        {
            return format!("{name}{}", &reason[at..]);
        }
    }
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commands::RecordingStop, events::TranscriptionSucceeded};

    fn refusal<M: Message + std::fmt::Debug>(json: &str) -> (String, String) {
        let refused = decode::<M>(json.as_bytes()).unwrap_err();
        assert_eq!(refused.subject, M::SUBJECT);
        (refused.path, refused.reason)
    }

    #[test]
    fn a_missing_field_is_named() {
        let (path, reason) = refusal::<RecordingStop>("{}");
        assert_eq!(
            (path.as_str(), reason.as_str()),
            ("recording_id", "is missing")
        );
    }

    #[test]
    fn a_list_is_no_message_whatever_is_in_it() {
        for json in ["[]", " \n[\"00000000-0000-0000-0000-000000000002\"]"] {
            let (path, reason) = refusal::<RecordingStop>(json);
            assert_eq!(path, ".");
            assert!(reason.contains("a list"), "{reason}");
        }
    }

    #[test]
    fn a_missing_field_deep_inside_is_named_with_its_path() {
        let json = r#"{"event_id":"00000000-0000-0000-0000-000000000001",
            "recording_id":"00000000-0000-0000-0000-000000000002","transcribed_text":"a",
            "tags":[],"metadata":{},"segments":[{"start_ms":0,"end_ms":1,"text":"a"},{"start_ms":1,"text":"b"}]}"#;
        let (path, reason) = refusal::<TranscriptionSucceeded>(json);
        assert_eq!(
            (path.as_str(), reason.as_str()),
            ("segments[1].end_ms", "is missing")
        );
    }

    #[test]
    fn what_was_said_is_not_in_the_reason() {
        let json = r#"{"recording_id":"00000000-0000-0000-0000-000000000002",
            "transcribe_on_stop":"my secret, expected by nobody"}"#;
        let (path, reason) = refusal::<RecordingStop>(json);
        assert_eq!(path, "transcribe_on_stop");
        assert_eq!(reason, "invalid type: string, expected a boolean");
    }

    #[test]
    fn what_is_no_json_is_refused_as_a_whole() {
        for text in ["", "nonsense", "{", "[]", "null", "{} {}", "\u{0}"] {
            assert!(
                decode::<RecordingStop>(text.as_bytes()).is_err(),
                "{text:?}"
            );
        }
        assert!(decode::<RecordingStop>(&[0xff, 0xfe]).is_err());
    }
}
