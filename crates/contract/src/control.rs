//! What replicas of a service tell each other. Not for clients, and free to change.

use serde::{Deserialize, Serialize};

use crate::parts::Metadata;

/// Sent to `speakr.control.<recording_id>`: the replica that holds the recording answers
/// (request and reply, an empty payload).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Control {
    /// End it and keep its sound.
    Stop {
        /// Whether its text is to be made now.
        transcribe: bool,
        /// Added to the recording's.
        metadata: Metadata,
    },
    /// End it and throw it away.
    Cancel,
}
