//! Ids that are functions of other ids, so that what is sent again is known again.

use uuid::Uuid;

/// Namespace of recording ids.
const RECORDING_NAMESPACE: Uuid = Uuid::from_u128(0x8c6f_1d0e_52a7_5b0d_9a3e_4b1f_70c2_d6a5);
/// Namespace of event ids.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x2f1d_7c83_0a94_5e6b_b7d5_11c9_8e40_3af2);
/// Namespace of the correlation ids of commands that came without one.
const SEQUENCE_NAMESPACE: Uuid = Uuid::from_u128(0x61b0_93d4_7e2c_5a18_8f06_d5a2_c47b_e913);

/// The recording that the request `correlation_id` makes (UUID version 5 of its 16 bytes).
#[must_use]
pub fn recording_id(correlation_id: Uuid) -> Uuid {
    Uuid::new_v5(&RECORDING_NAMESPACE, correlation_id.as_bytes())
}

/// The id of the event on `subject` that the request `correlation_id` causes. `occasion` tells
/// apart what may rightly happen more than once in a request.
#[must_use]
pub fn event_id(correlation_id: Uuid, subject: &str, occasion: &str) -> Uuid {
    let name = [
        correlation_id.as_bytes().as_slice(),
        subject.as_bytes(),
        &[0],
        occasion.as_bytes(),
    ]
    .concat();
    Uuid::new_v5(&EVENT_NAMESPACE, &name)
}

/// The correlation id of a command that came without one: a function of where it is stored, so
/// that a redelivery has the same.
#[must_use]
pub fn correlation_of_sequence(stream: &str, sequence: u64) -> Uuid {
    Uuid::new_v5(
        &SEQUENCE_NAMESPACE,
        format!("{stream}:{sequence}").as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_were_released() {
        let correlation = Uuid::from_u128(0x0199_0f52_3e1c_7a20_8b5e_6d3c_2b1a_0f9e);
        assert_eq!(
            recording_id(correlation).to_string(),
            "040e98af-6b03-5453-acf4-1717a3c4add0"
        );
        assert_eq!(
            event_id(correlation, "speakr.event.recording.started", "").to_string(),
            "8c7c947b-4c9c-5b91-8e1f-ec6a245ed4a3"
        );
        assert_eq!(
            correlation_of_sequence("SPEAKR_COMMANDS", 7).to_string(),
            "b23bbf94-7eb5-5c8c-b73a-baea72459ff7"
        );
    }

    #[test]
    fn events_of_one_request_have_ids_of_their_own() {
        let correlation = Uuid::from_u128(1);
        let a = event_id(correlation, "a", "b");
        assert_ne!(a, event_id(correlation, "ab", ""));
        assert_ne!(a, event_id(correlation, "a", "c"));
        assert_ne!(a, event_id(Uuid::from_u128(2), "a", "b"));
    }
}
